//! `flux`: the flux command, in the toolbox.

use ferry_scenario::steps::Flux;

use super::{Context, StepError, command, exec};

pub(super) async fn execute(flux: &Flux, cx: &Context<'_>) -> Result<(), StepError> {
    let arguments: Vec<&str> = flux.args.iter().map(|argument| argument.as_str()).collect();
    let mut words = vec![format!("flux-{}", flux.version(cx.scenario))];
    words.extend(arguments.iter().map(ToString::to_string));
    let output = exec::in_toolbox(words.clone(), None, cx).await?;
    command::judge(&command::shown(&words), "in the toolbox", &flux.expect, &output)?;
    if printed_help_unasked(&arguments, &output.stdout) {
        let what = format!("`{}` is no command of flux: it printed its help and did nothing", command::shown(&words));
        return Err(StepError::mismatch(what, "the help, which lists the commands, is in the record".to_string()));
    }
    Ok(())
}

/// Whether flux answered with the help of a group of commands, as in `flux get nonsense`. It ends with 0 then, and a step
/// that did nothing would pass. Only a group's usage ends in `[command]` (cobra's template).
fn printed_help_unasked(arguments: &[&str], stdout: &str) -> bool {
    let asked = arguments.iter().any(|argument| ["help", "--help", "-h"].contains(argument));
    let mut lines = stdout.lines().skip_while(|line| *line != "Usage:").skip(1).take_while(|line| !line.is_empty());
    !asked && lines.any(|line| line.trim_start().starts_with("flux") && line.ends_with(" [command]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GROUP: &str = "The get sub-commands print the statuses of Flux resources.\n\nUsage:\n  flux get [command]\n\n\
                         Available Commands:\n  all  Get all\n";
    const COMMAND: &str = "The get all command.\n\nUsage:\n  flux get all [flags]\n\nExamples:\n  flux get [command]\n";

    #[rstest]
    #[case::unknown(&["get", "nonsense"], GROUP, true)]
    #[case::asked_for(&["get", "--help"], GROUP, false)]
    #[case::of_a_command(&["get", "all"], COMMAND, false)]
    #[case::no_help(&["get", "all"], "NAME  REVISION\napps  main@sha1:abc\n", false)]
    #[case::nothing(&["reconcile", "source", "git", "fleet"], "", false)]
    fn help_that_nobody_asked_for_is_no_success(
        #[case] arguments: &[&str],
        #[case] stdout: &str,
        #[case] is_help: bool,
    ) {
        assert_eq!(printed_help_unasked(arguments, stdout), is_help);
    }
}

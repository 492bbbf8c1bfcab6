//! What a command of the scenario did, against what it should have.

use ferry_lab::container::{Output, last_words};
use ferry_scenario::steps::{CommandExpect, Unexpected};

/// A command did otherwise than expected.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` {place}: {unexpected}; {}", last_words(said))]
pub struct CommandError {
    /// The command.
    pub command: String,
    /// Where it ran, as in `in the toolbox`.
    pub place: String,
    /// What was not as expected.
    pub unexpected: Unexpected,
    /// The end of what it said.
    pub said: String,
}

/// Holds a command's end against what was expected.
pub(super) fn judge(command: &str, place: &str, expect: &CommandExpect, output: &Output) -> Result<(), CommandError> {
    let Some(unexpected) = expect.check(output.exit_code, &output.stdout, &output.stderr) else { return Ok(()) };
    let said = match &unexpected {
        Unexpected::Exit { .. } => output.last_words(),
        Unexpected::Said { stream: "standard output", .. } => {
            Output { stderr: String::new(), ..output.clone() }.last_words()
        }
        Unexpected::Said { .. } => Output { stdout: String::new(), ..output.clone() }.last_words(),
    };
    Err(CommandError { command: command.into(), place: place.into(), unexpected, said })
}

/// A command's arguments as people read them: quoted where they have blanks.
pub(super) fn shown(command: &[String]) -> String {
    let quoted = |word: &String| match word.contains(char::is_whitespace) || word.is_empty() {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn output(exit_code: i64, stdout: &str, stderr: &str) -> Output {
        Output { exit_code, stdout: stdout.into(), stderr: stderr.into(), elapsed: Duration::ZERO }
    }

    fn error(expect: &CommandExpect, output: &Output) -> String {
        let command = ["sh".to_owned(), "-c".into(), "a | b".into()];
        judge(&shown(&command), "in the toolbox", expect, output).unwrap_err().to_string()
    }

    #[test]
    fn an_error_quotes_the_stream_that_matters() {
        let mut expect = CommandExpect::default();
        insta::assert_snapshot!(error(&expect, &output(3, "out", "one\ntwo\n")), @r"
        `sh -c 'a | b'` in the toolbox: ended with 3 where 0 was expected; the end of what it said: one
        two
        ");
        expect.stdout_contains = Some(ferry_scenario::Spanned { value: "ready".into(), span: Default::default() });
        insta::assert_snapshot!(error(&expect, &output(0, "not yet", "warning: x")), @r#"`sh -c 'a | b'` in the toolbox: its standard output does not contain "ready"; the end of what it said: not yet"#);
        insta::assert_snapshot!(error(&expect, &output(0, "", "warning: x")), @r#"`sh -c 'a | b'` in the toolbox: its standard output does not contain "ready"; it said nothing"#);
        assert!(judge("x", "here", &expect, &output(0, "all ready", "")).is_ok());
    }
}

//! `exec`: through kubectl in a pod, directly in the toolbox, or as a process of this host.

use ferry_lab::container::Output;
use ferry_scenario::steps::{Exec, ExecIn};
use ferry_scenario::text::ObjectRef;

use super::{Context, StepError, command};
use crate::host;

pub(super) async fn execute(exec: &Exec, cx: &Context<'_>) -> Result<(), StepError> {
    let words: Vec<String> = exec.command.iter().map(|word| word.value.clone()).collect();
    let stdin = exec.stdin.as_deref();
    let (output, place) = match &exec.r#in.value {
        ExecIn::Toolbox => (in_toolbox(words.clone(), stdin, cx).await?, "in the toolbox".to_owned()),
        ExecIn::Host => {
            let kubeconfig = cx.stage.kubeconfig().as_os_str();
            let command = host::Command { words: &words, env: &[("KUBECONFIG", kubeconfig)], stdin, within: cx.within };
            (command.run(&|line| cx.said(line)).await?, "on this host".to_owned())
        }
        ExecIn::Pod(object) => {
            let container = exec.container.as_ref().map(|container| container.as_str());
            let output = in_toolbox(kubectl_exec(object, container, stdin.is_some(), &words), stdin, cx).await?;
            (of_the_command(object, output)?, format!("in {object}"))
        }
    };
    Ok(command::judge(&command::shown(&words), &place, &exec.expect, &output)?)
}

/// Runs a command in the toolbox, its lines going to the record.
pub(super) async fn in_toolbox(words: Vec<String>, stdin: Option<&str>, cx: &Context<'_>) -> Result<Output, StepError> {
    let mut exec = cx.toolbox().exec(words).deadline(cx.within).lines(|_, line| cx.said(line));
    if let Some(text) = stdin {
        exec = exec.input(text.to_owned());
    }
    Ok(exec.run().await?)
}

fn kubectl_exec(object: &ObjectRef, container: Option<&str>, stdin: bool, words: &[String]) -> Vec<String> {
    let mut command: Vec<String> = vec!["kubectl".into(), "exec".into(), "--quiet".into()];
    command.extend(object.namespace.iter().map(|namespace| format!("--namespace={namespace}")));
    command.push(format!("{}/{}", object.kind, object.name));
    command.extend(container.map(|container| format!("--container={container}")));
    command.extend(stdin.then(|| "--stdin".to_owned()));
    command.push("--".into());
    command.extend_from_slice(words);
    command
}

/// What kubectl adds when the command in the pod did not end with 0. Without it the failure is kubectl's own, and must never be
/// taken for the command's.
const NOT_ZERO: &str = "command terminated with exit code ";

/// What the container runtime says of a program that the image does not hold.
const NO_PROGRAM: &str = "executable file not found";

/// What the command in the pod did, told from what kubectl did.
fn of_the_command(object: &ObjectRef, mut output: Output) -> Result<Output, StepError> {
    if output.exit_code == 0 {
        return Ok(output);
    }
    let told = output.stderr.lines().last().is_some_and(|last| last.starts_with(NOT_ZERO));
    if !told {
        let what = format!("kubectl could not run the command in {object}: {}", output.last_words());
        let hint = if output.stderr.contains(NO_PROGRAM) {
            "the container's image does not hold that program; many hold but their own, and no shell"
        } else {
            "the pod must run: `wait` for it first"
        };
        return Err(StepError::mismatch(what, hint.to_owned()));
    }
    let kept = output.stderr.rfind(NOT_ZERO).unwrap_or_default();
    output.stderr.truncate(kept);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn kubectl_is_told_where() {
        let words = ["sh", "-c", "echo a; exit 3"].map(String::from);
        let object: ObjectRef = "deployment/apps/web".parse().unwrap();
        insta::assert_debug_snapshot!(kubectl_exec(&object, None, false, &words).join(" "), @r#""kubectl exec --quiet --namespace=apps deployment/web -- sh -c echo a; exit 3""#);
        insta::assert_debug_snapshot!(kubectl_exec(&object, Some("web"), true, &words[..1]).join(" "), @r#""kubectl exec --quiet --namespace=apps deployment/web --container=web --stdin -- sh""#);
    }

    #[test]
    fn kubectls_failure_is_not_the_commands() {
        let object: ObjectRef = "deployment/apps/web".parse().unwrap();
        let output = |exit_code, stderr: &str| Output {
            exit_code,
            stdout: String::new(),
            stderr: stderr.into(),
            elapsed: Duration::ZERO,
        };
        let found = of_the_command(&object, output(1, "no such thing\ncommand terminated with exit code 1\n")).unwrap();
        assert_eq!((found.exit_code, found.stderr.as_str()), (1, "no such thing\n"));
        let error =
            of_the_command(&object, output(1, "Error from server (NotFound): deployments.apps \"web\" not found\n"));
        insta::assert_snapshot!(error.unwrap_err(), @r#"kubectl could not run the command in deployment/apps/web: Error from server (NotFound): deployments.apps "web" not found"#);
        let hint = |stderr: &str| of_the_command(&object, output(1, stderr)).unwrap_err().hint().unwrap();
        assert!(hint("Error from server (BadRequest): pod web-0 does not have a host assigned").contains("must run"));
        let no_program = "error: failed to start exec: exec: \"cat\": executable file not found in $PATH: unknown";
        assert!(hint(no_program).contains("does not hold that program"));
    }
}

//! Running a build's programs: output line by line into the log, in a process group that dies with the build.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use super::error::StepError;
use super::progress::Log;
use crate::process_group::ProcessGroup;

/// A command that gets nothing to read. Whatever starts it ends it, and all that it started.
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    command
}

/// Runs it to its end; its output goes to the log.
pub(super) async fn run(command: &mut Command, log: &Log<'_>) -> Result<(), StepError> {
    let line = |line: String| log.line(&line);
    status(command, log, line).await
}

/// Runs it to its end and gives back what it wrote to standard output; the rest goes to the log.
pub(super) async fn capture(command: &mut Command, log: &Log<'_>) -> Result<String, StepError> {
    let mut text = String::new();
    let line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    status(command, log, line).await?;
    Ok(text)
}

async fn status(command: &mut Command, log: &Log<'_>, stdout: impl FnMut(String)) -> Result<(), StepError> {
    let text = text_of(command);
    log.line(&format!("$ {text}"));
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|source| StepError::Start { program, source })?;
    let _group = ProcessGroup::of(child.id());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err, status) = tokio::join!(lines(out, stdout), lines(err, |line| log.line(&line)), child.wait());
    out?;
    err?;
    let status: ExitStatus = status?;
    if status.success() { Ok(()) } else { Err(StepError::Exit { command: text, status }) }
}

/// Feeds each line to `sink`. Tools that overwrite their line with a carriage return give one line per overwriting.
async fn lines(from: Option<impl AsyncRead + Unpin>, mut sink: impl FnMut(String)) -> io::Result<()> {
    let Some(from) = from else { return Ok(()) };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        sink(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
        line.clear();
    }
    Ok(())
}

fn text_of(command: &Command) -> String {
    let words = std::iter::once(command.as_std().get_program()).chain(command.as_std().get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bundle::progress::Silent;

    fn shell(script: &str) -> Command {
        let mut command = command("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn output_goes_to_the_log_and_a_failure_names_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::create(folder.path().join("log"), "tool", &Silent).unwrap();
        assert_eq!(capture(&mut shell("echo out; echo err >&2"), &log).await.unwrap(), "out\n");
        let error = run(&mut shell("echo before; exit 3"), &log).await.unwrap_err();
        assert_eq!(error.to_string(), "`sh -c echo before; exit 3` ended with exit status: 3");
        assert_eq!(log.tail(), ["$ sh -c echo out; echo err >&2", "err", "$ sh -c echo before; exit 3", "before"]);
        let error = run(&mut command("/absent/go"), &log).await.unwrap_err();
        assert!(error.to_string().starts_with("/absent/go could not be started"), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_run_takes_its_grandchildren_along() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::create(folder.path().join("log"), "tool", &Silent).unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", pid_file.display());
        let mut command = shell(&script);
        let grandchild = async {
            while !pid_file.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fs_err::read_to_string(&pid_file).unwrap().trim().parse::<i32>().unwrap()
        };
        let pid = tokio::select! {
            pid = grandchild => pid,
            _ = run(&mut command, &log) => panic!("the script ended by itself"),
        };
        let gone = || match fs_err::read_to_string(format!("/proc/{pid}/stat")) {
            // A zombie whose new parent has not asked after it yet is as good as gone.
            Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
            Err(_) => true,
        };
        while !gone() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

//! Commands on the machine that runs ferry: no shell, no terminal, an end by force at their deadline.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ferry_lab::container::{Output, last_words};
use ferry_lab::process_group::ProcessGroup;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};

/// Why a command on this host did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It could not be started.
    #[error("`{program}` cannot be started on this host: {source}")]
    Start {
        /// The program.
        program: String,
        /// What came back.
        source: std::io::Error,
    },
    /// Its input or output broke.
    #[error("`{program}` on this host cannot be spoken to: {source}")]
    Pipe {
        /// The program.
        program: String,
        /// What came back.
        source: std::io::Error,
    },
    /// It did not end in time.
    #[error("`{program}` on this host did not end within {within:?} and was killed; {}", last_words(said))]
    Deadline {
        /// The program.
        program: String,
        /// What it had.
        within: Duration,
        /// The last it said.
        said: String,
    },
}

/// A command for this host.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// The program and its arguments.
    pub words: &'a [String],
    /// Variables set besides those of ferry's own environment.
    pub env: &'a [(&'a str, &'a OsStr)],
    /// What it reads; nothing when absent.
    pub stdin: Option<&'a str>,
    /// When it is killed, and everything that it has started with it.
    pub within: Duration,
}

impl Command<'_> {
    /// Runs it to its end, whatever its exit code; one that a signal ended has 128 and the signal's number, as in a shell.
    /// `line` hears its lines as they come.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time.
    pub async fn run(&self, line: &dyn Fn(&str)) -> Result<Output, HostError> {
        let program = self.words.first().cloned().unwrap_or_default();
        let started = Instant::now();
        let mut child = tokio::process::Command::new(&program)
            .args(self.words.iter().skip(1))
            .envs(self.env.iter().copied())
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .map_err(|source| HostError::Start { program: program.clone(), source })?;
        let group = ProcessGroup::of(child.id());
        let (stdout, stderr) = (RefCell::new(String::new()), RefCell::new(String::new()));
        let (out, err, input) = (child.stdout.take(), child.stderr.take(), child.stdin.take());
        let feed = async {
            if let (Some(mut input), Some(text)) = (input, self.stdin) {
                // A command that does not read to the end says by its exit code whether that was right.
                let _ = input.write_all(text.as_bytes()).await;
            }
        };
        let work = async {
            let (out, err, status, ()) =
                tokio::join!(listen(out, &stdout, line), listen(err, &stderr, line), child.wait(), feed);
            out?;
            err?;
            status
        };
        let ended = tokio::time::timeout(self.within, work).await;
        drop(group);
        let (stdout, stderr) = (stdout.into_inner(), stderr.into_inner());
        let elapsed = started.elapsed();
        match ended {
            Ok(Ok(status)) => {
                use std::os::unix::process::ExitStatusExt as _;
                let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
                Ok(Output { exit_code: code.into(), stdout, stderr, elapsed })
            }
            Ok(Err(source)) => Err(HostError::Pipe { program, source }),
            Err(_) => {
                let said = Output { exit_code: -1, stdout, stderr, elapsed }.last_words();
                Err(HostError::Deadline { program, within: self.within, said })
            }
        }
    }
}

async fn listen(
    from: Option<impl AsyncRead + Unpin>,
    text: &RefCell<String>,
    line: &dyn Fn(&str),
) -> std::io::Result<()> {
    let Some(from) = from else { return Ok(()) };
    let mut reader = BufReader::new(from);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).await? > 0 {
        let heard = String::from_utf8_lossy(&bytes).into_owned();
        line(heard.trim_end_matches(['\n', '\r']));
        text.borrow_mut().push_str(&heard);
        bytes.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(words: &[&str], stdin: Option<&str>, within: Duration) -> (Result<Output, HostError>, Vec<String>) {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        let heard = RefCell::new(vec![]);
        let env: [(&str, &OsStr); 1] = [("KUBECONFIG", OsStr::new("/of/the/run"))];
        let command = Command { words: &words, env: &env, stdin, within };
        let result = command.run(&|line| heard.borrow_mut().push(line.to_owned())).await;
        (result, heard.into_inner())
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_command_is_heard_and_its_end_is_known() {
        let script = "read word; echo \"$word $KUBECONFIG\"; echo oops >&2; exit 3";
        let (output, mut heard) = run(&["sh", "-c", script], Some("hello\n"), LONG).await;
        let output = output.unwrap();
        heard.sort();
        assert_eq!(heard, ["hello /of/the/run", "oops"]);
        assert_eq!(
            (output.exit_code, output.stdout.as_str(), output.stderr.as_str()),
            (3, "hello /of/the/run\n", "oops\n")
        );
    }

    #[tokio::test]
    async fn arguments_are_no_shell_syntax_and_a_signal_has_a_code() {
        let (output, _) = run(&["echo", "$HOME; exit 3"], None, LONG).await;
        assert_eq!(output.unwrap().stdout, "$HOME; exit 3\n");
        let (output, _) = run(&["sh", "-c", "kill -TERM $$"], None, LONG).await;
        assert_eq!(output.unwrap().exit_code, 143);
    }

    #[tokio::test]
    async fn what_does_not_end_is_killed_with_its_children() {
        // The grandchild holds the pipe: were it not killed, this would wait for ten minutes.
        let script = "echo begun; sleep 600 & wait";
        let (error, _) = run(&["sh", "-c", script], None, Duration::from_millis(300)).await;
        assert!(matches!(error.unwrap_err(), HostError::Deadline { program, .. } if program == "sh"));
        let (error, _) = run(&["/absent/tool"], None, LONG).await;
        assert!(
            error.unwrap_err().to_string().starts_with("`/absent/tool` cannot be started on this host: No such file")
        );
    }
}

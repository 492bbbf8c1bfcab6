//! Commands in containers, through the engine's API.

use std::fmt;
use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use rand::distr::{Alphanumeric, SampleString};
use tokio::io::AsyncWriteExt;

use super::ContainerRef;

/// How long a command may run unless it says otherwise: 60 s.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// Why a command in a container did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The engine could not run it.
    #[error("cannot run `{command}` in container {container}: {source}")]
    Engine {
        /// The command.
        command: String,
        /// Where.
        container: String,
        /// What came back.
        source: bollard::errors::Error,
    },
    /// What should have gone to its standard input could not be read or sent.
    #[error("cannot feed `{command}` in container {container}: {source}")]
    Input {
        /// The command.
        command: String,
        /// Where.
        container: String,
        /// What came back.
        source: std::io::Error,
    },
    /// It ended, but not well.
    #[error("`{command}` in container {container} ended with {exit_code}: {}", .output.last_words())]
    Failed {
        /// The command.
        command: String,
        /// Where.
        container: String,
        /// Its exit code.
        exit_code: i64,
        /// All it said.
        output: Box<Output>,
    },
    /// It did not end in time, and was killed.
    #[error(
        "`{command}` in container {container} did not end within {deadline:?} and was killed; {}",
        last_words(said)
    )]
    Deadline {
        /// The command.
        command: String,
        /// Where.
        container: String,
        /// What it had.
        deadline: Duration,
        /// The last it said.
        said: String,
    },
}

/// Which of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Takes a command's lines as they come, without their ends.
pub type LineSink<'a> = Box<dyn FnMut(Stream, &str) + Send + 'a>;

/// A command to run. Made by [`ContainerRef::exec`], run by [`Exec::run`] or [`Exec::succeed`].
pub struct Exec<'a> {
    container: &'a ContainerRef,
    command: Vec<String>,
    shown: Option<String>,
    env: Vec<String>,
    deadline: Duration,
    input: Option<BoxStream<'a, std::io::Result<Bytes>>>,
    lines: Option<LineSink<'a>>,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub exit_code: i64,
    /// All of its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// How long it ran.
    pub elapsed: Duration,
}

impl Output {
    /// The last few lines of what it said, standard error first choice.
    #[must_use]
    pub fn last_words(&self) -> String {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        tail(said)
    }
}

/// What something said last, as the end of an error.
pub fn last_words(said: &str) -> String {
    if said.trim().is_empty() { "it said nothing".into() } else { format!("the end of what it said: {said}") }
}

fn tail(text: &str) -> String {
    const LINES: usize = 8;
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

impl ContainerRef {
    /// A command for this container, by its arguments; no shell is involved.
    pub fn exec<'a>(&'a self, command: impl IntoIterator<Item = impl Into<String>>) -> Exec<'a> {
        Exec {
            container: self,
            command: command.into_iter().map(Into::into).collect(),
            shown: None,
            env: Vec::new(),
            deadline: DEFAULT_DEADLINE,
            input: None,
            lines: None,
        }
    }
}

impl<'a> Exec<'a> {
    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// Kills it after this time; [`DEFAULT_DEADLINE`] otherwise.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How the command appears in errors, where its arguments hold a secret.
    #[must_use]
    pub fn shown_as(mut self, shown: impl Into<String>) -> Self {
        self.shown = Some(shown.into());
        self
    }

    /// Feeds its standard input.
    #[must_use]
    pub fn input(self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        self.input_stream(futures::stream::once(async move { Ok(bytes) }).boxed())
    }

    /// Feeds its standard input as the content comes.
    #[must_use]
    pub fn input_stream(mut self, input: BoxStream<'a, std::io::Result<Bytes>>) -> Self {
        self.input = Some(input);
        self
    }

    /// Hands its lines on as they come, besides keeping them for [`Output`].
    #[must_use]
    pub fn lines(mut self, sink: impl FnMut(Stream, &str) + Send + 'a) -> Self {
        self.lines = Some(Box::new(sink));
        self
    }

    /// Runs it to its end, whatever its exit code.
    ///
    /// # Errors
    /// When it cannot be run or does not end in time.
    pub async fn run(self) -> Result<Output, ExecError> {
        let (container, deadline) = (self.container, self.deadline);
        let command = self.shown.clone().unwrap_or_else(|| self.command.join(" "));
        let mark = Alphanumeric.sample_string(&mut rand::rng(), 16);
        let mut heard = Heard::default();
        match tokio::time::timeout(deadline, self.run_marked(&command, &mark, &mut heard)).await {
            Ok(result) => result,
            Err(_) => {
                container.kill_marked(&mark).await;
                let said = tail(if heard.err.text.is_empty() { &heard.out.text } else { &heard.err.text });
                Err(ExecError::Deadline { command, container: container.name.clone(), deadline, said })
            }
        }
    }

    /// Runs it to its end, which must be exit code 0.
    ///
    /// # Errors
    /// When it cannot be run, does not end in time, or ends with another exit code.
    pub async fn succeed(self) -> Result<Output, ExecError> {
        let container = self.container.name.clone();
        let command = self.shown.clone().unwrap_or_else(|| self.command.join(" "));
        let output = self.run().await?;
        if output.exit_code == 0 {
            Ok(output)
        } else {
            Err(ExecError::Failed { command, container, exit_code: output.exit_code, output: Box::new(output) })
        }
    }

    async fn run_marked(self, command: &str, mark: &str, heard: &mut Heard) -> Result<Output, ExecError> {
        let Self { container, command: arguments, mut env, input, mut lines, .. } = self;
        let failed = |source| ExecError::Engine { command: command.into(), container: container.name.clone(), source };
        let started = Instant::now();
        env.push(format!("{MARK}={mark}"));
        let options = CreateExecOptions {
            cmd: Some(arguments),
            env: Some(env),
            attach_stdin: Some(input.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let id = container.docker.create_exec(&container.name, options).await.map_err(failed)?.id;
        let start = StartExecOptions { detach: false, tty: false, output_capacity: Some(64 * 1024) };
        let StartExecResults::Attached { mut output, input: mut stdin } =
            container.docker.start_exec(&id, Some(start)).await.map_err(failed)?
        else {
            return Err(failed(bollard::errors::Error::IOError {
                err: std::io::Error::other("the engine detached from it"),
            }));
        };
        let feed = async {
            let Some(mut input) = input else { return Ok(()) };
            while let Some(chunk) = input.try_next().await? {
                stdin.write_all(&chunk).await?;
            }
            stdin.shutdown().await
        };
        let listen = async {
            while let Some(chunk) = output.try_next().await? {
                heard.take(chunk, &mut lines);
            }
            heard.finish(&mut lines);
            Ok(())
        };
        let (fed, listened) = tokio::join!(feed, listen);
        listened.map_err(failed)?;
        let exit_code = container.docker.inspect_exec(&id).await.map_err(failed)?.exit_code.unwrap_or_default();
        // A command that fails stops reading: its own words then say more than the broken pipe does.
        if let (Err(source), 0) = (fed, exit_code) {
            return Err(ExecError::Input { command: command.into(), container: container.name.clone(), source });
        }
        Ok(Output {
            exit_code,
            stdout: std::mem::take(&mut heard.out.text),
            stderr: std::mem::take(&mut heard.err.text),
            elapsed: started.elapsed(),
        })
    }
}

impl fmt::Debug for Exec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec")
            .field("container", &self.container.name)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Set in the environment of every command, so that it and its children can be found again. The engine's API cannot kill them.
const MARK: &str = "FERRY_EXEC";

impl ContainerRef {
    async fn kill_marked(&self, mark: &str) {
        const KILL: &str = r#"for process in $(grep -lz "^$0$" /proc/[0-9]*/environ 2>/dev/null); do
            process=${process#/proc/}; kill -KILL "${process%/environ}"; done"#;
        let options = CreateExecOptions {
            cmd: Some(vec!["sh".to_owned(), "-c".into(), KILL.into(), format!("{MARK}={mark}")]),
            ..Default::default()
        };
        // Best effort: whatever survives ends with its container.
        if let Ok(exec) = self.docker.create_exec(&self.name, options).await {
            let detached = StartExecOptions { detach: true, ..Default::default() };
            self.docker.start_exec(&exec.id, Some(detached)).await.ok();
        }
    }
}

#[derive(Default)]
struct Heard {
    out: Lines,
    err: Lines,
}

/// Text, of which everything before `told` has been handed on as lines.
#[derive(Default)]
struct Lines {
    text: String,
    /// Bytes of a character that was cut by the end of a chunk.
    cut: Vec<u8>,
    told: usize,
}

impl Heard {
    fn take(&mut self, chunk: LogOutput, sink: &mut Option<LineSink<'_>>) {
        match chunk {
            LogOutput::StdErr { message } => self.err.take(&message, Stream::Err, sink),
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                self.out.take(&message, Stream::Out, sink)
            }
            LogOutput::StdIn { .. } => {}
        }
    }

    fn finish(&mut self, sink: &mut Option<LineSink<'_>>) {
        self.out.finish(Stream::Out, sink);
        self.err.finish(Stream::Err, sink);
    }
}

impl Lines {
    fn take(&mut self, bytes: &[u8], stream: Stream, sink: &mut Option<LineSink<'_>>) {
        self.cut.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.cut);
        let mut rest = bytes.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => break self.text.push_str(text),
                Err(error) => {
                    let (valid, invalid) = rest.split_at(error.valid_up_to());
                    self.text.push_str(&String::from_utf8_lossy(valid));
                    let Some(length) = error.error_len() else { break self.cut = invalid.to_vec() };
                    self.text.push(char::REPLACEMENT_CHARACTER);
                    rest = &invalid[length..];
                }
            }
        }
        if let Some(sink) = sink {
            while let Some(length) = self.text[self.told..].find('\n') {
                sink(stream, self.text[self.told..self.told + length].trim_end_matches('\r'));
                self.told += length + 1;
            }
        }
    }

    fn finish(&mut self, stream: Stream, sink: &mut Option<LineSink<'_>>) {
        if !self.cut.is_empty() {
            self.cut.clear();
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
        if let (Some(sink), false) = (sink, self.text[self.told..].is_empty()) {
            sink(stream, &self.text[self.told..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hear(chunks: &[&[u8]]) -> (String, Vec<String>) {
        let mut told = Vec::new();
        let mut lines = Lines::default();
        let mut sink: Option<LineSink<'_>> = Some(Box::new(|_, line: &str| told.push(line.to_owned())));
        for chunk in chunks {
            lines.take(chunk, Stream::Out, &mut sink);
        }
        lines.finish(Stream::Out, &mut sink);
        drop(sink);
        (lines.text, told)
    }

    #[test]
    fn lines_are_told_once_wherever_chunks_end() {
        let (text, told) = hear(&[b"one\ntw", b"o\r\n\nthr", "é".as_bytes(), b"e"]);
        assert_eq!(text, "one\ntwo\r\n\nthrée");
        assert_eq!(told, ["one", "two", "", "thrée"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(hear(&[b"a\xffb\n\xc3"]).0, "a\u{fffd}b\n\u{fffd}");
    }

    proptest! {
        #[test]
        fn cutting_text_into_chunks_changes_nothing(text in "\\PC{0,40}(\n\\PC{0,20}){0,4}", at in 0usize..200) {
            let bytes = text.as_bytes();
            let (head, rest) = bytes.split_at(at.min(bytes.len()));
            let whole = hear(&[bytes]);
            prop_assert_eq!(&whole.0, &text);
            prop_assert_eq!(whole, hear(&[head, rest]));
        }
    }

    #[test]
    fn an_error_quotes_the_end_of_what_was_said() {
        let stderr: String = (0..20).map(|line| format!("line {line}\n")).collect();
        let output = Output { exit_code: 3, stdout: "ignored".into(), stderr, elapsed: Duration::ZERO };
        let error = ExecError::Failed {
            command: "flux bootstrap git".into(),
            container: "toolbox".into(),
            exit_code: 3,
            output: Box::new(output),
        };
        insta::assert_snapshot!(error, @"
        `flux bootstrap git` in container toolbox ended with 3: line 12
        line 13
        line 14
        line 15
        line 16
        line 17
        line 18
        line 19
        ");
    }
}

//! Where errors of the libraries become what a person reads, and an exit code.

use std::error::Error;

use miette::Diagnostic;

/// Exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Passed, or ended as the scenario expects.
    Pass = 0,
    /// A rule was violated.
    Fail = 1,
    /// Wrong arguments, or a scenario that does not lint.
    Usage = 2,
    /// The machine or the lab, not the migration.
    Infra = 3,
    /// Too little evidence.
    Inconclusive = 4,
    /// Asked to stop.
    Cancelled = 130,
}

impl Exit {
    /// As summaries say it.
    pub fn word(self) -> &'static str {
        match self {
            Exit::Pass => "as expected",
            Exit::Fail => "failed",
            Exit::Usage => "could not run",
            Exit::Infra => "infrastructure broke",
            Exit::Inconclusive => "inconclusive",
            Exit::Cancelled => "cancelled",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error as people see it: what was tried, what came back, what to do next.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{what}")]
pub struct Problem {
    what: String,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
    #[help]
    help: Option<String>,
    exit: Exit,
}

impl Problem {
    /// Something about the machine or the lab.
    pub fn infra(what: impl Into<String>) -> Self {
        Self { what: what.into(), cause: None, help: None, exit: Exit::Infra }
    }

    /// Something about the arguments or the scenario.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::infra(what) }
    }

    /// What came back.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.help = hint.into();
        self
    }

    /// What to do next.
    pub fn help_text(&self) -> Option<String> {
        self.help.clone()
    }

    /// The exit code that it leads to.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

/// An error with all its causes in one line, for records and logs.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

//! `log`: what a workload says.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lint_has_pods;
use crate::lint::{Findings, Rule};
use crate::span::Spanned;
use crate::steps::one_of::{one_of, required};
use crate::text::{Name, ObjectRef, Regex};

/// A line in the log of any of a workload's pods, those that start meanwhile included.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "LogFile")]
#[schemars(with = "LogFile")]
pub struct Log {
    /// The workload, or a pod.
    pub of: Spanned<ObjectRef>,
    /// The container; none: all of them.
    pub container: Option<Spanned<Name>>,
    /// What the line says.
    pub line: Pattern,
    /// From when on lines count.
    pub since: Since,
}

/// What a text says.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// This text is somewhere in it.
    Contains(Spanned<String>),
    /// It matches.
    Matches(Spanned<Regex>),
}

impl Pattern {
    /// Whether a text says so.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Contains(part) => text.contains(part.as_str()),
            Pattern::Matches(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Contains(text) => write!(f, "“{text}”"),
            Pattern::Matches(regex) => write!(f, "/{regex}/"),
        }
    }
}

/// From when on lines count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Since {
    /// Since this step began.
    #[default]
    Step,
    /// Since the run began: what a workload may have said before anybody waited for it.
    Run,
}

/// [`Log`] as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Log", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = required(&["contains", "matches"])))]
struct LogFile {
    /// The workload whose pods log it, or a pod.
    of: Spanned<ObjectRef>,
    /// The container that logs it. Default: any.
    container: Option<Spanned<Name>>,
    /// A text that the line contains.
    contains: Option<Spanned<String>>,
    /// A regular expression that the line matches.
    matches: Option<Spanned<Regex>>,
    /// From when on lines count. Default: step.
    #[serde(default)]
    since: Since,
}

impl TryFrom<LogFile> for Log {
    type Error = String;

    fn try_from(file: LogFile) -> Result<Log, String> {
        let LogFile { of, container, contains, matches, since } = file;
        let line = [("contains", contains.map(Pattern::Contains)), ("matches", matches.map(Pattern::Matches))];
        Ok(Log { of, container, line: one_of("log", "text to look for", "contains: stored artifact", line)?, since })
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt(f)?;
        self.container.as_ref().map_or(Ok(()), |container| write!(f, " ({container})"))?;
        write!(f, " {} {}", if self.since == Since::Run { "has logged" } else { "logs" }, self.line)
    }
}

pub(super) const ANY_LINE: Rule = Rule {
    code: "F226",
    name: "any-line",
    explain: "Every line contains the empty text: the first one that a workload logs would do, whatever it says.",
    failing: "- wait: {log: {of: deployment/apps/web, contains: \"\"}}",
    passing: "- wait: {log: {of: deployment/apps/web, contains: listening}}",
    ..Rule::ERROR
};

impl Log {
    pub(super) fn lint(&self, findings: &mut Findings<'_>) {
        lint_has_pods(&self.of, findings);
        if self.line.fits("") {
            let span = match &self.line {
                Pattern::Contains(text) => text.span,
                Pattern::Matches(regex) => regex.span,
            };
            findings.report(&ANY_LINE, span, "every line fits this", "write what tells the awaited line from others");
        }
    }
}

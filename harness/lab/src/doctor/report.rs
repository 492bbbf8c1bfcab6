//! What the doctor found, as data and as text.

use std::fmt::Write as _;

use serde::Serialize;

/// How a finding bears on the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// The run can start, but something may go wrong or be slow.
    Warn,
    /// The run cannot start.
    Fail,
    /// Not looked at, as nothing depends on it or nothing can be told.
    Skip,
}

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// In words.
    pub text: String,
    /// The exact command, where one does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A remedy that [`provision`](crate::doctor::provision) can carry out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fix {
    /// Install this Debian package.
    Package(String),
    /// Start Docker Engine, installed by then.
    StartEngine,
    /// Make the folder for kernel modules, which nodes mount.
    ModulesFolder,
    /// Raise this sysctl to at least this value.
    Sysctl(String, u64),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// How it bears on the run.
    pub status: Status,
    /// What was found.
    pub observed: String,
    /// Why it matters. Shown unless the status is `ok`.
    pub why: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    /// What provisioning would do about it. Empty where it may not act.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
}

impl Finding {
    /// Whether provisioning can mend it.
    pub fn can_provision(&self) -> bool {
        !self.fixes.is_empty()
    }
}

/// All findings, in the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One or more per check.
    pub findings: Vec<Finding>,
}

/// How to print a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Colours and symbols, for a terminal.
    Fancy,
    /// ASCII only, for a file or a pipe.
    Plain,
}

impl Report {
    /// The findings that keep the run from starting.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.status == Status::Fail)
    }

    /// Whether the run can start.
    pub fn ready(&self) -> bool {
        self.blocking().next().is_none()
    }

    /// What provisioning would do, each once, in the order in which it would be done.
    pub fn fixes(&self) -> Vec<Fix> {
        let mut fixes: Vec<Fix> = self.findings.iter().flat_map(|finding| finding.fixes.clone()).collect();
        fixes.sort();
        fixes.dedup();
        fixes
    }

    /// The report as a table, each finding that is not well followed by why it matters and what to do. Ends with a newline.
    pub fn text(&self, style: Style) -> String {
        let width = self.findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
        let mut out = String::new();
        for finding in &self.findings {
            let (mark, colour) = finding.status.mark(style);
            let line = format!("{mark} {:width$}  {}", finding.check, finding.observed);
            let _ = writeln!(out, "{}", paint(style, colour, &line));
            if matches!(finding.status, Status::Warn | Status::Fail) {
                let indent = " ".repeat(mark.chars().count() + width + 3);
                let _ = writeln!(out, "{indent}{}", finding.why);
                if let Some(remedy) = &finding.remedy {
                    let _ = writeln!(out, "{indent}remedy: {}", remedy.text);
                    for command in remedy.command.iter().flat_map(|command| command.lines()) {
                        let _ = writeln!(out, "{indent}  $ {command}");
                    }
                }
            }
        }
        let _ = writeln!(out, "\n{}", self.summary());
        out
    }

    /// One line: whether the run can start, and what provisioning would do.
    pub fn summary(&self) -> String {
        let count = |status| self.findings.iter().filter(|finding| finding.status == status).count();
        let (fail, warn) = (count(Status::Fail), count(Status::Warn));
        let warnings = match warn {
            0 => String::new(),
            1 => ", 1 warning".into(),
            n => format!(", {n} warnings"),
        };
        let mendable = self.blocking().filter(|finding| finding.can_provision()).count();
        match (fail, mendable) {
            (0, _) => format!("ready{warnings}"),
            (n, 0) => format!("not ready: {} in the way{warnings}", things(n)),
            (n, m) if n == m => {
                format!("not ready: {} in the way{warnings}; --provision would mend all of it", things(n))
            }
            (n, m) => format!("not ready: {} in the way{warnings}; --provision would mend {m}", things(n)),
        }
    }
}

fn things(n: usize) -> String {
    if n == 1 { "1 thing".into() } else { format!("{n} things") }
}

impl Status {
    fn mark(self, style: Style) -> (&'static str, &'static str) {
        match (self, style) {
            (Self::Ok, Style::Fancy) => ("✔", "32"),
            (Self::Warn, Style::Fancy) => ("!", "33"),
            (Self::Fail, Style::Fancy) => ("✗", "31"),
            (Self::Skip, Style::Fancy) => ("-", "2"),
            (Self::Ok, Style::Plain) => ("ok  ", ""),
            (Self::Warn, Style::Plain) => ("warn", ""),
            (Self::Fail, Style::Plain) => ("FAIL", ""),
            (Self::Skip, Style::Plain) => ("skip", ""),
        }
    }
}

fn paint(style: Style, colour: &str, line: &str) -> String {
    match style {
        Style::Fancy => format!("\u{1b}[{colour}m{line}\u{1b}[0m"),
        Style::Plain => line.into(),
    }
}

//! What is wrong with a scenario although it parses. A rule that belongs to a kind of step is in that step's file, every
//! other has its own file under `rules`, and one line in its table.

mod rules;

pub use rules::SCENARIO_RULES;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::folders::{self, Files, Found};
use crate::model::Scenario;
use crate::span::Span;
use crate::steps;
use crate::text::RelPath;

/// A rule, as its explanation shows it. Its examples are sections of a scenario file or steps of a phase; the rest is as in
/// a scenario that breaks no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `F` and three digits; never given to another rule.
    pub code: &'static str,
    /// A short name.
    pub name: &'static str,
    /// Why it is a rule.
    pub explain: &'static str,
    /// What breaks it.
    pub failing: &'static str,
    /// What does not.
    pub passing: &'static str,
}

/// A rule over the whole scenario.
#[derive(Debug, Clone, Copy)]
pub struct ScenarioRule {
    /// How it is explained.
    pub rule: Rule,
    /// Reports each place that breaks it.
    pub check: fn(&mut Findings<'_>),
}

/// Every rule there is, in the order of their codes.
pub fn all_rules() -> Vec<Rule> {
    let of_steps = steps::KINDS.iter().flat_map(|kind| kind.rules).copied();
    let mut rules: Vec<Rule> = SCENARIO_RULES.iter().map(|r| r.rule).chain(of_steps).collect();
    rules.sort_by_key(|rule| rule.code);
    rules
}

/// Checks a scenario against every rule.
pub fn lint(scenario: &Scenario, files: &dyn Files) -> Diagnostics {
    let mut findings = Findings { scenario, files, here: Span::default(), found: Vec::new() };
    for rule in SCENARIO_RULES {
        (rule.check)(&mut findings);
    }
    for step in scenario.steps() {
        findings.here = step.span;
        step.action().lint(&mut findings);
    }
    findings.found.into()
}

/// What a rule sees, and where it reports to.
pub struct Findings<'a> {
    scenario: &'a Scenario,
    files: &'a dyn Files,
    here: Span,
    found: Vec<Diagnostic>,
}

impl std::fmt::Debug for Findings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Findings").field("found", &self.found).finish_non_exhaustive()
    }
}

impl<'a> Findings<'a> {
    /// The scenario that is checked.
    pub fn scenario(&self) -> &'a Scenario {
        self.scenario
    }

    /// The files around it.
    pub fn files(&self) -> &'a dyn Files {
        self.files
    }

    /// The step that is checked.
    pub fn here(&self) -> Span {
        self.here
    }

    /// Reports that the scenario cannot run like this.
    pub fn error(&mut self, rule: &Rule, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.report(rule, Severity::Error, span, message.into(), help.into());
    }

    /// Reports that this is probably not what the author means.
    pub fn warning(&mut self, rule: &Rule, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.report(rule, Severity::Warning, span, message.into(), help.into());
    }

    fn report(&mut self, rule: &Rule, severity: Severity, span: Span, message: String, help: String) {
        let diagnostic =
            Diagnostic::error(rule.code, &self.scenario.source, span, message).labelled(rule.name).helped(help);
        self.found.push(Diagnostic { severity, ..diagnostic });
    }

    /// What is at a path in the fleet, if anything.
    pub fn find_in_fleet(&self, path: &RelPath) -> Option<Found> {
        self.files.find(&format!("{}/{path}", self.scenario.fleet.value))
    }

    /// Where a file that a step names is.
    pub fn locate(&self, file: &RelPath) -> Option<String> {
        folders::locate(self.scenario, file, self.files)
    }
}

#[cfg(test)]
mod tests;

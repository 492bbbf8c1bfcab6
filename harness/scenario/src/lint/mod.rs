//! What is wrong with a scenario although it parses. A rule that belongs to a kind of step or probe is in that kind's file, every
//! other has its own file under `rules`, and one line in its table.

mod allow;
mod course;
mod explain;
pub mod fleet;
pub mod format;
mod known;
mod rules;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use course::{Course, Stop};
pub use explain::explain;
pub use known::Known;
pub use rules::{PARSE_RULES, SCENARIO_RULES};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::folders::{self, Files, Found};
use crate::model::{Phase, Scenario};
use crate::probes;
use crate::span::{Source, Span, Spanned};
use crate::steps;
use crate::text::RelPath;
use crate::vars::TEMPLATE;
use fleet::{Fleet, Manifest};

/// A rule, as its explanation shows it. Its examples are sections of a scenario file or steps of a phase; the rest is as in
/// a scenario that breaks no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `F` (lint) or `E` (parsing) and three digits; never given to another rule.
    pub code: &'static str,
    /// A short name.
    pub name: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// Why it is a rule.
    pub explain: &'static str,
    /// What breaks it; empty where no text of a few lines can.
    pub failing: &'static str,
    /// Files of the failing example, by their path under scenarios; they replace those of the same path.
    pub failing_files: &'static [(&'static str, &'static str)],
    /// What does not.
    pub passing: &'static str,
    /// Files of the passing example.
    pub passing_files: &'static [(&'static str, &'static str)],
}

impl Rule {
    /// The fields that most rules about what cannot run have in common.
    pub const ERROR: Rule = Rule {
        code: "",
        name: "",
        severity: Severity::Error,
        explain: "",
        failing: "",
        failing_files: &[],
        passing: "",
        passing_files: &[],
    };

    /// The fields that most rules about what is probably not meant have in common.
    pub const WARNING: Rule = Rule { severity: Severity::Warning, ..Rule::ERROR };
}

/// A rule over the whole scenario.
#[derive(Debug, Clone, Copy)]
pub struct ScenarioRule {
    /// How it is explained.
    pub rule: Rule,
    /// Reports each place that breaks it.
    pub check: fn(&mut Findings<'_>),
}

/// Every rule of lint, in the order of their codes.
pub fn all_rules() -> Vec<Rule> {
    let of_kinds = steps::KINDS.iter().chain(probes::KINDS).flat_map(|kind| kind.rules).copied();
    let of_comments = allow::RULES.iter().copied();
    let mut rules: Vec<Rule> = SCENARIO_RULES.iter().map(|r| r.rule).chain(of_kinds).chain(of_comments).collect();
    rules.sort_by_key(|rule| rule.code);
    rules
}

/// Checks a scenario against every rule that needs nothing but its files. For many scenarios, or to check against what the
/// bundle holds as well, make a [`Linter`].
pub fn lint(scenario: &Scenario, files: &dyn Files) -> Diagnostics {
    Linter::new(files).lint(scenario)
}

/// Checks scenarios that share their files: each fleet is read once.
pub struct Linter<'a> {
    files: &'a dyn Files,
    known: Option<&'a Known>,
    fleets: RefCell<BTreeMap<String, Rc<Fleet>>>,
}

impl std::fmt::Debug for Linter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linter").field("known", &self.known).finish_non_exhaustive()
    }
}

impl<'a> Linter<'a> {
    /// A linter for scenarios of one folder.
    pub fn new(files: &'a dyn Files) -> Linter<'a> {
        Linter { files, known: None, fleets: RefCell::default() }
    }

    /// Checks releases and images as well: they must be among those `known`.
    #[must_use]
    pub fn knowing(self, known: &'a Known) -> Linter<'a> {
        Linter { known: Some(known), ..self }
    }

    /// Checks a scenario against every rule, but for what its `# ferry: allow` comments allow.
    pub fn lint(&self, scenario: &Scenario) -> Diagnostics {
        let mut findings = self.findings(scenario);
        for rule in SCENARIO_RULES {
            (rule.check)(&mut findings);
        }
        for probe in &scenario.probes {
            probe.question().lint(&mut findings);
        }
        for step in scenario.steps() {
            findings.here = step.span;
            step.action().lint(&mut findings);
        }
        let Findings { found, fleet, .. } = findings;
        allow::apply(scenario, &fleet, found).into()
    }

    /// The images that the pods of a scenario's objects run, as manifests name them.
    pub fn images(&self, scenario: &Scenario) -> BTreeSet<String> {
        let manifests = self.findings(scenario).manifests();
        manifests.iter().flat_map(|manifest| manifest.images()).filter_map(|image| Some(image.text()?.into())).collect()
    }

    fn findings<'s>(&'s self, scenario: &'s Scenario) -> Findings<'s> {
        let fleet = self.fleet(scenario.fleet.as_str());
        let course = Rc::new(Course::new(scenario, self.files));
        let synced = Rc::new(fleet.synced(&course.sync_paths()));
        Findings {
            scenario,
            files: self.files,
            known: self.known,
            fleet,
            synced,
            course,
            here: Span::default(),
            found: Vec::new(),
        }
    }

    fn fleet(&self, folder: &str) -> Rc<Fleet> {
        let mut fleets = self.fleets.borrow_mut();
        let read = || Rc::new(Fleet::read(folder, self.files));
        Rc::clone(fleets.entry(folder.to_owned()).or_insert_with(read))
    }
}

/// What a rule sees, and where it reports to.
pub struct Findings<'a> {
    scenario: &'a Scenario,
    files: &'a dyn Files,
    known: Option<&'a Known>,
    fleet: Rc<Fleet>,
    synced: Rc<Vec<Rc<Manifest>>>,
    course: Rc<Course<'a>>,
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

    /// Whether the scenario is a file: what an editor passes on has neither a name nor files beside it.
    pub fn is_file(&self) -> bool {
        !self.scenario.source.name().starts_with('<')
    }

    /// The files around it.
    pub fn files(&self) -> &'a dyn Files {
        self.files
    }

    /// Releases and images that a run can have, where that is known.
    pub fn known(&self) -> Option<&'a Known> {
        self.known
    }

    /// The files of its fleet, read.
    pub fn fleet(&self) -> Rc<Fleet> {
        Rc::clone(&self.fleet)
    }

    /// The fleet's objects that Flux applies, by way of bootstrap's path and the Kustomizations there.
    pub fn synced(&self) -> Rc<Vec<Rc<Manifest>>> {
        Rc::clone(&self.synced)
    }

    /// Its steps in order, with what they apply.
    pub fn course(&self) -> Rc<Course<'a>> {
        Rc::clone(&self.course)
    }

    /// Every object that the cluster comes to know of: synced, applied or committed.
    pub fn manifests(&self) -> Vec<Rc<Manifest>> {
        self.synced.iter().chain(self.course.manifests()).map(Rc::clone).collect()
    }

    /// The FluxInstances among them.
    pub fn instances(&self) -> Vec<Rc<Manifest>> {
        self.instances_in(&self.course)
    }

    /// The FluxInstances that come to be in one cluster, by its own [course](Course::of_each_cluster).
    pub fn instances_in(&self, course: &Course<'_>) -> Vec<Rc<Manifest>> {
        let synced = self.fleet.synced(&course.sync_paths());
        let all = synced.into_iter().chain(course.manifests().map(Rc::clone));
        all.filter(|m| m.is("fluxcd.controlplane.io", "FluxInstance")).collect()
    }

    /// The step that is checked.
    pub fn here(&self) -> Span {
        self.here
    }

    /// The phase of the step that is checked.
    pub fn phase(&self) -> Option<&'a Spanned<Phase>> {
        self.scenario.phases.iter().find(|phase| {
            let mut steps = phase.steps.iter().chain(&phase.rollback).flat_map(steps::walk);
            steps.any(|step| step.span == self.here)
        })
    }

    /// Reports a place in the scenario.
    pub fn report(&mut self, rule: &Rule, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let source = self.scenario.source.clone();
        self.report_in(rule, &source, span, message, help);
    }

    /// Reports a place in any file.
    pub fn report_in(
        &mut self,
        rule: &Rule,
        source: &Source,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let diagnostic = diagnostic(rule, source, span, message.into(), help.into());
        if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    /// What is at a path in the fleet, if anything. A template is where it is rendered to.
    pub fn find_in_fleet(&self, path: &RelPath) -> Option<Found> {
        let path = format!("{}/{path}", self.scenario.fleet.value);
        self.files.find(&path).or_else(|| self.files.find(&format!("{path}{TEMPLATE}")))
    }

    /// The text of a file as it comes to be in the fleet's repository; none where there is none, or its template cannot be
    /// rendered.
    pub fn read_in_fleet(&self, path: &RelPath) -> Option<String> {
        let path = format!("{}/{path}", self.scenario.fleet.value);
        let rendered = || {
            let template = self.files.read(&format!("{path}{TEMPLATE}"))?;
            self.scenario.variables.render(&template).ok()
        };
        self.files.read(&path).or_else(rendered)
    }

    /// Where a file that a step names is.
    pub fn locate(&self, file: &RelPath) -> Option<String> {
        folders::locate(self.scenario, file, self.files)
    }
}

fn diagnostic(rule: &Rule, source: &Source, span: Span, message: String, help: String) -> Diagnostic {
    let diagnostic = Diagnostic::error(rule.code, source, span, message).labelled(rule.name).helped(help);
    Diagnostic { severity: rule.severity, ..diagnostic }
}

#[cfg(test)]
pub(crate) mod tests;

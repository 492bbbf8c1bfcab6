//! `parallel`: steps side by side.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, Step, StepKind, walk};
use crate::deadlines::{Deadline, SetBy};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;

/// Carries out steps side by side, and ends when all of them have ended. One that fails does not end the others.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Parallel(#[schemars(length(min = 2))] pub Vec<Spanned<Step>>);

impl StepKind for Parallel {
    const KIND: &'static str = "parallel";
    const EXAMPLE: &'static str =
        "parallel: [wait: {ready: kustomization/flux-system/apps}, wait: {ready: deployment/apps/web}]";
    const RULES: &'static [Rule] = &[LONELY, TWO_COMMITS];
}

const LONELY: Rule = Rule {
    code: "F270",
    name: "parallel-alone",
    explain: "One step has nothing to run beside.",
    failing: "- parallel: [wait: {ready: a/b}]",
    passing: "- parallel: [wait: {ready: a/b}, wait: {ready: c/d}]",
    ..Rule::ERROR
};

const TWO_COMMITS: Rule = Rule {
    code: "F271",
    name: "parallel-commits",
    explain: "The fleet's owner has one clone: commits and bootstraps of one moment would lose each other's changes.",
    failing: "- parallel: [commit: {message: a, delete: [x]}, commit: {message: b, delete: [y]}]",
    passing: "- parallel: [commit: {message: a, delete: [apps/web.yaml]}, wait: {ready: deployment/apps/web}]\n- wait: {revision: head}",
    ..Rule::ERROR
};

impl Action for Parallel {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("{} steps side by side", self.0.len())
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        let limit = self.0.iter().map(|step| step.action().deadline(scenario).limit).max().unwrap_or_default();
        Deadline { name: "steps", limit, set_by: SetBy::Nested }
    }

    fn nested(&self) -> &[Spanned<Step>] {
        &self.0
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.0.len() < 2 {
            let help = "add another, or write the step itself";
            findings.report(&LONELY, findings.here(), "fewer than two steps run side by side", help);
        }
        let pushes = |branch: &&Spanned<Step>| {
            walk(branch).iter().any(|step| matches!(step.value, Step::Commit(_) | Step::Bootstrap(_)))
        };
        if let Some(second) = self.0.iter().filter(pushes).nth(1) {
            let help = "put one of them before or after";
            findings.report(&TWO_COMMITS, second.span, "two of the steps push to the fleet at once", help);
        }
    }
}

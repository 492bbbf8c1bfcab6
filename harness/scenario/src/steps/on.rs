//! `on`: steps in another of the run's clusters.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, Step, StepKind, in_turn, walk};
use crate::deadlines::Deadline;
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::Name;

/// Carries out steps in one of the run's clusters; without it they are carried out in the first. Commits are the same wherever
/// they are made: there is one repository.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct On {
    /// The cluster, one of `clusters`.
    pub cluster: Spanned<Name>,
    /// What is done there, in order; the first step that fails ends it.
    #[schemars(length(min = 1))]
    pub steps: Vec<Spanned<Step>>,
}

impl StepKind for On {
    const KIND: &'static str = "on";
    const EXAMPLE: &'static str = "on: {cluster: edge, steps: [wait: {ready: deployment/apps/web}]}";
    const RULES: &'static [Rule] = &[NO_CLUSTER, NOT_THERE];
}

const NO_CLUSTER: Rule = Rule {
    code: "F275",
    name: "no-cluster",
    explain: "`on` names one of the run's `clusters`, and holds what is done there.",
    failing: "clusters: [edge, main]\n- on: {cluster: mian, steps: [wait: {ready: deployment/apps/web}]}",
    passing: "clusters: [edge, main]\n- on: {cluster: main, steps: [wait: {ready: deployment/apps/web}]}",
    ..Rule::ERROR
};

const NOT_THERE: Rule = Rule {
    code: "F276",
    name: "not-there",
    explain: "What is done to the probes themselves, or for them to see, is judged by the probes of the first cluster. An `on` within \
              another would leave nobody sure where its steps are carried out.",
    failing: "clusters: [edge, main]\n- on: {cluster: main, steps: [cut: {pods: deployment/apps/web, for: 300ms}]}",
    passing: "clusters: [edge, main]\n- on: {cluster: main, steps: [rollout: {restart: deployment/apps/web}]}",
    ..Rule::ERROR
};

impl Action for On {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("on {}", self.cluster)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        in_turn(&self.steps, scenario)
    }

    fn nested(&self) -> &[Spanned<Step>] {
        &self.steps
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        findings.expect_cluster(&NO_CLUSTER, self.cluster.as_str(), self.cluster.span);
        if self.steps.is_empty() {
            findings.report(&NO_CLUSTER, findings.here(), "nothing is done there", "name the steps");
        }
        let elsewhere =
            |step: &Step| matches!(step, Step::Cut(_) | Step::Kill(_) | Step::StallSampler(_) | Step::On(_));
        for step in self.steps.iter().flat_map(walk).filter(|step| elsewhere(step)) {
            let message = format!("`{}` within `on`", step.kind());
            findings.report(&NOT_THERE, step.span, message, "put it beside the `on`");
        }
    }
}

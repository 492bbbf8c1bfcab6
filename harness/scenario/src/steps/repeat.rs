//! `repeat`: the same steps several times.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, Step, StepKind};
use crate::deadlines::{Deadline, SetBy};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;

/// Carries out steps in order, several times; the first that fails ends it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repeat {
    /// How often, from 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub times: Spanned<u32>,
    /// What is repeated.
    #[schemars(length(min = 1))]
    pub steps: Vec<Spanned<Step>>,
}

impl StepKind for Repeat {
    const KIND: &'static str = "repeat";
    const EXAMPLE: &'static str = "repeat: {times: 3, steps: [rollout: {restart: deployment/apps/web}]}";
    const RULES: &'static [Rule] = &[TIMES];
}

const TIMES: Rule = Rule {
    code: "F272",
    name: "repeat-times",
    explain: "Repeating nothing, or not once, does nothing; more than 1000 times would not end within a day.",
    failing: "- repeat: {times: 0, steps: [rollout: {restart: deployment/apps/web}]}",
    passing: "- repeat: {times: 3, steps: [rollout: {restart: deployment/apps/web}]}",
    ..Rule::ERROR
};

impl Action for Repeat {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("{} times", self.times)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        let once: std::time::Duration = self.steps.iter().map(|step| step.action().deadline(scenario).limit).sum();
        Deadline { name: "steps", limit: once.saturating_mul(self.times.value), set_by: SetBy::Nested }
    }

    fn nested(&self) -> &[Spanned<Step>] {
        &self.steps
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if !(1..=1000).contains(&self.times.value) {
            let message = format!("{} is no number of times", self.times);
            findings.report(&TIMES, self.times.span, message, "write a number from 1 to 1000");
        }
        if self.steps.is_empty() {
            findings.report(&TIMES, findings.here(), "nothing is repeated", "name the steps to repeat");
        }
    }
}

//! `expect-failure`: a step that must fail.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, Step, StepKind};
use crate::deadlines::{Deadline, SetBy};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;

/// Holds when the step within fails with the message: for what a cluster must refuse. A step that succeeds, or fails for
/// another reason, is the failure here.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExpectFailure {
    /// A part of the message that it must fail with, word for word.
    pub message: Spanned<String>,
    /// The step.
    pub step: Box<Spanned<Step>>,
}

impl StepKind for ExpectFailure {
    const KIND: &'static str = "expect-failure";
    const EXAMPLE: &'static str =
        "expect-failure: {message: is forbidden, step: {apply: {file: another-tenants-secret.yaml}}}";
    const RULES: &'static [Rule] = &[ANY_MESSAGE];
}

const ANY_MESSAGE: Rule = Rule {
    code: "F273",
    name: "any-message",
    explain: "A step can fail for many reasons, a typo among them; only the message tells that it was the expected one.",
    failing: "- expect-failure: {message: \"\", step: {delete: deployment/apps/web}}",
    passing: "- expect-failure: {message: not found, step: {delete: deployment/apps/web}}",
    ..Rule::ERROR
};

impl Action for ExpectFailure {
    fn title(&self, scenario: &Scenario) -> String {
        format!("expect “{}” from: {}", self.message, self.step.action().title(scenario))
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline { name: "steps", limit: self.step.action().deadline(scenario).limit, set_by: SetBy::Nested }
    }

    fn nested(&self) -> &[Spanned<Step>] {
        std::slice::from_ref(&self.step)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.message.trim().is_empty() {
            let help = "write the part of the message that says why";
            findings.report(&ANY_MESSAGE, self.message.span, "any failure would do", help);
        }
    }
}

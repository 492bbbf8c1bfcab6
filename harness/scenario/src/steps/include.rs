//! `include`: the steps of a fragment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Action, Step, StepKind, in_turn};
use crate::deadlines::Deadline;
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{Name, VarName};

/// Carries out the steps of a fragment: a file of scenarios/fragments that begins with `fragment: NAME` and has `summary`,
/// `vars` and `steps`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Include {
    /// The fragment's name: that of its file without `.yaml`.
    pub fragment: Spanned<Name>,
    /// Values for the fragment's variables. It sees no others.
    #[serde(default)]
    pub with: BTreeMap<Spanned<VarName>, Value>,
    /// Whether the steps are carried out at all, such as `"{{ at == 'take-over' }}"` in a scenario whose matrix varies `at`.
    /// Default: true.
    #[serde(default = "yes")]
    #[schemars(extend("type" = ["boolean", "string"]))]
    pub when: bool,
    /// The fragment's steps; the parser puts them here.
    #[serde(default, rename = "$steps")]
    #[schemars(skip)]
    pub steps: Vec<Spanned<Step>>,
}

fn yes() -> bool {
    true
}

impl StepKind for Include {
    const KIND: &'static str = "include";
    const EXAMPLE: &'static str = "include: {fragment: take-over, with: {instance: instance.yaml}}";
    const RULES: &'static [Rule] = &[EMPTY];
}

const EMPTY: Rule = Rule {
    code: "F274",
    name: "empty-fragment",
    explain: "A fragment without steps includes nothing.",
    failing: "- include: {fragment: nothing}",
    passing: "- include: {fragment: settle, with: {object: deployment/apps/web}}",
    ..Rule::ERROR
};

impl Action for Include {
    fn title(&self, _scenario: &Scenario) -> String {
        let with: Vec<String> =
            self.with.iter().map(|(name, value)| format!("{name} {}", crate::cell::plain(value))).collect();
        match with.is_empty() {
            true => format!("steps of {}", self.fragment),
            false => format!("steps of {} with {}", self.fragment, with.join(", ")),
        }
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        in_turn(&self.steps, scenario)
    }

    fn nested(&self) -> &[Spanned<Step>] {
        &self.steps
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.steps.is_empty() {
            let message = format!("the fragment `{}` has no steps", self.fragment);
            findings.report(&EMPTY, self.fragment.span, message, "give it steps, or remove the include");
        }
    }
}

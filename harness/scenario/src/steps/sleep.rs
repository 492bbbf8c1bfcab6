//! `sleep`: time itself.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, SetBy};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::HumanDuration;

/// Lets time pass, for a reason: a soak, a quiet baseline, a fault that must last. Never instead of a `wait`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sleep {
    /// How long.
    pub r#for: Spanned<HumanDuration>,
    /// Why, in plain words.
    pub reason: Spanned<String>,
}

impl StepKind for Sleep {
    const KIND: &'static str = "sleep";
    const EXAMPLE: &'static str = "sleep: {for: 10s, reason: soak after the take-over}";
    const RULES: &'static [Rule] = &[SLEEP_REASON];
}

const SLEEP_REASON: Rule = Rule {
    code: "F207",
    name: "sleep-reason",
    explain: "A sleep that nobody can explain is a wait in disguise: it is too short on a slow machine, too long on a fast one.",
    failing: "- sleep: {for: 5s, reason: \" \"}",
    passing: "- sleep: {for: 5s, reason: soak}",
    ..Rule::ERROR
};

impl Action for Sleep {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("sleep {}: {}", self.r#for, self.reason)
    }

    fn deadline(&self, _scenario: &Scenario) -> Deadline {
        Deadline { name: "for", limit: self.r#for.get(), set_by: SetBy::Step }
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.reason.trim().is_empty() {
            findings.report(&SLEEP_REASON, self.reason.span, "the sleep has no reason", "say what the time is for");
        }
    }
}

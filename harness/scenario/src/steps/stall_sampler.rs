//! `stall-sampler`: a fault in the harness itself, for self-tests.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, SetBy};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::HumanDuration;

/// Starves the probes' sampler, to prove that a run without evidence is never taken for a good one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StallSampler {
    /// How long.
    pub r#for: Spanned<HumanDuration>,
}

impl StepKind for StallSampler {
    const KIND: &'static str = "stall-sampler";
    const EXAMPLE: &'static str = "stall-sampler: {for: 3s}";
    const RULES: &'static [Rule] = &[STALL_EXPECTED];
}

const STALL_EXPECTED: Rule = Rule {
    code: "F208",
    name: "stall-expected",
    explain: "A starved sampler leaves a hole in the evidence: such a run can never pass, so the scenario has to expect something else.",
    failing: "- stall-sampler: {for: 3s}",
    passing: "expect: {verdict: inconclusive, rule: evidence}\n- stall-sampler: {for: 3s}",
    ..Rule::ERROR
};

impl Action for StallSampler {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("stall the sampler for {}", self.r#for)
    }

    fn deadline(&self, _scenario: &Scenario) -> Deadline {
        Deadline { name: "for", limit: self.r#for.get(), set_by: SetBy::Step }
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if findings.scenario().expect.is_none() {
            findings.report(
                &STALL_EXPECTED,
                self.r#for.span,
                "the sampler is starved, but the run is expected to pass",
                "add `expect: {verdict: inconclusive, rule: evidence}`",
            );
        }
    }
}

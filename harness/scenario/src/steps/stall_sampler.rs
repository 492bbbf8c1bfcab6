//! `stall-sampler`: a fault in the harness itself or beneath it, for self-tests.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, SetBy};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::HumanDuration;

/// Starves the probes' sampler, to prove that a run without evidence is never taken for a good one, nor for a bad one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StallSampler {
    /// How long.
    pub r#for: Spanned<HumanDuration>,
    /// What starves it.
    #[serde(default)]
    pub by: Starving,
}

/// How long it may take beyond its time until such containers run, and until they are gone: 60 s, as starting and removing them starves, too.
const START: Duration = Duration::from_secs(60);

/// What starves a sampler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Starving {
    /// It rests, and everything else goes on.
    #[default]
    Itself,
    /// Containers that come before all else keep every processor of the engine's machine busy. The cluster starves with it, and
    /// so does the sampler where `ferry` runs on that machine.
    Cpu,
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
        match self.by {
            Starving::Itself => format!("stall the sampler for {}", self.r#for),
            Starving::Cpu => format!("take the machine's processors away for {}", self.r#for),
        }
    }

    fn deadline(&self, _scenario: &Scenario) -> Deadline {
        let starting = match self.by {
            Starving::Itself => Duration::ZERO,
            Starving::Cpu => START,
        };
        Deadline { name: "for", limit: self.r#for.get() + starting, set_by: SetBy::Step }
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

//! What the probes' word is worth.

use crate::lint::{Rule, ScenarioRule};
use crate::model::Invariant;

pub const NO_BASELINE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F143",
        name: "no-baseline",
        explain: "`latency` compares with the quiet time before the migration. Without one there is nothing to compare with, and the \
                  verdict is inconclusive at best.",
        failing: "invariants: [latency]\nproof: {quiet: 0s}",
        passing: "invariants: [latency]\nproof: {quiet: 10s}",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let latency = scenario.invariants.iter().find(|judged| judged.known() == Some(Invariant::Latency));
        if let Some(latency) = latency.filter(|_| scenario.proof.quiet.get().is_zero()) {
            findings.report(
                &NO_BASELINE.rule,
                latency.span,
                "`latency` has no quiet time to compare with",
                "remove `quiet: 0s` from `proof`, or `latency` from `invariants`",
            );
        }
    },
};

/// Scenarios whose subject is the harness.
const SELF_TEST: &str = "self-test";

pub const UNPROVEN_PROBES: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F144",
        name: "unproven-probes",
        explain: "A probe that has not shown that it sees an outage, and none where there is none, proves nothing by seeing none. Only \
                  a scenario that tests the harness itself, tagged `self-test`, has a reason to do without.",
        failing: "proof: {self-proof: false}",
        passing: "tags: [self-test]\nproof: {self-proof: false}",
        ..Rule::WARNING
    },
    check: |findings| {
        let scenario = findings.scenario();
        let self_proof = &scenario.proof.self_proof;
        if !self_proof.value && !scenario.tags.iter().any(|tag| tag.as_str() == SELF_TEST) {
            findings.report(
                &UNPROVEN_PROBES.rule,
                self_proof.span,
                "the probes do not prove themselves, and the scenario is no self-test",
                "remove `self-proof: false`; it costs hardly any time, as it runs beside the bootstrap",
            );
        }
    },
};

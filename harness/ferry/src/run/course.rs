//! The course of a run: the scenario's phases, with a quiet stretch before the migration and a soak after it.
//!
//! The quiet stretch shows how the workloads are when nothing is done to them; rules that compare judge by it. In the soak
//! nothing more is done either: what comes late is still seen. Both are phases of the record, without a budget.

use std::time::Duration;

use ferry_record::event::{Budget, PhaseInfo, PhaseRole};
use ferry_scenario::Scenario;
use ferry_scenario::model::{Invariant, Phase};

use crate::cli::ProofArgs;

/// What surrounds the scenario's own phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Whether the probes prove themselves first.
    pub self_proof: bool,
    /// How long nothing is done after the first phase, which brings the workloads up; 0: not at all.
    pub quiet: Duration,
    /// How long nothing is done after the last phase; 0: not at all.
    pub soak: Duration,
}

/// A stretch of a run.
#[derive(Debug, Clone, Copy)]
pub enum Stretch<'a> {
    /// A phase of the scenario.
    Phase(&'a Phase),
    /// Nothing is done, before the migration.
    Quiet(Duration),
    /// Nothing is done, after the last phase: what that was meant to change may still be changing.
    Soak(Duration, &'a Phase),
}

impl Frame {
    /// What a scenario asks for, as far as the command line lets it. What a scenario does without stays out: a self-test that
    /// skips the soak means it.
    pub fn of(scenario: &Scenario, arguments: &ProofArgs) -> Self {
        let proof = &scenario.proof;
        let long = |asked: Option<Duration>, own: Duration| match asked {
            _ if arguments.quick || own.is_zero() => Duration::ZERO,
            Some(asked) => asked,
            None => own,
        };
        Self {
            self_proof: proof.self_proof.value && !arguments.quick,
            quiet: long(arguments.quiet, proof.quiet.get()),
            soak: long(arguments.soak, proof.soak.get()),
        }
    }

    /// Whether a rule is judged. `--quick` takes from `latency` what it compares with: whoever asks for that wants to know the rest.
    pub fn is_judged(rule: Invariant, scenario: &Scenario, arguments: &ProofArgs) -> bool {
        rule != Invariant::Latency || !arguments.quick || scenario.proof.quiet.get().is_zero()
    }

    /// The stretches in order; their places are the phases' numbers in the record.
    pub fn course(self, scenario: &Scenario) -> Vec<Stretch<'_>> {
        let mut course: Vec<Stretch<'_>> = scenario.phases.iter().map(|phase| Stretch::Phase(phase)).collect();
        if let (false, Some(last)) = (self.soak.is_zero(), scenario.phases.last()) {
            course.push(Stretch::Soak(self.soak, last));
        }
        if !self.quiet.is_zero() && !course.is_empty() {
            course.insert(1, Stretch::Quiet(self.quiet));
        }
        course
    }
}

impl Stretch<'_> {
    /// As the record announces it.
    pub fn info(&self) -> PhaseInfo {
        let changes = |phase: &Phase| phase.changes.iter().map(ToString::to_string).collect();
        let idle = |name: &str, role, changes| PhaseInfo {
            name: name.into(),
            budget: Budget::default(),
            steps: 1,
            role,
            changes,
        };
        match self {
            Stretch::Phase(phase) => PhaseInfo {
                name: phase.phase.value.clone(),
                budget: Budget {
                    failed: phase.budget.failed,
                    longest: u64::try_from(phase.budget.longest.get().as_nanos()).unwrap_or(u64::MAX),
                },
                steps: phase.steps.len(),
                role: PhaseRole::Scenario,
                changes: changes(phase),
            },
            Stretch::Quiet(_) => idle("quiet", PhaseRole::Quiet, vec![]),
            Stretch::Soak(_, last) => idle("soak", PhaseRole::Soak, changes(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_the_scenario_says(Invariant::Latency, "quiet: 10s", false, true)]
    #[case::nothing_to_compare_with(Invariant::Latency, "quiet: 10s", true, false)]
    #[case::the_scenarios_own_lack_of_evidence(Invariant::Latency, "quiet: 0s", true, true)]
    #[case::needs_nothing_of_it(Invariant::NoLostRequest, "quiet: 10s", true, true)]
    fn quick_leaves_out_only_what_it_takes_the_evidence_from(
        #[case] rule: Invariant,
        #[case] proof: &str,
        #[case] quick: bool,
        #[case] judged: bool,
    ) {
        let text = format!(
            "scenario: example\nsummary: s\ncluster: single-node\nfleet: fleets/web\nflux: {{version: 2.9.2}}\nprobes: []\n\
             phases: [{{phase: a, steps: [sleep: {{for: 1s, reason: r}}]}}]\nproof: {{{proof}}}\n"
        );
        let scenario = ferry_scenario::parse("a/example.yaml", &text).unwrap();
        let arguments = ProofArgs { quick, quiet: None, soak: None };
        assert_eq!(Frame::is_judged(rule, &scenario, &arguments), judged);
    }
}

//! Phases and steps must be there to be run, and tell themselves apart.

use crate::lint::{Rule, ScenarioRule};
use crate::steps::{Step, walk};

pub const NO_PHASES: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F101",
        name: "no-phases",
        explain: "A scenario without phases does nothing, and would pass by doing nothing.",
        failing: "phases: []",
        passing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, steps: [sleep: {for: 1s, reason: soak}]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        if scenario.phases.is_empty() {
            findings.report(
                &NO_PHASES.rule,
                scenario.scenario.span,
                "the scenario has no phases",
                "add what shall happen: `phases:` with at least one `phase:` and its `steps:`",
            );
        }
    },
};

pub const EMPTY_PHASE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F102",
        name: "empty-phase",
        explain: "A phase without steps lasts no time: no sample falls into it, so its budget is never judged.",
        failing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, steps: []}]",
        passing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, steps: [sleep: {for: 1s, reason: soak}]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        for phase in &findings.scenario().phases {
            if phase.steps.is_empty() {
                findings.report(
                    &EMPTY_PHASE.rule,
                    phase.phase.span,
                    format!("the phase `{}` has no steps", phase.phase),
                    "add steps, or remove the phase",
                );
            }
        }
    },
};

pub const REPEATED_PHASE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F103",
        name: "repeated-phase",
        explain: "Reports name phases; two of one name cannot be told apart.",
        failing: "phases: [{phase: a, steps: [sleep: {for: 1s, reason: x}]}, {phase: a, steps: [sleep: {for: 1s, reason: x}]}]",
        passing: "phases: [{phase: a, steps: [sleep: {for: 1s, reason: x}]}, {phase: b, steps: [sleep: {for: 1s, reason: x}]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let phases = &findings.scenario().phases;
        for (i, phase) in phases.iter().enumerate() {
            if let Some(first) = phases[..i].iter().find(|p| p.phase.value == phase.phase.value) {
                findings.report(
                    &REPEATED_PHASE.rule,
                    phase.phase.span,
                    format!("a second phase `{}`, after the one in line {}", phase.phase, first.phase.span.line),
                    "give each phase a name of its own",
                );
            }
        }
    },
};

pub const NOTHING_SAMPLED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F116",
        name: "nothing-sampled",
        explain: "Sampling begins after the first phase, which brings the workloads up. With no second phase nothing is ever \
                  sampled, and a fault that is there to be seen by the probes is seen by none.",
        failing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}]",
        passing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, steps: [sleep: {for: 1s, reason: soak}]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let Some((first, later)) = findings.scenario().phases.split_first() else { return };
        if later.is_empty() {
            findings.report(
                &NOTHING_SAMPLED.rule,
                first.phase.span,
                "nothing is sampled: there is no phase after the first",
                "let the first phase bring the workloads up, and begin what shall be probed in a second one",
            );
        }
        for step in first.steps.iter().flat_map(walk).filter(|step| is_fault(step)) {
            findings.report(
                &NOTHING_SAMPLED.rule,
                step.span,
                "no sampler runs yet in the first phase",
                "put the step into a later phase",
            );
        }
    },
};

/// Whether a step is a fault for the probes to see, or one of their own.
fn is_fault(step: &Step) -> bool {
    matches!(step, Step::StallSampler(_) | Step::Cut(_) | Step::Kill(_))
}

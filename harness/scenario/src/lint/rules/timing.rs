//! Time: what takes none, what takes too much, and what nobody uses.

use std::time::Duration;

use crate::deadlines::SetBy;
use crate::lint::{Findings, Rule, ScenarioRule};
use crate::model::Phase;
use crate::steps::walk;
use crate::text::HumanDuration;

/// Nothing that a run waits for takes longer; Flux' own timeouts are minutes.
const SENSIBLE: Duration = Duration::from_secs(3600);

pub const NO_TIME: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F122",
        name: "no-time",
        explain: "A step that may take no time has failed before it has begun.",
        failing: "- wait: {ready: deployment/apps/web, within: 0s}",
        passing: "- wait: {ready: deployment/apps/web, within: 10s}",
        ..Rule::ERROR
    },
    check: |findings| {
        let help = "write what it may take at most, or leave it out for the default";
        for (name, time) in &findings.scenario().timeouts {
            if time.get().is_zero() {
                let message = format!("`{}` may take no time at all", name.as_str());
                findings.report(&NO_TIME.rule, time.span, message, help);
            }
        }
        for step in findings.scenario().steps() {
            let deadline = step.action().deadline(findings.scenario());
            if deadline.limit.is_zero() && deadline.set_by == SetBy::Step && deadline.name != "for" {
                let message = format!("`{}` may take no time at all", step.kind());
                findings.report(&NO_TIME.rule, step.span, message, help);
            }
        }
    },
};

pub const ENDLESS: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F123",
        name: "endless-wait",
        explain: "A deadline ends a wait for what will never be, while someone still remembers the run. Flux' own timeouts are minutes.",
        failing: "- wait: {ready: deployment/apps/web, within: 6h}",
        passing: "- wait: {ready: deployment/apps/web, within: 10m}",
        ..Rule::WARNING
    },
    check: |findings| {
        let help = "write at most 1h; Flux' own timeouts are a few minutes";
        for (name, time) in &findings.scenario().timeouts {
            if time.get() > SENSIBLE {
                let message = format!("{time} for `{}` is as good as without an end", name.as_str());
                findings.report(&ENDLESS.rule, time.span, message, help);
            }
        }
        for step in findings.scenario().steps() {
            let deadline = step.action().deadline(findings.scenario());
            if deadline.limit > SENSIBLE && deadline.set_by == SetBy::Step {
                let message = format!(
                    "{} for `{}` is as good as without an end",
                    HumanDuration::from(deadline.limit),
                    step.kind()
                );
                findings.report(&ENDLESS.rule, step.span, message, help);
            }
        }
    },
};

pub const UNUSED_TIMEOUT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F124",
        name: "unused-timeout",
        explain: "A deadline that no step uses was meant for another name, or for a step that is gone.",
        failing: "timeouts: {rollout: 10m}",
        passing: "timeouts: {rollout: 10m}\n- rollout: {restart: deployment/apps/web}",
        ..Rule::WARNING
    },
    check: |findings| {
        let scenario = findings.scenario();
        for (name, time) in &scenario.timeouts {
            let uses = |step: &crate::steps::Step| step.action().deadline(scenario).name == name.as_str();
            if !scenario.steps().any(|step| uses(step)) {
                let message = format!("no step has the deadline `{}`", name.as_str());
                findings.report(
                    &UNUSED_TIMEOUT.rule,
                    time.span,
                    message,
                    "remove it; `ferry plan` shows each step's deadline",
                );
            }
        }
    },
};

pub const UNCOVERED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F117",
        name: "uncovered-probe",
        explain: "Probes ask from the end of the first phase to the end of the last. Where nothing in between waits, that is an \
                  instant: the probe is covered by no phase, and whatever is done there comes to its effect unseen.",
        failing: "- apply: {manifest: {apiVersion: v1, kind: Namespace, metadata: {name: x}}}",
        passing: "- apply: {manifest: {apiVersion: v1, kind: Namespace, metadata: {name: x}}}\n- sleep: {for: 10s, reason: soak}",
        ..Rule::WARNING
    },
    check: |findings| {
        let Some((_, later)) = findings.scenario().phases.split_first() else { return };
        if later.is_empty()
            || later.iter().all(|phase| phase.steps.is_empty())
            || later.iter().any(|p| lasts(p, findings))
        {
            return;
        }
        for probe in &findings.scenario().probes {
            findings.report(
                &UNCOVERED.rule,
                probe.name().span,
                format!("no phase covers the probe `{}`: after the first, none takes any time", probe.name()),
                "end a phase with a `wait` for what its steps bring about, or with a `sleep` to soak",
            );
        }
    },
};

/// Whether samples can fall into a phase.
fn lasts(phase: &Phase, findings: &Findings<'_>) -> bool {
    let course = findings.course();
    phase.steps.iter().flat_map(walk).any(|step| {
        let sleeps = ["sleep", "stall-sampler", "cut"].contains(&step.kind());
        sleeps || course.all().iter().any(|stop| std::ptr::eq(stop.step, step) && stop.looks())
    })
}

pub const UNUSED_BUDGET: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F119",
        name: "unused-budget",
        explain: "Nothing is sampled before the end of the first phase, and hardly anything in a phase that takes no time: a \
                  budget there is never used, and probably meant for another phase.",
        failing: "phases: [{phase: bootstrap, budget: {failed: 3}, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, steps: [sleep: {for: 1s, reason: soak}]}]",
        passing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, budget: {failed: 3}, steps: [sleep: {for: 1s, reason: soak}]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        for (i, phase) in findings.scenario().phases.iter().enumerate() {
            let is_zero = phase.budget.failed == 0 && phase.budget.longest.get().is_zero();
            let why = match i {
                _ if is_zero => continue,
                0 => "nothing is sampled before the end of the first phase",
                _ if !phase.steps.is_empty() && !lasts(phase, findings) => "the phase takes no time",
                _ => continue,
            };
            let message = format!("the budget of `{}` is never used: {why}", phase.phase);
            findings.report(
                &UNUSED_BUDGET.rule,
                phase.phase.span,
                message,
                "give it to the phase that may cost something",
            );
        }
    },
};

pub const VACUOUS: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F120",
        name: "vacuous-invariant",
        explain: "A budget that no phase could ever exceed, even if every sample failed until its last deadline, makes \
                  `no-lost-request` hold whatever happens there.",
        failing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, budget: {longest: 1h}, steps: [sleep: {for: 10s, reason: soak}]}]",
        passing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, budget: {longest: 2s}, steps: [sleep: {for: 10s, reason: soak}]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        let scenario = findings.scenario();
        let per_second: f64 = scenario.probes.iter().map(|probe| samples_per_second(probe)).sum();
        for phase in scenario.phases.iter().skip(1) {
            let longest: Duration = phase.steps.iter().map(|step| step.action().deadline(scenario).limit).sum();
            let budget = phase.budget;
            let samples = (longest.as_secs_f64() * per_second).ceil();
            // With both limits, one that can be exceeded is enough.
            let limits = [
                (budget.failed > 0).then_some(budget.failed as f64 >= samples),
                (!budget.longest.get().is_zero()).then_some(budget.longest.get() >= longest),
            ];
            let mut given = limits.iter().flatten().peekable();
            if given.peek().is_some() && given.all(|is_beyond| *is_beyond) && !longest.is_zero() {
                findings.report(
                    &VACUOUS.rule,
                    phase.phase.span,
                    format!(
                        "the budget of `{}` cannot be exceeded: the phase lasts {} at most, with {samples} samples",
                        phase.phase,
                        HumanDuration::from(longest)
                    ),
                    "write what the phase may cost, or remove the invariant",
                );
            }
        }
    },
};

/// From every place, with every kind of connection.
fn samples_per_second(probe: &crate::probes::Probe) -> f64 {
    let question = probe.question();
    let interval = question.rate().interval().as_secs_f64();
    question.sampled().len() as f64 / interval.max(f64::EPSILON)
}

//! What is said twice, or for nothing.

use std::fmt::Display;

use crate::lint::{Findings, Rule, ScenarioRule};
use crate::model::ExpectedVerdict;
use crate::span::Spanned;
use crate::steps::Step;

pub const REPEATED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F126",
        name: "repeated",
        explain: "What is listed twice is either one too many, or was meant to be another.",
        failing: "tags: [smoke, smoke]",
        passing: "tags: [smoke, official]",
        ..Rule::WARNING
    },
    check: |findings| {
        let scenario = findings.scenario();
        repeated(findings, "tags", &scenario.tags);
        repeated(findings, "invariants", &scenario.invariants);
        repeated(findings, "workloads", &scenario.workloads);
        repeated(findings, "clusters", &scenario.clusters);
        repeated(findings, "components", &scenario.flux.components);
        for phase in &scenario.phases {
            repeated(findings, "changes", &phase.changes);
        }
        for probe in &scenario.probes {
            repeated(findings, "from", probe.question().from());
            repeated(findings, "connection", probe.question().connection());
        }
    },
};

fn repeated<T: PartialEq + Display>(findings: &mut Findings<'_>, list: &str, items: &[Spanned<T>]) {
    for (i, item) in items.iter().enumerate() {
        if items[..i].iter().any(|other| other.value == item.value) {
            let message = format!("`{item}` is in `{list}` twice");
            findings.report(&REPEATED.rule, item.span, message, "remove one of the two");
        }
    }
}

pub const UNUSED_OPERATOR: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F125",
        name: "unused-operator",
        explain: "`operator:` says which Flux Operator steps install. With no such step nothing takes over.",
        failing: "operator: {version: 0.59.0}",
        passing: "operator: {version: 0.59.0}\n- install-operator: {}\n- wait: {ready: deployment/flux-system/flux-operator}",
        ..Rule::WARNING
    },
    check: |findings| {
        let Some(operator) = &findings.scenario().operator else { return };
        let uses = |step: &Step| matches!(step, Step::InstallOperator(install) if install.version.is_none());
        if !findings.scenario().steps().any(|step| uses(step)) {
            let message = format!("nothing installs Flux Operator {}", operator.version);
            let help = "add a step `install-operator: {}`, or remove `operator`";
            findings.report(&UNUSED_OPERATOR.rule, operator.version.span, message, help);
        }
    },
};

pub const NO_WAY_BACK: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F130",
        name: "unproven-rollback",
        explain: "A rollback that ends as soon as its last step is accepted has not led back yet, and may never: the record would \
                  call it done.",
        failing: "phases: [{phase: a, steps: [bootstrap: {path: clusters/test}]}, {phase: b, steps: [sleep: {for: 1s, reason: x}], rollback: [scale: {object: deployment/apps/web, replicas: 2}]}]",
        passing: "phases: [{phase: a, steps: [bootstrap: {path: clusters/test}]}, {phase: b, steps: [sleep: {for: 1s, reason: x}], rollback: [scale: {object: deployment/apps/web, replicas: 2}, wait: {ready: deployment/apps/web}]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        let course = findings.course();
        for (number, phase) in findings.scenario().phases.iter().enumerate() {
            let mut back = course.all().iter().filter(|stop| stop.phase == number && stop.is_rollback);
            if !phase.rollback.is_empty() && !back.any(|stop| stop.looks()) {
                findings.report(
                    &NO_WAY_BACK.rule,
                    phase.phase.span,
                    format!("the rollback of `{}` never looks whether it has led back", phase.phase),
                    "end it with a `wait` or an `assert`",
                );
            }
        }
    },
};

pub const ANY_FAILURE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F131",
        name: "any-failure",
        explain: "A scenario that must fail proves something only by the rule that it fails by: without one, a mistyped object or \
                  a slow machine would be taken for success.",
        failing: "expect: {verdict: fail}",
        passing: "expect: {verdict: fail, rule: no-lost-request}",
        ..Rule::WARNING
    },
    check: |findings| {
        let Some(expect) = &findings.scenario().expect else { return };
        match (expect.verdict.value, &expect.rule) {
            (ExpectedVerdict::Pass, None) => findings.report(
                &ANY_FAILURE.rule,
                expect.verdict.span,
                "every scenario is expected to pass",
                "remove `expect`",
            ),
            // The lab breaks by no rule.
            (ExpectedVerdict::Infra, None) => {}
            (verdict, None) => findings.report(
                &ANY_FAILURE.rule,
                expect.verdict.span,
                format!("any reason to end with `{verdict}` would do"),
                "name the rule that must give the verdict, such as `rule: no-lost-request`",
            ),
            _ => {}
        }
    },
};

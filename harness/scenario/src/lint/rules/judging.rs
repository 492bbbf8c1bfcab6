//! Invariants that a scenario gives nothing to judge.

use super::order::proves_take_over;
use crate::lint::{Findings, Rule, ScenarioRule};
use crate::model::Invariant;
use crate::probes::Probe;
use crate::span::Span;
use crate::steps::Step;

/// The place where an invariant is asked for, if it is.
fn asked(findings: &Findings<'_>, invariant: Invariant) -> Option<Span> {
    findings.scenario().invariants.iter().find(|judged| judged.known() == Some(invariant)).map(|judged| judged.span)
}

const CANARIES: &str = "probes:\n  - http: {name: web, node-port: 30080}\n  - canary: {name: policy, allowed: \"web.apps.svc:80\", denied: \"10.0.0.1:80\"}\ninvariants: [policy-enforced]";

pub const CANARY: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F145",
        name: "canary-pair",
        explain: "`policy-enforced` judges canary probes, and nothing else does: neither is of any use without the other.",
        failing: "invariants: [policy-enforced]",
        passing: CANARIES,
        ..Rule::ERROR
    },
    check: |findings| {
        let probes = &findings.scenario().probes;
        let canaries: Vec<Span> =
            probes.iter().filter(|p| matches!(p.value, Probe::Canary(_))).map(|p| p.name().span).collect();
        match asked(findings, Invariant::PolicyEnforced) {
            Some(span) if canaries.is_empty() => findings.report(
                &CANARY.rule,
                span,
                "`policy-enforced` has no canary to judge",
                "add a probe such as `canary: {name: policy, allowed: \"web.apps.svc.cluster.local:80\", denied: \"db.apps.svc.cluster.local:5432\"}`",
            ),
            None => canaries.into_iter().for_each(|span| {
                findings.report(
                    &CANARY.rule,
                    span,
                    "nothing judges this canary",
                    "add `policy-enforced` to `invariants`",
                );
            }),
            Some(_) => {}
        }
    },
};

pub const NO_COMMIT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F146",
        name: "no-commit-to-reconcile",
        explain: "`reconciles` judges how long commits take to be applied. Without a commit while traffic flows, and after the \
                  take-over where there is one, it says nothing about the Flux that the migration leaves behind.",
        failing: "invariants: [reconciles]",
        passing: "invariants: [reconciles]\n- commit: {message: m, delete: [apps/web.yaml]}\n- wait: {revision: head}",
        ..Rule::ERROR
    },
    check: |findings| {
        let Some(span) = asked(findings, Invariant::Reconciles) else { return };
        let course = findings.course();
        let forward = course.forward();
        let taken_over = forward.iter().rposition(|stop| stop.brings("FluxInstance"));
        // From the end of the wait for it on; without a wait, which is another rule's concern, from there on.
        let from = taken_over
            .map_or(0, |at| at + forward[at..].iter().position(|stop| proves_take_over(stop)).unwrap_or_default());
        let commits = |step: &Step| matches!(step, Step::Commit(commit) if commit.is_to_main());
        if !forward[from..].iter().any(|stop| stop.phase > 0 && commits(&stop.step.value)) {
            let when = if taken_over.is_some() { "after the take-over" } else { "after the first phase" };
            findings.report(
                &NO_COMMIT.rule,
                span,
                format!("`reconciles` has nothing to judge: no step commits {when}"),
                "add a `commit` and `- wait: {revision: head}`, or remove `reconciles`",
            );
        }
    },
};

pub const NO_FAULT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F147",
        name: "no-fault-to-see",
        explain: "`faults-seen` compares what the probes saw with faults that were injected. Without one it says nothing.",
        failing: "invariants: [no-lost-request, faults-seen]",
        passing: "invariants: [no-lost-request, faults-seen]\nexpect: {verdict: fail, rule: no-lost-request, holds: [faults-seen]}\n- cut: {pods: deployment/apps/web, for: 300ms}",
        ..Rule::ERROR
    },
    check: |findings| {
        let Some(span) = asked(findings, Invariant::FaultsSeen) else { return };
        if !findings.scenario().steps().any(|step| matches!(step.value, Step::Cut(_))) {
            findings.report(
                &NO_FAULT.rule,
                span,
                "`faults-seen` has no fault to judge",
                "add a step such as `cut: {pods: deployment/apps/web, for: 300ms}`, or remove `faults-seen`",
            );
        }
    },
};

#[cfg(test)]
mod tests {
    use super::super::examples::{INSTANCE, TAKE_OVER};
    use super::*;
    use crate::lint::tests::findings;
    use rstest::rstest;

    fn said(sections: &str, code: &str) -> Vec<String> {
        let found = findings(sections, &[("example-area/instance.yaml", INSTANCE)]);
        found.iter().filter(|d| d.code == code).map(|d| d.message.clone()).collect()
    }

    #[test]
    fn a_canary_that_nothing_judges() {
        let sections = CANARIES.replace("policy-enforced", "no-lost-request");
        assert_eq!(said(&sections, "F145"), ["nothing judges this canary"]);
    }

    /// What is committed before the take-over says nothing about the Flux after it.
    #[rstest]
    #[case::before(&["- commit: {message: m, delete: [apps/web.yaml]}\n- wait: {revision: head}", TAKE_OVER], false)]
    #[case::after(&[TAKE_OVER, "- commit: {message: m, delete: [apps/web.yaml]}\n- wait: {revision: head}"], true)]
    #[case::elsewhere(&[TAKE_OVER, "- commit: {message: m, branch: other, delete: [apps/web.yaml]}"], false)]
    fn commits_count_after_the_take_over(#[case] parts: &[&str], #[case] is_judged: bool) {
        let found = said(&format!("invariants: [reconciles]\n{}", parts.join("\n")), "F146");
        let nothing = "`reconciles` has nothing to judge: no step commits after the take-over";
        assert_eq!(found, if is_judged { vec![] } else { vec![nothing] });
    }
}

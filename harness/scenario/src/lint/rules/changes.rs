//! What phases are meant to change, and what they change without saying so.

use super::workload::{KINDS, base, known_objects};
use crate::lint::fleet::Manifest;
use crate::lint::{Findings, Rule, ScenarioRule, Stop};
use crate::model::{Invariant, Phase};
use crate::names;
use crate::span::Span;
use crate::steps::{Step, Victim};
use crate::text::ObjectRef;

pub const NOTHING_CHANGED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F148",
        name: "unknown-change",
        explain: "`changes` excuses what becomes of objects. One that names none of the fleet's excuses nothing: the change that was \
                  meant fails the run.",
        failing: "phases: [{phase: a, steps: [bootstrap: {path: clusters/test}]}, {phase: b, changes: [deployment/apps/wbe], steps: [sleep: {for: 1s, reason: x}]}]",
        passing: "phases: [{phase: a, steps: [bootstrap: {path: clusters/test}]}, {phase: b, changes: [deployment/apps/web], steps: [sleep: {for: 1s, reason: x}]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        for changed in findings.scenario().phases.iter().flat_map(|phase| &phase.changes) {
            let Some(kind) = changed.kind() else { continue };
            let singular = base(kind);
            if kind != singular && KINDS.contains(&singular) {
                findings.report(
                    &NOTHING_CHANGED.rule,
                    changed.span,
                    format!("records name objects by their kind alone: `{kind}` is no object's"),
                    format!("write `{singular}`"),
                );
                continue;
            }
            if findings.synced().is_empty() || findings.fleet().is_generated() || !KINDS.contains(&kind) {
                continue;
            }
            let known = known_objects(findings);
            let of_kind: Vec<&str> = known.iter().filter(|(k, _)| k == kind).map(|(_, name)| name.as_str()).collect();
            let Some(name) = changed.name().filter(|name| !of_kind.contains(name)) else { continue };
            let near = names::nearest(name, of_kind.iter().copied());
            let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            findings.report(
                &NOTHING_CHANGED.rule,
                changed.span,
                format!("there is no {kind} `{name}` in what Flux applies, and no step brings one"),
                format!("{near}the fleet has {}", names::list(&of_kind)),
            );
        }
    },
};

/// Kinds with pods of their own.
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

pub const UNSAID_CHANGE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F149",
        name: "unsaid-change",
        explain: "`no-rollout` and `no-restart` hold the migration responsible for every new pod. A step that replaces pods on purpose \
                  fails the run, unless its phase says what it changes.",
        failing: "invariants: [no-restart]\n- rollout: {restart: deployment/apps/web}",
        passing: "invariants: [no-restart]\nphases: [{phase: a, steps: [bootstrap: {path: clusters/test}]}, {phase: b, changes: [deployment/apps/web], steps: [rollout: {restart: deployment/apps/web}]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        let scenario = findings.scenario();
        let judged = [Invariant::NoRollout, Invariant::NoRestart].into_iter().find(|i| scenario.is_judged_by(*i));
        // Who expects a failure may want just this.
        let Some(rule) = judged.filter(|_| scenario.expect.is_none()) else { return };
        let course = findings.course();
        for stop in course.forward().into_iter().filter(|stop| stop.phase > 0) {
            let phase = &scenario.phases[stop.phase];
            for (kind, namespace, name, span) in replaced(findings, stop) {
                if is_meant(phase, &kind, namespace.as_deref(), &name) {
                    continue;
                }
                let object = format!("{kind}/{}/{name}", namespace.as_deref().unwrap_or("*"));
                findings.report(
                    &UNSAID_CHANGE.rule,
                    span,
                    format!("this changes {kind} `{name}`, and `{rule}` allows it no new pods"),
                    format!("say so in the phase: `changes: [{object}]`"),
                );
            }
        }
    },
};

fn is_meant(phase: &Phase, kind: &str, namespace: Option<&str>, name: &str) -> bool {
    phase.changes.iter().any(|changed| changed.matches(kind, namespace, name))
}

type Replaced = (String, Option<String>, String, Span);

/// Workloads of the fleet that get new pods by a step, each with the place that says so.
fn replaced(findings: &Findings<'_>, stop: &Stop<'_>) -> Vec<Replaced> {
    let synced = findings.synced();
    let workloads: Vec<&Manifest> =
        synced.iter().map(AsRef::as_ref).filter(|m| WORKLOADS.contains(&m.kind())).collect();
    let of_object = |object: &ObjectRef, span: Span| -> Vec<Replaced> {
        let is_it = |m: &&Manifest| m.kind().to_lowercase() == base(&object.kind) && m.name() == object.name;
        workloads.iter().copied().filter(is_it).map(|m| found(m, object.namespace.clone(), span)).collect()
    };
    match &stop.step.value {
        Step::Rollout(rollout) => of_object(&rollout.restart, rollout.restart.span),
        Step::Restart(restart) => match &restart.victim {
            Victim::Pods { of, .. } => of_object(of, of.span),
            Victim::Node { .. } | Victim::Component(_) | Victim::Server { .. } => Vec::new(),
        },
        Step::Commit(commit) if commit.is_to_main() => {
            let fleet = findings.fleet();
            let mut all = Vec::new();
            let replaced = commit.replace.keys().chain(commit.write.keys());
            for path in replaced {
                let is_it = |m: &&Manifest| {
                    fleet.inside(m).is_some_and(|file| file.strip_suffix(".j2").unwrap_or(file) == path.as_str())
                };
                all.extend(workloads.iter().copied().filter(is_it).map(|m| found(m, None, path.span)));
            }
            all
        }
        _ => Vec::new(),
    }
}

fn found(manifest: &Manifest, namespace: Option<String>, span: Span) -> Replaced {
    let namespace = manifest.namespace().map(str::to_owned).or(namespace);
    (manifest.kind().to_lowercase(), namespace, manifest.name().to_owned(), span)
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::findings;
    use rstest::rstest;

    fn found(sections: &str, code: &str) -> Vec<String> {
        let found = findings(sections, &[]);
        found.iter().filter(|d| d.code == code).map(|d| d.to_text()).collect()
    }

    fn with_changes(changes: &str, step: &str) -> String {
        format!(
            "invariants: [no-rollout]\nphases: [{{phase: a, steps: [bootstrap: {{path: clusters/test}}]}}, {{phase: b, changes: [{changes}], steps: [{step}]}}]"
        )
    }

    #[rstest]
    #[case("deployment/apps/web", "")]
    #[case("deployment/flux-system/source-controller", "")]
    #[case("deployment/apps/*", "")]
    #[case("*/apps/wbe", "")]
    #[case("pod/apps/web-0", "")]
    #[case("deployments/apps/web", "write `deployment`")]
    #[case("service/apps/wbe", "did you mean `web`?")]
    fn what_changes_must_be_there(#[case] changes: &str, #[case] help: &str) {
        let sections = with_changes(&format!("'{changes}'"), "sleep: {for: 1s, reason: x}");
        let found = found(&sections, "F148");
        assert_eq!(found.len(), usize::from(!help.is_empty()), "{found:?}");
        assert!(found.iter().all(|text| text.contains(help)), "{found:?}");
    }

    const REPLACE: &str =
        "commit: {message: m, replace: {apps/web/deployment.yaml: {'hello from bootstrap': 'hello'}}}";

    #[rstest]
    #[case::commit(REPLACE, "", 1)]
    #[case::commit_said(REPLACE, "deployment/*/web", 0)]
    #[case::another_said(REPLACE, "service/apps/web", 1)]
    #[case::other_file("commit: {message: m, replace: {apps/web.yaml: {old: new}}}", "", 0)]
    #[case::other_branch(
        "commit: {message: m, branch: b, replace: {apps/web/deployment.yaml: {'hello from bootstrap': 'hello'}}}",
        "",
        0
    )]
    #[case::kill("restart: deployment/apps/web", "", 1)]
    #[case::kill_of_flux("restart: deployment/flux-system/source-controller", "", 0)]
    fn new_pods_must_be_said(#[case] step: &str, #[case] changes: &str, #[case] times: usize) {
        let found = found(&with_changes(changes, step), "F149");
        assert_eq!(found.len(), times, "{found:?}");
    }

    #[test]
    fn who_expects_a_failure_need_not_say_so() {
        let sections = "invariants: [no-restart]\nexpect: {verdict: fail, rule: no-restart}\n- rollout: {restart: deployment/apps/web}";
        assert_eq!(found(sections, "F149"), Vec::<String>::new());
    }
}

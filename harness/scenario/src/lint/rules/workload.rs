//! Workloads and their probes, as the fleet has them.

use std::time::Duration;

use crate::lint::course::normal;
use crate::lint::{Findings, Rule, ScenarioRule};
use crate::model::Component;
use crate::names;
use crate::parse::tree::Value;
use crate::probes::Probe;
use crate::span::{Span, Spanned};
use crate::steps::{Condition, Fact, Step, walk};
use crate::text::ObjectRef;

pub const SLOW: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F118",
        name: "slow-probe",
        explain: "An outage between two samples is not seen. At less than one sample a second a whole restart can hide there.",
        failing: "probes: [http: {name: web, node-port: 30080, rate: 30/m}]",
        passing: "probes: [http: {name: web, node-port: 30080, rate: 20/s}]",
        ..Rule::WARNING
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let Probe::Http(http) = &probe.value;
            if http.rate.interval() > Duration::from_secs(1) {
                findings.report(
                    &SLOW.rule,
                    http.rate.span,
                    format!(
                        "at {} every outage of less than {} s can stay unseen",
                        http.rate,
                        http.rate.interval().as_secs()
                    ),
                    "write at least `1/s`; the default is `20/s`",
                );
            }
        }
    },
};

pub const GOOD_ERROR: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F121",
        name: "good-error",
        explain: "A probe that takes an error for a good answer is content with whatever answers in the workload's place: it can \
                  hardly fail.",
        failing: "probes: [http: {name: web, node-port: 30080, status: 503}]",
        passing: "probes: [http: {name: web, node-port: 30080, status: 204}]",
        ..Rule::WARNING
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let Probe::Http(http) = &probe.value;
            if http.status.value >= 400 {
                let message = format!("the probe `{}` takes the error {} for a good answer", http.name, http.status);
                findings.report(&GOOD_ERROR.rule, http.status.span, message, "probe a path that answers with 200");
            }
        }
    },
};

pub const PORT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F127",
        name: "unpublished-port",
        explain: "Nothing answers on a node port that no Service has: the run would end before its first sample.",
        failing: "probes: [http: {name: web, node-port: 30800}]",
        passing: "probes: [http: {name: web, node-port: 30080}]",
        ..Rule::WARNING
    },
    check: |findings| {
        if findings.synced().is_empty() || findings.fleet().is_generated() {
            return;
        }
        let manifests = findings.manifests();
        let services = manifests.iter().filter(|m| m.is("", "Service"));
        let published: Vec<u64> = services
            .flat_map(|service| service.items("spec.ports"))
            .filter_map(|port| match port.get("nodePort")?.value {
                Value::Unsigned(port) => Some(port),
                Value::Signed(port) => u64::try_from(port).ok(),
                _ => None,
            })
            .collect();
        for probe in &findings.scenario().probes {
            let Probe::Http(http) = &probe.value;
            let port = &http.node_port;
            let is_one = (30_000..=32_767).contains(&port.value);
            if is_one && !published.contains(&u64::from(port.value)) {
                let known: Vec<String> = published.iter().map(ToString::to_string).collect();
                let help = match known.as_slice() {
                    [] => "add a Service with `type: NodePort` and this `nodePort` to the fleet".to_owned(),
                    known => format!("the fleet's Services have {}", names::list(known)),
                };
                findings.report(
                    &PORT.rule,
                    port.span,
                    format!("no Service of the fleet has the node port {port}"),
                    help,
                );
            }
        }
    },
};

pub const ABSENT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F128",
        name: "absent-object",
        explain: "An object that is in no manifest of the fleet, and that no step brings, will not be there: a wait for it ends with \
                  its deadline.",
        failing: "- wait: {ready: deployment/apps/wbe}",
        passing: "- wait: {ready: deployment/apps/web}",
        ..Rule::WARNING
    },
    check: |findings| {
        if findings.synced().is_empty() || findings.fleet().is_generated() {
            return;
        }
        let manifests = findings.manifests();
        let mut known: Vec<(String, &str)> = manifests.iter().map(|m| (m.kind().to_lowercase(), m.name())).collect();
        let syncs = findings
            .instances()
            .iter()
            .filter_map(|i| i.text("spec.sync.kind").map(str::to_lowercase))
            .collect::<Vec<_>>();
        known.extend(
            syncs.into_iter().chain(["kustomization".into(), "gitrepository".into()]).map(|kind| (kind, "flux-system")),
        );
        known.extend(CONTROLLERS.iter().map(|c| ("deployment".into(), c.as_str())));
        known.push(("deployment".into(), "flux-operator"));
        let services =
            ["source-controller", "notification-controller", "webhook-receiver", "source-watcher", "flux-operator"];
        known.extend(services.map(|service| ("service".into(), service)));
        for object in objects(findings) {
            let kind = base(&object.kind);
            if !KINDS.contains(&kind) || known.iter().any(|(k, name)| k == kind && *name == object.name) {
                continue;
            }
            let same_kind = known.iter().filter(|(k, _)| k == kind).map(|(_, name)| *name);
            let near = names::nearest(&object.name, same_kind)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            findings.report(
                &ABSENT.rule,
                object.span,
                format!("there is no {kind} `{}` in what Flux applies, and no step brings one{near}", object.name),
                "check the name, or whether the fleet's Kustomizations lead to it",
            );
        }
    },
};

const CONTROLLERS: [Component; 7] = [
    Component::SourceController,
    Component::KustomizeController,
    Component::HelmController,
    Component::NotificationController,
    Component::ImageReflectorController,
    Component::ImageAutomationController,
    Component::SourceWatcher,
];

/// Kinds whose objects come from manifests or from Flux itself, and from nothing else.
const KINDS: [&str; 9] = [
    "deployment",
    "statefulset",
    "daemonset",
    "service",
    "kustomization",
    "helmrelease",
    "gitrepository",
    "ocirepository",
    "fluxinstance",
];

/// `kustomizations.kustomize.toolkit.fluxcd.io` → `kustomization`.
pub(super) fn base(kind: &str) -> &str {
    let kind = kind.split('.').next().unwrap_or(kind);
    match kind
        .strip_suffix("ies")
        .and(KINDS.iter().find(|k| k.starts_with(kind.trim_end_matches("ies")) && k.ends_with('y')))
    {
        Some(singular) => singular,
        None => kind.strip_suffix('s').unwrap_or(kind),
    }
}

/// Every object that must be there. Those of a step that must fail need not.
fn objects<'a>(findings: &Findings<'a>) -> Vec<&'a Spanned<ObjectRef>> {
    let scenario = findings.scenario();
    let expected_to_fail: Vec<Span> = scenario
        .steps()
        .filter(|step| matches!(step.value, Step::ExpectFailure(_)))
        .flat_map(|step| step.action().nested().iter().flat_map(walk).map(|inner| inner.span))
        .collect();
    let mut objects: Vec<_> = scenario.workloads.iter().collect();
    for step in scenario.steps().filter(|step| !expected_to_fail.contains(&step.span)) {
        match &step.value {
            Step::Wait(wait) => awaited(&wait.until, &mut objects),
            Step::Assert(assert) => match &assert.fact {
                Fact::Field(field) => objects.push(&field.object),
                Fact::Matches(matches) => objects.push(&matches.object),
                Fact::Event(event) => objects.push(&event.of),
                Fact::Cel(_) | Fact::Unchanged(_) => {}
            },
            Step::Delete(delete) => objects.push(&delete.0),
            Step::Patch(patch) => objects.push(&patch.object),
            Step::Scale(scale) => objects.push(&scale.object),
            Step::Rollout(rollout) => objects.push(&rollout.restart),
            Step::Snapshot(snapshot) => objects.extend(&snapshot.of.value),
            _ => {}
        }
    }
    objects
}

/// The objects without which a condition cannot hold.
fn awaited<'a>(condition: &'a Condition, objects: &mut Vec<&'a Spanned<ObjectRef>>) {
    match condition {
        Condition::Ready(object) => objects.push(object),
        Condition::Condition(condition) => objects.push(&condition.object),
        Condition::Log(log) => objects.push(&log.of),
        Condition::Metric(metric) => objects.push(&metric.of),
        Condition::Revision(revision) => objects.extend(&revision.of),
        Condition::All(parts) => parts.iter().for_each(|part| awaited(part, objects)),
        Condition::Gone(_) | Condition::Count(_) | Condition::Probe(_) | Condition::Any(_) | Condition::Not(_) => {}
    }
}

pub const BOOTSTRAP_PATH: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F129",
        name: "bootstrap-path",
        explain: "`flux bootstrap` makes a folder that is not there, and syncs nothing but itself from it.",
        failing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/tets}]}, {phase: soak, steps: [sleep: {for: 1s, reason: soak}]}]",
        passing: "phases: [{phase: bootstrap, steps: [bootstrap: {path: clusters/test}]}, {phase: soak, steps: [sleep: {for: 1s, reason: soak}]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        let fleet = findings.fleet();
        if !fleet.has_folder("") {
            return;
        }
        for step in findings.scenario().steps() {
            let Step::Bootstrap(bootstrap) = &step.value else { continue };
            let path = &bootstrap.path;
            if !fleet.has_folder(&normal(path.as_str())) {
                let message = format!("the fleet has no folder `{path}`: there would be nothing to sync");
                findings.report(
                    &BOOTSTRAP_PATH.rule,
                    path.span,
                    message,
                    "name a folder of the fleet, such as `clusters/test`",
                );
            }
        }
    },
};

const DEPLOYMENT: &str = "fleets/web/apps/web/deployment.yaml";

pub const ABRUPT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F333",
        name: "abrupt-workload",
        explain: "A workload without a readiness probe gets requests before it can answer them, and one that is recreated answers none \
                  meanwhile: it loses requests by itself, and the migration would be blamed.",
        failing: "workloads: [deployment/apps/web]",
        failing_files: &[(
            DEPLOYMENT,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  strategy: {type: Recreate}\n  template:\n    spec:\n      containers:\n        - {name: web, image: \"ferry.local/workload:dev\"}\n",
        )],
        passing: "workloads: [deployment/apps/web]",
        passing_files: &[(
            DEPLOYMENT,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n        - {name: web, image: \"ferry.local/workload:dev\", readinessProbe: {httpGet: {path: /readyz, port: 8080}}}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        let workloads = &findings.scenario().workloads;
        for manifest in findings.synced().iter().filter(|m| m.kind() == "Deployment") {
            if !workloads.iter().any(|w| base(&w.kind) == "deployment" && w.name == manifest.name()) {
                continue;
            }
            if manifest.text("spec.strategy.type") == Some("Recreate") {
                findings.report_in(
                    &ABRUPT.rule,
                    manifest.source(),
                    manifest.span("spec.strategy.type"),
                    format!("{} is recreated: no request is answered meanwhile", manifest.title()),
                    "use a rolling update with `maxUnavailable: 0`",
                );
            }
            let containers = manifest.items("spec.template.spec.containers");
            if !containers.is_empty() && containers.iter().all(|c| c.get("readinessProbe").is_none()) {
                findings.report_in(
                    &ABRUPT.rule,
                    manifest.source(),
                    manifest.span("spec.template.spec.containers"),
                    format!("{} has no readiness probe: it gets requests before it can answer", manifest.title()),
                    "add a `readinessProbe`",
                );
            }
        }
    },
};

#[cfg(test)]
mod tests {
    #[test]
    fn kinds_by_any_of_their_names() {
        let kinds = ["deployment", "deployments", "kustomizations.kustomize.toolkit.fluxcd.io", "gitrepositories"];
        assert_eq!(kinds.map(super::base), ["deployment", "deployment", "kustomization", "gitrepository"]);
    }
}

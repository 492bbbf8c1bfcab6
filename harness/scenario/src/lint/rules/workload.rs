//! Workloads and their probes, as the fleet has them.

use std::time::Duration;

use crate::lint::course::normal;
use crate::lint::{Findings, Rule, ScenarioRule};
use crate::model::Component;
use crate::names;
use crate::parse::tree::{Node, Value};
use crate::probes::{From, Probe};
use crate::span::{Span, Spanned};
use crate::steps::{Condition, Fact, Step, walk};
use crate::text::{Address, ObjectRef};

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
            let rate = probe.question().rate();
            if rate.interval() > Duration::from_secs(1) {
                findings.report(
                    &SLOW.rule,
                    rate.span,
                    format!("at {rate} every outage of less than {} s can stay unseen", rate.interval().as_secs()),
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
            let Probe::Http(http) = &probe.value else { continue };
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
            .filter_map(|port| number(port.get("nodePort")?))
            .collect();
        for probe in &findings.scenario().probes {
            let Some(port) = probe.question().route().and_then(|route| route.node_port) else { continue };
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

pub const UNSERVED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F139",
        name: "unserved-address",
        explain: "Nothing answers at a Service that does not exist, or on a port that it does not have: a node port is none of its \
                  ports, and neither is its pods'.",
        failing: "probes: [http: {name: web, url: \"http://web.apps.svc:30080/\", from: [inside]}]",
        failing_files: &[(SERVICE, WEB_ON_80)],
        passing: "probes: [http: {name: web, url: \"http://web.apps.svc/\", from: [inside]}]",
        passing_files: &[(SERVICE, WEB_ON_80)],
        ..Rule::WARNING
    },
    check: |findings| {
        if findings.synced().is_empty() || findings.fleet().is_generated() {
            return;
        }
        let manifests = findings.manifests();
        let services: Vec<_> = manifests.iter().filter(|m| m.is("", "Service")).collect();
        let known = known_objects(findings);
        for (address, span) in addresses(findings) {
            let Some((name, namespace)) = address.service() else { continue };
            let is_it = |m: &&&std::rc::Rc<crate::lint::fleet::Manifest>| {
                m.name() == name && m.namespace().is_none_or(|own| own == namespace)
            };
            let Some(service) = services.iter().find(is_it) else {
                let is_known = known.iter().any(|(kind, known)| kind == "service" && known == name);
                // A name of two parts may be of the world outside.
                if !is_known
                    && address.host.contains(".svc")
                    && !namespace.starts_with("kube-")
                    && namespace != "default"
                {
                    let names: Vec<&str> = services.iter().map(|m| m.name()).collect();
                    let near = names::nearest(name, names.iter().copied());
                    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
                    findings.report(
                        &UNSERVED.rule,
                        span,
                        format!("the fleet has no Service `{name}` in {namespace}"),
                        format!("{near}its Services are {}", names::list(&names)),
                    );
                }
                continue;
            };
            let ports: Option<Vec<String>> =
                service.items("spec.ports").iter().map(|port| Some(number(port.get("port")?)?.to_string())).collect();
            let Some(ports) = ports.filter(|ports| !ports.contains(&address.port.to_string())) else { continue };
            findings.report(
                &UNSERVED.rule,
                span,
                format!("the Service `{name}` has no port {}", address.port),
                format!("its ports are {}", names::list(&ports)),
            );
        }
    },
};

const SERVICE: &str = "fleets/web/apps/web/service.yaml";

const WEB_ON_80: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: apps}\nspec: {ports: [{port: 80, nodePort: 30080}]}\n";

/// What probes ask from inside, but for what must not answer.
fn addresses<'a>(findings: &Findings<'a>) -> Vec<(&'a Address, Span)> {
    let probes = findings.scenario().probes.iter();
    let asked = probes.filter_map(|probe| match &probe.value {
        Probe::Canary(canary) => Some((&canary.allowed.value, canary.allowed.span)),
        probe => probe.question().route().filter(|_| probe.asks_from(From::Inside))?.inside,
    });
    asked.collect()
}

fn number(node: &Node) -> Option<u64> {
    match node.value {
        Value::Unsigned(number) => Some(number),
        Value::Signed(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

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
        let known = known_objects(findings);
        for object in objects(findings) {
            let kind = base(&object.kind);
            if !KINDS.contains(&kind) || known.iter().any(|(k, name)| *k == kind && *name == object.name) {
                continue;
            }
            let same_kind = known.iter().filter(|(k, _)| k == kind).map(|(_, name)| name.as_str());
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

/// What comes to be in the cluster, as kind and name: what manifests show, and what bootstrap and the operator bring.
pub(super) fn known_objects(findings: &Findings<'_>) -> Vec<(String, String)> {
    let manifests = findings.manifests();
    let mut known: Vec<(String, String)> =
        manifests.iter().map(|m| (m.kind().to_lowercase(), m.name().to_owned())).collect();
    let instances = findings.instances();
    let syncs = instances.iter().filter_map(|i| i.text("spec.sync.kind").map(str::to_lowercase));
    let syncs = syncs.chain(["kustomization".into(), "gitrepository".into()]);
    known.extend(syncs.map(|kind| (kind, "flux-system".to_owned())));
    let deployments = CONTROLLERS.iter().map(|c| c.as_str()).chain(["flux-operator"]);
    known.extend(deployments.map(|name| ("deployment".to_owned(), name.to_owned())));
    let services =
        ["source-controller", "notification-controller", "webhook-receiver", "source-watcher", "flux-operator"];
    known.extend(services.map(|name| ("service".to_owned(), name.to_owned())));
    known
}

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
pub(super) const KINDS: [&str; 9] = [
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
    objects.extend(scenario.probes.iter().filter_map(|probe| match &probe.value {
        Probe::Flux(flux) => Some(&flux.source),
        _ => None,
    }));
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
            Step::Cut(cut) => objects.push(&cut.pods),
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

//! Flux' own objects and its operator's: sources, what is applied from them, and reports.

use ferry_record::cluster::facts;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Facts, each};

/// The operator's objects are suspended by an annotation.
const RECONCILE: &str = "fluxcd.controlplane.io/reconcile";

pub(super) fn extract(object: &DynamicObject, kind: &str, found: &mut Facts) {
    let data = &object.data;
    let annotation = object.metadata.annotations.as_ref().and_then(|all| all.get(RECONCILE));
    let suspended = data.pointer("/spec/suspend") == Some(&true.into()) || annotation.is_some_and(|a| a == "disabled");
    found.set(facts::SUSPENDED, Some(suspended.to_string()));
    found.text(facts::REVISION, data, "/status/artifact/revision");
    found.text(facts::ARTIFACT, data, "/status/artifact/url");
    found.text(facts::APPLIED, data, "/status/lastAppliedRevision");
    let source = |reference: Option<&Value>| source(reference?, object.metadata.namespace.as_deref());
    match kind {
        "kustomization" => found.set(facts::SOURCE, source(data.pointer("/spec/sourceRef"))),
        "helmrelease" => {
            let chart = data.pointer("/spec/chart/spec/sourceRef").or_else(|| data.pointer("/spec/chartRef"));
            found.set(facts::SOURCE, source(chart));
            // What is applied is the newest release that stayed; those before it are superseded.
            let deployed = each(data, "/status/history").find(|release| release["status"] == "deployed");
            found.set(facts::APPLIED, deployed.and_then(|release| release["chartVersion"].as_str()));
        }
        "fluxinstance" => {
            let applied = data.pointer("/status/lastAppliedRevision").and_then(Value::as_str);
            found.set(facts::VERSION, applied.map(|revision| revision.split('@').next().unwrap_or(revision)));
        }
        "fluxreport" => {
            found.text(facts::VERSION, data, "/spec/distribution/version");
            found.text(facts::MANAGED_BY, data, "/spec/distribution/managedBy");
        }
        _ => {}
    }
}

/// `kind/namespace/name` of a reference, which is to its own namespace unless it says otherwise.
fn source(reference: &Value, own: Option<&str>) -> Option<String> {
    let text = |key: &str| reference[key].as_str();
    Some(format!(
        "{}/{}",
        text("kind")?.to_lowercase(),
        crate::cluster::qualified(text("namespace").or(own), text("name")?)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::facts_of;
    use rstest::rstest;

    #[rstest]
    #[case::kustomization(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization,
         spec: {suspend: true, sourceRef: {kind: OCIRepository, name: fleet, namespace: sources}},
         status: {lastAppliedRevision: 'main@sha1:abc', lastAttemptedRevision: 'main@sha1:def'}",
        "applied: main@sha1:abc\nsource: ocirepository/sources/fleet\nsuspended: true"
    )]
    #[case::git(
        "apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, spec: {url: 'ssh://git@git.ferry/fleet.git'},
         status: {artifact: {revision: 'main@sha1:abc', url: 'http://source-controller.flux-system.svc/x.tar.gz'}}",
        "artifact: http://source-controller.flux-system.svc/x.tar.gz\nrevision: main@sha1:abc\nsuspended: false"
    )]
    #[case::release(
        "apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease,
         spec: {chart: {spec: {chart: podinfo, sourceRef: {kind: HelmRepository, name: podinfo}}}},
         status: {history: [{chartVersion: 6.6.0, status: failed}, {chartVersion: 6.5.0, status: deployed}]}",
        "applied: 6.5.0\nsource: helmrepository/apps/podinfo\nsuspended: false"
    )]
    #[case::release_by_reference(
        "apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, spec: {chartRef: {kind: OCIRepository, name: podinfo}}",
        "source: ocirepository/apps/podinfo\nsuspended: false"
    )]
    #[case::instance(
        "apiVersion: fluxcd.controlplane.io/v1, kind: FluxInstance, spec: {distribution: {version: 2.x}},
         status: {lastAppliedRevision: 'v2.9.2@sha256:abc'}",
        "applied: v2.9.2@sha256:abc\nsuspended: false\nversion: v2.9.2"
    )]
    #[case::report(
        "apiVersion: fluxcd.controlplane.io/v1, kind: FluxReport,
         spec: {distribution: {version: v2.9.2, managedBy: flux bootstrap, status: Installed}}",
        "managed-by: flux bootstrap\nsuspended: false\nversion: v2.9.2"
    )]
    fn facts(#[case] object: &str, #[case] expected: &str) {
        assert_eq!(facts_of(&format!("{{metadata: {{name: a, namespace: apps}}, {object}}}")), expected);
    }

    #[test]
    fn the_operators_objects_are_suspended_by_annotation() {
        let facts = facts_of(
            "{apiVersion: fluxcd.controlplane.io/v1, kind: FluxInstance,
              metadata: {name: flux, annotations: {fluxcd.controlplane.io/reconcile: disabled}}}",
        );
        assert_eq!(facts, "suspended: true");
    }

    #[test]
    fn a_kustomization_of_kustomize_itself_is_none_of_flux() {
        assert_eq!(facts_of("{apiVersion: kustomize.config.k8s.io/v1, kind: Kustomization, metadata: {name: a}}"), "");
    }
}

//! What the watches see of a good migration, to change in tests.

use super::{Record, SECOND};
use crate::cluster::{ObjectSeen, facts};

/// Flux' definitions, and the kind of each.
const DEFINITIONS: [(&str, &str); 2] = [
    ("gitrepositories.source.toolkit.fluxcd.io", "gitrepository"),
    ("kustomizations.kustomize.toolkit.fluxcd.io", "kustomization"),
];

impl Record {
    /// A bootstrapped cluster with a Deployment, all of it there before the window.
    pub fn bootstrapped() -> Self {
        let component = |o: &mut ObjectSeen| {
            o.applied_by("flux-system");
            o.label_as("app.kubernetes.io/part-of", "flux");
        };
        let mut record = Self::good().watched();
        for (definition, kind) in DEFINITIONS {
            record = record.watch(5 * SECOND, definition).object(5 * SECOND, &crd(definition), |o| {
                component(o);
                o.set(facts::DEFINES, kind);
                o.set(facts::STORED_VERSIONS, "v1");
                o.set(facts::SERVED_VERSIONS, "v1,v1beta2");
            });
        }
        record
            .object(5 * SECOND, "namespace/flux-system", component)
            .object(5 * SECOND, "deployment/flux-system/source-controller", |o| {
                component(o);
                o.set(facts::TEMPLATE, "bootstrap");
            })
            .object(6 * SECOND, "gitrepository/flux-system/flux-system", |o| {
                o.applied_by("flux-system");
                o.set(facts::SPEC, "main");
                o.set(facts::ARTIFACT, "http://source-controller/flux-system.tar.gz");
            })
            .object(6 * SECOND, "kustomization/flux-system/flux-system", |o| {
                o.applied_by("flux-system");
                o.set(facts::SPEC, "cluster");
            })
            .object(7 * SECOND, "kustomization/flux-system/apps", |o| {
                o.applied_by("flux-system");
                o.set(facts::SPEC, "apps");
            })
            .object(8 * SECOND, "namespace/apps", |o| o.applied_by("apps"))
            .object(8 * SECOND, "service/apps/web", |o| o.applied_by("apps"))
            .object(8 * SECOND, "deployment/apps/web", |o| {
                o.applied_by("apps");
                o.set(facts::SPEC, "s1");
                o.set(facts::TEMPLATE, "t1");
            })
            .object(8 * SECOND, "replicaset/apps/web-1", |o| {
                o.owned_by("deployment/apps/web");
                o.set(facts::TEMPLATE_HASH, "1");
            })
            .object(9 * SECOND, "pod/apps/web-1-a", |o| {
                o.owned_by("replicaset/apps/web-1");
                o.set(facts::TEMPLATE_HASH, "1");
                o.set(facts::RESTARTS, 0);
                o.set(facts::STARTED, "web=2026-11-21T12:00:08Z");
            })
    }

    /// The same, carried over to the operator between 10 and 13 s as the official route does.
    pub fn migrated() -> Self {
        let mut record = Self::bootstrapped();
        for definition in ["fluxinstances.fluxcd.controlplane.io", "fluxreports.fluxcd.controlplane.io"] {
            record = record.object(10 * SECOND, &crd(definition), |_| {}).watch(10 * SECOND, definition);
        }
        for (definition, _) in DEFINITIONS {
            record = record.object(11 * SECOND, &crd(definition), adopted);
        }
        record
            .object(10 * SECOND, "deployment/flux-system/flux-operator", |o| o.managed("ferry", "Apply"))
            .object(10 * SECOND, "fluxinstance/flux-system/flux", |o| o.managed("ferry", "Apply"))
            .object(11 * SECOND, "namespace/flux-system", adopted)
            .object(11 * SECOND, "deployment/flux-system/source-controller", |o| {
                adopted(o);
                o.set(facts::TEMPLATE, "operator");
            })
            .object(12 * SECOND, "gitrepository/flux-system/flux-system", |o| {
                adopted(o);
                o.set(facts::SPEC, "refs/heads/main");
            })
            .object(12 * SECOND, "kustomization/flux-system/flux-system", adopted)
            .object(13 * SECOND, "fluxreport/flux-system/flux", |o| o.set(facts::MANAGED_BY, "flux-operator"))
    }
}

/// What the operator makes of an object that it takes over.
pub fn adopted(o: &mut ObjectSeen) {
    o.labels.retain(|label, _| !label.starts_with("kustomize.toolkit.fluxcd.io/"));
    o.label_as("fluxcd.controlplane.io/name", "flux");
    o.label_as("fluxcd.controlplane.io/namespace", "flux-system");
    o.label_as("app.kubernetes.io/part-of", "flux");
    o.label_as("app.kubernetes.io/managed-by", "flux-operator");
    o.annotations.insert("kustomize.toolkit.fluxcd.io/ssa".into(), "Ignore".into());
    o.annotations.insert("kustomize.toolkit.fluxcd.io/prune".into(), "Disabled".into());
    o.managed("flux-operator", "Apply");
}

fn crd(definition: &str) -> String {
    format!("customresourcedefinition/{definition}")
}

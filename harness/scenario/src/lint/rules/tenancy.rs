//! What stops working under the multitenancy lockdown (`cluster.multitenant: true`).

use super::examples::{TAKE_OVER, instance};
use crate::lint::fleet::is_remote;
use crate::lint::{Findings, Rule, ScenarioRule};

/// The file that all examples change.
const FILE: &str = "example-area/instance.yaml";

/// What all failing examples apply.
const LOCKED: &str = instance!("cluster: {multitenant: true}");

fn is_locked_down(findings: &Findings<'_>) -> bool {
    findings.instances().iter().any(|instance| instance.is_true("spec.cluster.multitenant"))
}

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: db, namespace: apps}\nspec: {interval: 1m}\n";
const OWN_RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: db, namespace: apps}\nspec: {interval: 1m, serviceAccountName: db}\n";
const IN_FLEET: &str = "fleets/web/apps/web/db.yaml";

pub const HELM_RELEASE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F320",
        name: "tenant-helm-release",
        explain: "Under lockdown a HelmRelease without `serviceAccountName` acts as the namespace's `default` account, which may do \
                  nothing: `Could not determine release state: … secrets is forbidden`.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, LOCKED), (IN_FLEET, RELEASE)],
        passing: "",
        passing_files: &[(IN_FLEET, OWN_RELEASE)],
        ..Rule::WARNING
    },
    check: |findings| account(findings, &HELM_RELEASE.rule, "helm.toolkit.fluxcd.io", "HelmRelease"),
};

const KUSTOMIZATION: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {interval: 1m, retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}}\n";
const OWN_KUSTOMIZATION: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {interval: 1m, retryInterval: 10s, serviceAccountName: kustomize-controller, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}}\n";
const MORE: &str = "fleets/web/clusters/test/more.yaml";

pub const TENANT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F321",
        name: "tenant-kustomization",
        explain: "Under lockdown a Kustomization without `serviceAccountName` acts as the namespace's `default` account, which may \
                  change nothing. The operator sets an account on its own sync and on no other.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, LOCKED), (MORE, KUSTOMIZATION)],
        passing: "",
        passing_files: &[(MORE, OWN_KUSTOMIZATION)],
        ..Rule::WARNING
    },
    check: |findings| account(findings, &TENANT.rule, "kustomize.toolkit.fluxcd.io", "Kustomization"),
};

fn account(findings: &mut Findings<'_>, rule: &Rule, group: &str, kind: &str) {
    // Whoever sets another default account has thought of it.
    let has_default = |i: &crate::lint::fleet::Manifest| i.at("spec.cluster.tenantDefaultServiceAccount").is_some();
    if !is_locked_down(findings) || findings.instances().iter().any(|instance| has_default(instance)) {
        return;
    }
    for manifest in findings.manifests().iter().filter(|m| m.is(group, kind)) {
        let is_sync = manifest.name() == "flux-system" && manifest.namespace() == Some("flux-system");
        if is_sync || manifest.at("spec.serviceAccountName").is_some() || manifest.at("spec.kubeConfig").is_some() {
            continue;
        }
        let account = if manifest.namespace() == Some("flux-system") { "kustomize-controller" } else { "ACCOUNT" };
        findings.report_in(
            rule,
            manifest.source(),
            manifest.span("spec.serviceAccountName"),
            format!("{} has no serviceAccountName: under lockdown it may change nothing", manifest.title()),
            format!("add `serviceAccountName: {account}` to its spec"),
        );
    }
}

pub const CROSS_NAMESPACE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F322",
        name: "cross-namespace",
        explain: "Under lockdown no object may refer to one in another namespace: `AccessDenied: can't access \
                  'GitRepository/ns/name', cross-namespace references have been blocked`.",
        failing: TAKE_OVER,
        failing_files: &[
            (FILE, LOCKED),
            (
                MORE,
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: apps}\nspec:\n  serviceAccountName: apps\n  sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}\n",
            ),
        ],
        passing: "",
        passing_files: &[(MORE, OWN_KUSTOMIZATION)],
        ..Rule::WARNING
    },
    check: |findings| {
        if !is_locked_down(findings) {
            return;
        }
        let one = ["spec.sourceRef", "spec.chartRef", "spec.chart.spec.sourceRef", "spec.imageRepositoryRef"];
        for manifest in findings.manifests().iter().filter(|m| m.group().ends_with(".toolkit.fluxcd.io")) {
            // The namespace may come from a kustomization; then nobody can say here.
            let Some(own) = manifest.namespace() else { continue };
            let single = one.iter().filter_map(|path| manifest.at(path));
            let many =
                ["spec.eventSources", "spec.resources", "spec.dependsOn"].iter().flat_map(|path| manifest.items(path));
            for reference in single.chain(many) {
                let Some(namespace) = reference.get("namespace") else { continue };
                let Some(other) = namespace.text().filter(|other| *other != own) else { continue };
                findings.report_in(
                    &CROSS_NAMESPACE.rule,
                    manifest.source(),
                    namespace.span,
                    format!("{} in {own} refers to an object in {other}: the lockdown blocks that", manifest.title()),
                    format!("move one of the two, or give {own} a source of its own"),
                );
            }
        }
    },
};

pub const REMOTE_BASE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F323",
        name: "remote-base",
        explain: "Under lockdown kustomize-controller runs with `--no-remote-bases`: a kustomization that is a git \
                  repository's fails to build. A single file that is fetched over HTTP does not: lockdown stops no tenant from that.",
        failing: TAKE_OVER,
        failing_files: &[
            (FILE, LOCKED),
            (
                "fleets/web/apps/web/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [\"https://github.com/org/base?ref=v1\"]\n",
            ),
        ],
        passing: "",
        passing_files: &[(
            "fleets/web/apps/web/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [deployment.yaml]\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        if !is_locked_down(findings) {
            return;
        }
        for manifest in findings.manifests() {
            for (resource, span) in manifest.resources().filter(|(resource, _)| is_remote(resource)) {
                findings.report_in(
                    &REMOTE_BASE.rule,
                    manifest.source(),
                    span,
                    format!("{resource} is fetched from elsewhere: the lockdown forbids that"),
                    "copy it into the fleet",
                );
            }
        }
    },
};

//! Which resources are watched, and which of their objects the record keeps: those of the fleet and of Flux, not those that
//! every cluster has.

use kube::api::{ApiResource, DynamicObject};

use super::extract::{is_flux, is_known};

/// A resource that every cluster serves.
pub(super) struct Watched {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    of_interest: fn(&DynamicObject) -> bool,
}

/// What a migration can change. Leases and events are no objects of interest: they only tick.
const WATCHED: &[Watched] = &[
    of("", "ConfigMap", "configmaps", is_not_in_every_namespace),
    of("", "Namespace", "namespaces", any),
    of("", "Node", "nodes", any),
    of("", "PersistentVolumeClaim", "persistentvolumeclaims", any),
    of("", "Pod", "pods", any),
    of("", "Secret", "secrets", any),
    of("", "Service", "services", any),
    of("", "ServiceAccount", "serviceaccounts", any),
    of("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", defines_flux),
    of("apps", "DaemonSet", "daemonsets", any),
    of("apps", "Deployment", "deployments", any),
    of("apps", "ReplicaSet", "replicasets", any),
    of("apps", "StatefulSet", "statefulsets", any),
    of("discovery.k8s.io", "EndpointSlice", "endpointslices", any),
    of("networking.k8s.io", "Ingress", "ingresses", any),
    of("networking.k8s.io", "NetworkPolicy", "networkpolicies", any),
    of("policy", "PodDisruptionBudget", "poddisruptionbudgets", any),
    of("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", is_managed_by_flux),
    of("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", is_managed_by_flux),
    of("rbac.authorization.k8s.io", "Role", "roles", is_managed_by_flux),
    of("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", is_managed_by_flux),
];

/// All of them are served in v1 since Kubernetes 1.25.
const VERSION: &str = "v1";

const fn of(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    of_interest: fn(&DynamicObject) -> bool,
) -> Watched {
    Watched { group, kind, plural, of_interest }
}

/// The resources that are watched from the start; those of Flux' own definitions join when these are established.
pub fn resources() -> impl Iterator<Item = ApiResource> {
    WATCHED.iter().map(|watched| resource(watched.group, VERSION, watched.kind, watched.plural))
}

/// A resource by its parts.
pub fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let [group, version, kind, plural] = [group, version, kind, plural].map(String::from);
    ApiResource { group, version, api_version, kind, plural }
}

/// A resource's name in the record, e.g. `deployments.apps`.
pub fn named(resource: &ApiResource) -> String {
    match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    }
}

/// Whether the record keeps an object when it is first seen. Once kept, it stays: a label that made it one of Flux' may be
/// just what the migration takes away.
pub fn keeps(object: &DynamicObject, resource: &ApiResource) -> bool {
    let meta = &object.metadata;
    let namespace = match resource.plural.as_str() {
        "namespaces" if resource.group.is_empty() => meta.name.as_deref(),
        _ => meta.namespace.as_deref(),
    };
    let row = WATCHED.iter().find(|w| w.group == resource.group && w.plural == resource.plural);
    !namespace.is_some_and(is_clusters_own) && row.is_none_or(|row| (row.of_interest)(object))
}

/// Whether a namespace is the cluster's own. Kubernetes reserves the prefix; the other is kind's and k3s' storage.
pub fn is_clusters_own(namespace: &str) -> bool {
    namespace.starts_with("kube-") || namespace == "local-path-storage"
}

fn any(_: &DynamicObject) -> bool {
    true
}

/// The API server's certificate is in every namespace by this name.
fn is_not_in_every_namespace(config: &DynamicObject) -> bool {
    config.metadata.name.as_deref() != Some("kube-root-ca.crt")
}

fn defines_flux(definition: &DynamicObject) -> bool {
    definition.data.pointer("/spec/group").and_then(|group| group.as_str()).is_some_and(is_flux)
}

/// By a label of Flux or its operator, or as a part of one of them. The cluster's own are many, and Flux does not touch them.
fn is_managed_by_flux(object: &DynamicObject) -> bool {
    object.metadata.labels.iter().flatten().any(|(key, value)| match key.as_str() {
        "app.kubernetes.io/part-of" => value == "flux",
        "app.kubernetes.io/name" | "app.kubernetes.io/managed-by" => value == "flux-operator",
        "helm.sh/chart" => value.starts_with("flux-operator"),
        key => key.split_once('/').is_some_and(|(domain, _)| domain.contains("fluxcd") && is_known(domain)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::extract::testing::object;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::pod("kind: Pod, metadata: {name: web-1, namespace: apps}", true)]
    #[case::system_pod("kind: Pod, metadata: {name: coredns, namespace: kube-system}", false)]
    #[case::storage("kind: Pod, metadata: {name: provisioner, namespace: local-path-storage}", false)]
    #[case::lab("kind: Pod, metadata: {name: ferry-agent, namespace: ferry-lab}", true)]
    #[case::node("kind: Node, metadata: {name: kube-node-1}", true)]
    #[case::namespace("kind: Namespace, metadata: {name: apps}", true)]
    #[case::system_namespace("kind: Namespace, metadata: {name: kube-public}", false)]
    #[case::config("kind: ConfigMap, metadata: {name: settings, namespace: apps}", true)]
    #[case::certificate("kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: apps}", false)]
    fn of_the_core_group(#[case] yaml: &str, #[case] expected: bool) {
        let (object, resource) = object(&format!("{{apiVersion: v1, {yaml}}}"));
        assert_eq!(keeps(&object, &resource), expected);
    }

    #[rstest]
    #[case::none("{}", false)]
    #[case::bootstrap("{app.kubernetes.io/part-of: flux, app.kubernetes.io/instance: flux-system}", true)]
    #[case::operator("{app.kubernetes.io/name: flux-operator, helm.sh/chart: flux-operator-0.59.0}", true)]
    #[case::by_operator("{app.kubernetes.io/managed-by: flux-operator}", true)]
    #[case::applied("{kustomize.toolkit.fluxcd.io/name: apps}", true)]
    #[case::by_resource_set("{resourceset.fluxcd.controlplane.io/name: apps}", true)]
    #[case::helm("{helm.sh/chart: istio-1.2.3, app.kubernetes.io/managed-by: Helm}", false)]
    #[case::clusters("{kubernetes.io/bootstrapping: rbac-defaults}", false)]
    fn roles_of_flux(#[case] labels: &str, #[case] expected: bool) {
        let yaml = format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: a, labels: {labels}}}}}"
        );
        let (object, resource) = object(&yaml);
        assert_eq!(keeps(&object, &resource), expected);
    }

    #[rstest]
    #[case("source.toolkit.fluxcd.io", true)]
    #[case("fluxcd.controlplane.io", true)]
    #[case("networking.istio.io", false)]
    fn definitions_of_flux(#[case] group: &str, #[case] expected: bool) {
        let yaml = format!(
            "{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{name: a.{group}}}, spec: {{group: {group}}}}}"
        );
        let (object, resource) = object(&yaml);
        assert_eq!(keeps(&object, &resource), expected);
    }

    #[test]
    fn resources_have_the_names_that_the_api_server_gives_them() {
        let names: Vec<String> = resources().map(|resource| named(&resource)).collect();
        insta::assert_snapshot!(names.join("\n"), @r"
        configmaps
        namespaces
        nodes
        persistentvolumeclaims
        pods
        secrets
        services
        serviceaccounts
        customresourcedefinitions.apiextensions.k8s.io
        daemonsets.apps
        deployments.apps
        replicasets.apps
        statefulsets.apps
        endpointslices.discovery.k8s.io
        ingresses.networking.k8s.io
        networkpolicies.networking.k8s.io
        poddisruptionbudgets.policy
        clusterroles.rbac.authorization.k8s.io
        clusterrolebindings.rbac.authorization.k8s.io
        roles.rbac.authorization.k8s.io
        rolebindings.rbac.authorization.k8s.io
        ");
    }
}

//! What the watches saw of the cluster: objects with what identifies them, Kubernetes events, controllers' errors.
//!
//! Whoever watches records an object when it is first seen and whenever anything kept here changed; the last line about an
//! object is its state. Contents of Secrets and ConfigMaps are never part of it, only hashes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An object as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSeen {
    /// `kind/namespace/name` or `kind/name`, the kind in lower case: `deployment/apps/web`,
    /// `customresourcedefinition/gitrepositories.source.toolkit.fluxcd.io`.
    pub object: String,
    /// Its API version, e.g. `apps/v1`.
    pub api: String,
    /// What makes it this object and no other of the same name.
    pub uid: String,
    /// Changes with every write, of whatever it is.
    pub resource_version: String,
    /// Changes with the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The generation that its controller has acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the API server made it (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When its deletion was asked for (RFC 3339): it waits for its finalizers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleting: Option<String>,
    /// What it is garbage-collected with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
    /// What holds its deletion up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
    /// Labels of Flux, its operator and Helm, and `app.kubernetes.io/*`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of Flux, its operator and Helm.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Who wrote which part of it, from managedFields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<Manager>,
    /// `status.conditions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What else matters of its kind, by the names in [`facts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl ObjectSeen {
    /// What else is known of it, by a name of [`facts`].
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).map(String::as_str)
    }

    /// A label that is kept.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// An annotation that is kept.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }

    /// Its API group: `apps`, `source.toolkit.fluxcd.io`, empty for the core.
    pub fn group(&self) -> &str {
        self.api.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether it is a custom resource of Flux or its operator.
    pub fn is_flux(&self) -> bool {
        is_flux_group(self.group())
    }

    /// Whether it is one of the things that Flux is installed as: controllers, definitions, roles. All manifests of Flux
    /// label it so, those that bootstrap writes as well as those that the operator applies.
    pub fn is_flux_component(&self) -> bool {
        self.label("app.kubernetes.io/part-of") == Some("flux")
    }
}

/// Whether an API group is of Flux or its operator.
pub fn is_flux_group(group: &str) -> bool {
    group.ends_with(".toolkit.fluxcd.io") || group == OPERATOR_GROUP
}

/// The namespace of what the harness itself runs in the cluster: probe agents, and the workload of the self-proof.
pub const LAB: &str = "ferry-lab";

/// The API group of Flux Operator; it also begins the names of its labels, annotations and finalizers.
pub const OPERATOR_GROUP: &str = "fluxcd.controlplane.io";

/// The parts of an object's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// In lower case, singular.
    pub kind: &'a str,
    /// `None` for objects of the whole cluster.
    pub namespace: Option<&'a str>,
    /// Its own name.
    pub name: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes [`ObjectSeen::object`] apart.
    pub fn of(object: &'a str) -> Self {
        let (kind, rest) = object.split_once('/').unwrap_or(("", object));
        match rest.split_once('/') {
            Some((namespace, name)) => Self { kind, namespace: Some(namespace), name },
            None => Self { kind, namespace: None, name: rest },
        }
    }
}

/// Names of [`ObjectSeen::facts`]. Lists are joined by commas, in order.
pub mod facts {
    /// Any object with a spec: its hash.
    pub const SPEC: &str = "spec";
    /// ConfigMap, Secret: hash of the data.
    pub const DATA: &str = "data";
    /// Deployment, StatefulSet, DaemonSet, ReplicaSet: hash of the pod template.
    pub const TEMPLATE: &str = "template";
    /// Those: replicas wanted.
    pub const REPLICAS: &str = "replicas";
    /// Those: replicas ready. Pod: `true` or `false`.
    pub const READY: &str = "ready";
    /// Pod and those: images of their containers.
    pub const IMAGES: &str = "images";
    /// Pod: restarts of all its containers together.
    pub const RESTARTS: &str = "restarts";
    /// Pod: when each container started, as `name=time`.
    pub const STARTED: &str = "started";
    /// Pod, ReplicaSet: the `pod-template-hash` label.
    pub const TEMPLATE_HASH: &str = "template-hash";
    /// Pod: its node.
    pub const NODE: &str = "node";
    /// Pod, PersistentVolumeClaim, Namespace: its phase.
    pub const PHASE: &str = "phase";
    /// Pod: why a container waits, e.g. `ImagePullBackOff`.
    pub const WAITING: &str = "waiting";
    /// Pod: its address.
    pub const IP: &str = "ip";
    /// Service: its cluster IP.
    pub const CLUSTER_IP: &str = "cluster-ip";
    /// Service: hash of the selector.
    pub const SELECTOR: &str = "selector";
    /// PersistentVolumeClaim: the volume it is bound to.
    pub const VOLUME: &str = "volume";
    /// EndpointSlice: the addresses that are ready.
    pub const READY_ADDRESSES: &str = "ready-addresses";
    /// EndpointSlice: its Service.
    pub const SERVICE: &str = "service";
    /// CustomResourceDefinition: `status.storedVersions`.
    pub const STORED_VERSIONS: &str = "stored-versions";
    /// CustomResourceDefinition: versions that are served.
    pub const SERVED_VERSIONS: &str = "served-versions";
    /// CustomResourceDefinition: the kind it defines, in lower case.
    pub const DEFINES: &str = "defines";
    /// Flux objects: `spec.suspend`.
    pub const SUSPENDED: &str = "suspended";
    /// Flux sources: `status.artifact.revision`.
    pub const REVISION: &str = "revision";
    /// Flux sources: `status.artifact.url`.
    pub const ARTIFACT: &str = "artifact";
    /// Kustomization, HelmRelease, FluxInstance: the revision applied last.
    pub const APPLIED: &str = "applied";
    /// Kustomization: `spec.sourceRef` as `kind/namespace/name`; HelmRelease: its chart's source.
    pub const SOURCE: &str = "source";
    /// FluxReport: `spec.distribution.managedBy`.
    pub const MANAGED_BY: &str = "managed-by";
    /// FluxReport, FluxInstance: the version of Flux.
    pub const VERSION: &str = "version";
}

/// An owner reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// `kind/name`; an owner is in the same namespace or in none.
    pub object: String,
    /// Its UID.
    pub uid: String,
}

/// An entry of managedFields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manager {
    /// Its name, e.g. `kustomize-controller`.
    pub name: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// `status`, `scale`; empty for the object itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// When it last changed something (RFC 3339, whole seconds).
    pub time: String,
    /// Hash of the set of fields that it owns.
    pub fields: String,
}

/// An entry of `status.conditions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `Ready`, `Reconciling`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// A Kubernetes event: what a controller has to say about an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The object that it is about, as in [`ObjectSeen::object`].
    pub object: String,
    /// Whether its type is `Warning`.
    pub warning: bool,
    /// One word, e.g. `BackOff`.
    pub reason: String,
    /// In words.
    pub message: String,
    /// How often it was said so far.
    pub count: u32,
    /// Who says so.
    pub reporter: String,
}

/// A line that a controller logged with level error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLine {
    /// `pod/namespace/name`.
    pub pod: String,
    /// The controller, e.g. `source-controller`.
    pub controller: String,
    /// Its time as logged (RFC 3339).
    pub logged: String,
    /// Message and error.
    pub message: String,
    /// The object that it is about, where the line says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

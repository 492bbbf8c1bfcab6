//! The Kubernetes API as steps use it: objects by `kind/namespace/name`, whatever version the cluster serves.

pub mod diff;
pub mod kinds;
pub mod metrics;
pub mod pods;
pub mod ready;
pub mod watch;

use std::path::Path;

use ferry_scenario::text::ObjectRef;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, TypeMeta};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

pub use kinds::{Kinds, ResolveError};

/// A connection to one cluster.
#[derive(Clone)]
pub struct Cluster {
    /// The API client.
    pub client: Client,
    /// Kinds that the API server serves.
    pub kinds: Kinds,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// Why the cluster could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig of the run is unusable.
    #[error("the run's kubeconfig {path} cannot be used: {source}")]
    Kubeconfig {
        /// Its path.
        path: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A request failed.
    #[error("{what}: {}", in_words(answer))]
    Request {
        /// What was asked.
        what: String,
        /// What came back.
        answer: Box<kube::Error>,
    },
    /// A request was not answered in time.
    #[error("{what}: no answer within {within:?}")]
    Silent {
        /// What was asked.
        what: String,
        /// What it had.
        within: std::time::Duration,
    },
    /// The kind is not served.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
}

impl Cluster {
    /// Connects with the run's own kubeconfig; the user's is never read.
    pub async fn connect(kubeconfig: &Path) -> Result<Self, ClusterError> {
        let bad = |source: Box<dyn std::error::Error + Send + Sync>| ClusterError::Kubeconfig {
            path: kubeconfig.display().to_string(),
            source,
        };
        let file = Kubeconfig::read_from(kubeconfig).map_err(|e| bad(e.into()))?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(file, &options).await.map_err(|e| bad(e.into()))?;
        let client = Client::try_from(config).map_err(|e| bad(e.into()))?;
        Ok(Self { kinds: Kinds::new(client.clone()), client })
    }

    /// The API for objects of a kind, in a namespace when one is given.
    pub async fn api(&self, kind: &str, namespace: Option<&str>) -> Result<Api<DynamicObject>, ClusterError> {
        Ok(self.api_and_resource(kind, namespace).await?.0)
    }

    /// As [`Cluster::api`], with what the kind resolved to.
    pub async fn api_and_resource(
        &self,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<(Api<DynamicObject>, ApiResource), ClusterError> {
        let resource = self.kinds.resolve(kind).await?;
        let api = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        Ok((api, resource))
    }

    /// Applies an object server-side, once, by the kind and name that it says itself, and takes fields from others.
    pub async fn apply(&self, object: &Value, manager: &str) -> Result<(), ClusterError> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name, namespace) = (text("/kind"), text("/metadata/name"), text("/metadata/namespace"));
        let group = text("/apiVersion").split_once('/').map(|(group, _)| group);
        let kind = group.map_or_else(|| kind.to_string(), |group| format!("{kind}.{group}"));
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        let api = self.api(&kind, namespace).await?;
        let what = || format!("apply {kind} {}", qualified(namespace, name));
        let params = PatchParams::apply(manager).force();
        api.patch(name, &params, &Patch::Apply(object)).await.map_err(|e| request(what(), e))?;
        Ok(())
    }

    /// Merges a change into an object, as the field manager `manager`.
    pub async fn merge(&self, object: &ObjectRef, change: &Value, manager: &str) -> Result<(), ClusterError> {
        let api = self.api(&object.kind, object.namespace.as_deref()).await?;
        let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        let patched = api.patch(&object.name, &params, &Patch::Merge(change)).await;
        patched.map_err(|e| request(format!("patch {object}"), e))?;
        Ok(())
    }

    /// One object as JSON; `None` when it does not exist.
    pub async fn get(&self, kind: &str, namespace: Option<&str>, name: &str) -> Result<Option<Value>, ClusterError> {
        let what = || format!("get {kind} {}", qualified(namespace, name));
        let (api, resource) = self.api_and_resource(kind, namespace).await?;
        let found = api.get_opt(name).await.map_err(|e| request(what(), e))?;
        Ok(found.map(|object| to_json(object, &resource)))
    }
}

/// `namespace/name`, or the name alone.
pub fn qualified(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_string(), |namespace| format!("{namespace}/{name}"))
}

/// An object as plain JSON, with its kind, which the API server leaves out of lists. A value that cannot be represented
/// becomes null, which no check accepts.
pub fn to_json(mut object: DynamicObject, resource: &ApiResource) -> Value {
    object
        .types
        .get_or_insert_with(|| TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
    serde_json::to_value(object).unwrap_or(Value::Null)
}

/// Names a failed request.
pub fn request(what: String, answer: kube::Error) -> ClusterError {
    ClusterError::Request { what, answer: Box::new(answer) }
}

/// What came back, as kubectl shows it: of what the API server refused, its own words.
pub fn in_words(answer: &kube::Error) -> String {
    match answer {
        kube::Error::Api(status) if !status.message.is_empty() => match status.reason.as_str() {
            "" => format!("{} ({})", shortened(&status.message), status.code),
            reason => format!("{} ({reason})", shortened(&status.message)),
        },
        other => crate::edge::chain(other),
    }
}

/// Without its middle, if it is long: of an object that it cannot decode the API server quotes the whole, then says why.
fn shortened(message: &str) -> String {
    const KEPT: usize = 240;
    let length = message.chars().count();
    if length <= 2 * KEPT {
        return message.to_owned();
    }
    let start: String = message.chars().take(KEPT).collect();
    let end: String = message.chars().skip(length - KEPT).collect();
    format!("{start} … {end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn a_refused_request_is_told_in_the_servers_words() {
        let text = |status: Status| {
            request("delete configmap/apps/note".into(), kube::Error::Api(Box::new(status))).to_string()
        };
        let not_found = Status::failure("configmaps \"note\" not found", "NotFound").with_code(404);
        assert_eq!(text(not_found), "delete configmap/apps/note: configmaps \"note\" not found (NotFound)");
        let long = format!("invalid value: {}: cannot unmarshal string into replicas", "ä".repeat(9_000));
        let said = text(Status::failure(&long, "Invalid"));
        assert!(said.contains("invalid value: ä") && said.ends_with("into replicas (Invalid)"), "{said}");
        assert!(said.chars().count() < 600, "{said}");
        let nameless = Status::failure("no endpoints available", "").with_code(503);
        assert_eq!(text(nameless), "delete configmap/apps/note: no endpoints available (503)");
    }
}

//! From a kind as people write it to what the API server serves.

use std::collections::HashMap;
use std::sync::Arc;

use kube::core::ApiResource;
use kube::{Client, Discovery};
use tokio::sync::Mutex;

/// The kinds that the API server serves, asked for again when an unknown one is named: CRDs come and go in a migration.
#[derive(Clone)]
pub struct Kinds {
    client: Client,
    known: Arc<Mutex<HashMap<String, ApiResource>>>,
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kinds").finish_non_exhaustive()
    }
}

/// Why a kind has no resource.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No group serves it, yet.
    #[error("the API server serves no kind {kind}")]
    NotServed {
        /// As it was written.
        kind: String,
    },
    /// Several groups do.
    #[error("kind {kind} is served by {}; write kind.group/namespace/name", .groups.join(" and "))]
    Ambiguous {
        /// As it was written.
        kind: String,
        /// The groups.
        groups: Vec<String>,
    },
    /// Discovery failed.
    #[error("asking the API server which kinds it serves: {0}")]
    Discovery(#[source] Box<kube::Error>),
}

impl Kinds {
    /// Knows nothing until asked.
    pub fn new(client: Client) -> Self {
        Self { client, known: Arc::default() }
    }

    /// The resource for `kind` or `kind.group`, singular or plural, in any case.
    pub async fn resolve(&self, kind: &str) -> Result<ApiResource, ResolveError> {
        let wanted = kind.to_ascii_lowercase();
        let mut known = self.known.lock().await;
        if let Some(resource) = known.get(&wanted) {
            return Ok(resource.clone());
        }
        let discovery = Discovery::new(self.client.clone())
            .run_aggregated()
            .await
            .map_err(|e| ResolveError::Discovery(Box::new(e)))?;
        // A group may serve a kind in another version than its preferred one alone: notification's Provider is v1beta3.
        let served = discovery.groups().flat_map(|group| group.resources_by_stability()).map(|(resource, _)| resource);
        let resource = choose(&wanted, served.collect())?;
        known.insert(wanted, resource.clone());
        Ok(resource)
    }
}

fn choose(wanted: &str, served: Vec<ApiResource>) -> Result<ApiResource, ResolveError> {
    let (name, group) = wanted.split_once('.').map_or((wanted, None), |(name, group)| (name, Some(group)));
    let mut found: Vec<_> = served
        .into_iter()
        .filter(|r| r.kind.eq_ignore_ascii_case(name) || r.plural == name)
        .filter(|r| group.is_none_or(|group| r.group == group))
        .collect();
    // The core group's Event and metrics' Pod shadow others of the same name, as in kubectl.
    if found.len() > 1 && found.iter().any(|r| r.group.is_empty()) {
        found.retain(|r| r.group.is_empty());
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(ResolveError::NotServed { kind: wanted.into() }),
        _ => Err(ResolveError::Ambiguous { kind: wanted.into(), groups: found.into_iter().map(|r| r.group).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn served() -> Vec<ApiResource> {
        let resource = |group: &str, kind: &str, plural: &str| ApiResource {
            group: group.into(),
            version: "v1".into(),
            api_version: format!("{group}/v1"),
            kind: kind.into(),
            plural: plural.into(),
        };
        vec![
            resource("", "Event", "events"),
            resource("events.k8s.io", "Event", "events"),
            resource("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations"),
            resource("a.example", "Widget", "widgets"),
            resource("b.example", "Widget", "widgets"),
        ]
    }

    #[rstest]
    #[case("kustomization", Ok("kustomize.toolkit.fluxcd.io"))]
    #[case("kustomizations", Ok("kustomize.toolkit.fluxcd.io"))]
    #[case("event", Ok(""))]
    #[case("widget.b.example", Ok("b.example"))]
    #[case("widget", Err("kind widget is served by a.example and b.example; write kind.group/namespace/name"))]
    #[case("gadget", Err("the API server serves no kind gadget"))]
    fn chooses(#[case] wanted: &str, #[case] expected: Result<&str, &str>) {
        let chosen = choose(wanted, served()).map(|r| r.group).map_err(|e| e.to_string());
        assert_eq!(chosen, expected.map(String::from).map_err(String::from));
    }
}

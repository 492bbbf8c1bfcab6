//! `snapshot`: how objects are now, kept for later comparison.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ferry_scenario::steps::Snapshot;
use ferry_scenario::text::ObjectRef;
use serde_json::Value;

use super::{Context, StepError};
use crate::cluster::{Cluster, ClusterError, diff, pods};
use crate::edge;
use crate::wait::{Check, polled};

/// How often objects are looked at again when that did not succeed.
const AGAIN: Duration = Duration::from_millis(500);

/// The snapshots of a run, by name.
#[derive(Debug, Default)]
pub struct Snapshots(Mutex<BTreeMap<String, Taken>>);

/// What a snapshot holds.
pub type Taken = BTreeMap<ObjectRef, ObjectState>;

/// An object as it was at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectState {
    /// Its UID.
    pub uid: String,
    /// Its generation, where its kind has one.
    pub generation: Option<i64>,
    /// Its version in the API server.
    pub resource_version: String,
    /// Everything beside metadata and status.
    pub content: Value,
    /// Its pods by name, without those on their way out; none where its kind has none.
    pub pods: Option<BTreeMap<String, PodState>>,
}

/// A pod as it was at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodState {
    /// Its UID.
    pub uid: String,
    /// Restarts of all its containers.
    pub restarts: u64,
}

impl Snapshots {
    /// Keeps a snapshot.
    pub fn keep(&self, name: &str, taken: Taken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), taken);
    }

    /// A snapshot that was taken before.
    pub fn get(&self, name: &str) -> Option<Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl ObjectState {
    /// From an object and its pods.
    pub fn new(object: &Value, pods: Option<&[Value]>) -> ObjectState {
        let text = |object: &Value, pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let staying = |pods: &[Value]| {
            let staying = pods.iter().filter(|pod| !pods::is_leaving(pod));
            staying
                .map(|pod| {
                    let state = PodState { uid: text(pod, "/metadata/uid"), restarts: pods::restarts(pod) };
                    (pods::name(pod).to_owned(), state)
                })
                .collect()
        };
        ObjectState {
            uid: text(object, "/metadata/uid"),
            generation: object.pointer("/metadata/generation").and_then(Value::as_i64),
            resource_version: text(object, "/metadata/resourceVersion"),
            content: diff::content(object),
            pods: pods.map(staying),
        }
    }

    /// In one line, for the record.
    fn in_words(&self) -> String {
        let generation = self.generation.map(|n| format!(", generation {n}")).unwrap_or_default();
        let pods = self.pods.as_ref().map_or_else(String::new, |pods| {
            let restarts: u64 = pods.values().map(|pod| pod.restarts).sum();
            let names: Vec<&str> = pods.keys().map(String::as_str).collect();
            format!(
                ", pods {} with {restarts} restarts",
                if names.is_empty() { "none".into() } else { names.join(" ") }
            )
        });
        format!("uid {}{generation}, resource version {}{pods}", self.uid, self.resource_version)
    }
}

/// An object as it is now; none if it does not exist.
pub(super) async fn look(object: &ObjectRef, cluster: &Cluster) -> Result<Option<ObjectState>, ClusterError> {
    let Some(found) = cluster.get(&object.kind, object.namespace.as_deref(), &object.name).await? else {
        return Ok(None);
    };
    let has_pods = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "Pod"];
    let pods = match found["kind"].as_str() {
        Some(kind) if has_pods.contains(&kind) => cluster.pods_of(object).await?,
        _ => None,
    };
    Ok(Some(ObjectState::new(&found, pods.as_deref())))
}

pub(super) async fn execute(snapshot: &Snapshot, cx: &Context<'_>) -> Result<(), StepError> {
    let mut taken = Taken::new();
    for object in snapshot.of.iter() {
        let found: Mutex<Option<ObjectState>> = Mutex::default();
        let looks = polled(AGAIN, || async {
            match look(object, cx.cluster).await {
                Ok(Some(state)) => {
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
                    Check::Met("seen".into())
                }
                Ok(None) => Check::Never("it does not exist".into()),
                Err(error) => Check::Unknown(edge::chain(&error)),
            }
        });
        cx.until(format!("snapshot {} of {object}", snapshot.name), looks).await?;
        if let Some(state) = found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            cx.recorder.fact(&format!("snapshot.{}.{object}", snapshot.name), &state.in_words());
            taken.insert(object.value.clone(), state);
        }
    }
    cx.snapshots.keep(snapshot.name.as_str(), taken);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keeps_what_can_be_compared() {
        let object = json!({"kind": "Deployment", "spec": {"replicas": 2}, "status": {"replicas": 2},
            "metadata": {"uid": "u1", "generation": 3, "resourceVersion": "77", "name": "web"}});
        let pods = [
            json!({"metadata": {"name": "web-a", "uid": "p1"}, "status": {"containerStatuses": [{"restartCount": 2}]}}),
            json!({"metadata": {"name": "web-b", "uid": "p2", "deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        ];
        let state = ObjectState::new(&object, Some(&pods));
        assert_eq!(state.content, json!({"spec": {"replicas": 2}}));
        assert_eq!(state.in_words(), "uid u1, generation 3, resource version 77, pods web-a with 2 restarts");
        assert_eq!(ObjectState::new(&json!({"data": {}}), None).in_words(), "uid , resource version ");
    }

    #[test]
    fn snapshots_are_kept_by_name() {
        let snapshots = Snapshots::default();
        let object: ObjectRef = "deployment/apps/web".parse().unwrap();
        snapshots.keep("before", [(object.clone(), ObjectState::new(&json!({}), None))].into());
        assert!(snapshots.get("before").unwrap().contains_key(&object));
        assert_eq!(snapshots.get("after"), None);
    }
}

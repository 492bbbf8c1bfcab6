//! Puts agents on the nodes.

use ferry_scenario::text::ObjectRef;
use serde::Deserialize;
use serde_json::Value;

use super::{APP, AgentError, NAMESPACE, READY_DEADLINE};
use crate::cluster::ready::readiness;
use crate::cluster::{Cluster, watch};
use crate::steps::FIELD_MANAGER;
use crate::wait::{self, Deadline};

const MANIFEST: &str = include_str!("daemonset.yaml");

/// Puts an agent on every node and waits until they are ready.
pub async fn deploy(cluster: &Cluster) -> Result<(), AgentError> {
    for document in serde_yaml::Deserializer::from_str(MANIFEST) {
        cluster.apply(&Value::deserialize(document)?, FIELD_MANAGER).await?;
    }
    let agents = ObjectRef { kind: "daemonset".into(), namespace: Some(NAMESPACE.into()), name: APP.into() };
    let deadline = Deadline { what: "the probe agents ready".into(), within: READY_DEADLINE };
    wait::until(deadline, watch::of(cluster, &agents, readiness), |_| {}).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferry_probe::agent::protocol::PORT;

    use super::*;

    #[test]
    fn the_manifest_is_what_is_asked_for() {
        let documents: Vec<Value> = serde_yaml::Deserializer::from_str(MANIFEST)
            .map(|document| Value::deserialize(document).unwrap())
            .collect();
        let set = documents.iter().find(|document| document["kind"] == "DaemonSet").unwrap();
        let at = |field: &str| set["metadata"][field].as_str();
        assert_eq!((at("namespace"), at("name")), (Some(NAMESPACE), Some(APP)));
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["ports"][0]["containerPort"], PORT);
        assert_eq!(container["image"], crate::run::stage::AGENT_IMAGE);
        let selector = &set["spec"]["selector"]["matchLabels"];
        assert_eq!(selector, &set["spec"]["template"]["metadata"]["labels"]);
    }
}

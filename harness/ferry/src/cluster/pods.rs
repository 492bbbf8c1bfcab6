//! The pods of a workload, by its selector.

use ferry_scenario::text::ObjectRef;
use kube::api::ListParams;
use serde_json::Value;

use super::{Cluster, ClusterError, request, to_json};

impl Cluster {
    /// The pods of a workload, or the pod itself, those that are being deleted included; none when the object does not
    /// exist, empty when it selects no pods.
    pub async fn pods_of(&self, object: &ObjectRef) -> Result<Option<Vec<Value>>, ClusterError> {
        let namespace = object.namespace.as_deref();
        let Some(owner) = self.get(&object.kind, namespace, &object.name).await? else { return Ok(None) };
        if owner["kind"] == "Pod" {
            return Ok(Some(vec![owner]));
        }
        let Some(selector) = selector(&owner) else { return Ok(Some(vec![])) };
        let (api, resource) = self.api_and_resource("pod", namespace).await?;
        let list = api
            .list(&ListParams::default().labels(&selector))
            .await
            .map_err(|e| request(format!("list the pods of {object}"), e))?;
        Ok(Some(list.items.into_iter().map(|pod| to_json(pod, &resource)).collect()))
    }
}

/// A workload's `spec.selector` as a label selector; none where it selects nothing.
pub fn selector(workload: &Value) -> Option<String> {
    let selector = workload.pointer("/spec/selector")?.as_object()?;
    let labels = match selector.get("matchLabels") {
        Some(labels) => labels.as_object(),
        // Services and ReplicationControllers have the labels themselves.
        None if selector.contains_key("matchExpressions") => None,
        None => Some(selector),
    };
    let equal = labels.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let parts: Vec<String> = equal.chain(expressions.filter_map(requirement)).collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

fn requirement(expression: &Value) -> Option<String> {
    let key = expression["key"].as_str()?;
    let values = || {
        let values = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        values.collect::<Vec<_>>().join(",")
    };
    match expression["operator"].as_str()? {
        "In" => Some(format!("{key} in ({})", values())),
        "NotIn" => Some(format!("{key} notin ({})", values())),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

/// A pod's own name.
pub fn name(pod: &Value) -> &str {
    pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a pod is on its way out, or has done its work.
pub fn is_leaving(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_some()
        || matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed"))
}

/// How often a pod's containers were restarted, all together.
pub fn restarts(pod: &Value) -> u64 {
    let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    containers.into_iter().flatten().filter_map(|status| status["restartCount"].as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!({"matchLabels": {"app": "web", "tier": "front"}}), Some("app=web,tier=front"))]
    #[case(json!({"app": "web"}), Some("app=web"))]
    #[case(json!({"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "tier", "operator": "NotIn", "values": ["cache", "db"]},
        {"key": "zone", "operator": "In", "values": ["a"]},
        {"key": "canary", "operator": "DoesNotExist"},
        {"key": "team", "operator": "Exists"},
    ]}), Some("app=web,tier notin (cache,db),zone in (a),!canary,team"))]
    #[case(json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), Some("team"))]
    #[case(json!({}), None)]
    #[case(json!(null), None)]
    fn selectors(#[case] selector: Value, #[case] expected: Option<&str>) {
        assert_eq!(super::selector(&json!({"spec": {"selector": selector}})).as_deref(), expected);
    }

    #[test]
    fn pods_know_their_state() {
        let pod = json!({"metadata": {"name": "web-a"}, "status": {"phase": "Running",
            "containerStatuses": [{"restartCount": 2}, {"restartCount": 1}]}});
        assert_eq!((name(&pod), restarts(&pod), is_leaving(&pod)), ("web-a", 3, false));
        assert!(is_leaving(&json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})));
        assert!(is_leaving(&json!({"status": {"phase": "Succeeded"}})));
    }
}

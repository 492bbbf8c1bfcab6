//! When an object counts as ready: kstatus' rules for the kinds that fleets are made of, and Flux' own conditions.

use serde_json::Value;

use crate::wait::Check;

/// Judges one object as the API server returned it; `None` when it does not exist.
pub fn readiness(object: Option<&Value>) -> Check {
    let Some(object) = object else { return Check::NotYet("it does not exist yet".into()) };
    if let Some(since) = object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str) {
        return Check::NotYet(format!("it is being deleted since {since}"));
    }
    let generation = number(object, "/metadata/generation");
    if let (Some(wanted), Some(observed)) = (generation, number(object, "/status/observedGeneration"))
        && observed < wanted
    {
        return Check::NotYet(format!("generation {wanted} is not observed yet (status is of {observed})"));
    }
    match object.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "Deployment" => deployment(object),
        "DaemonSet" => counted(object, "/status/desiredNumberScheduled", "/status/numberReady", "pods ready"),
        "StatefulSet" => counted(object, "/spec/replicas", "/status/readyReplicas", "replicas ready"),
        "Namespace" | "PersistentVolumeClaim" => phase(object),
        "CustomResourceDefinition" => condition(object, "Established"),
        "Job" => condition(object, "Complete"),
        "ConfigMap" | "Secret" | "Service" | "ServiceAccount" => Check::Met("exists".into()),
        _ => condition(object, "Ready"),
    }
}

/// Judges one condition by its type.
pub fn condition(object: &Value, kind: &str) -> Check {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = |kind: &str| conditions.and_then(|all| all.iter().find(|c| c["type"] == kind));
    let text = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().trim().to_string();
    let say = |c: &Value| format!("{kind}={}: {}: {}", text(c, "status"), text(c, "reason"), text(c, "message"));
    let stalled = found("Stalled").filter(|c| c["status"] == "True" && kind == "Ready" && !is_stale(object, c));
    if let Some(stalled) = stalled {
        return Check::Never(format!("Stalled: {}: {}", text(stalled, "reason"), text(stalled, "message")));
    }
    match found(kind) {
        None => Check::NotYet(format!("it has no condition {kind} yet")),
        Some(c) if is_stale(object, c) => Check::NotYet(format!("its condition {kind} is of an older generation")),
        Some(c) if c["status"] == "True" => Check::Met(text(c, "message")),
        Some(c) => Check::NotYet(say(c)),
    }
}

/// Whether a condition is about an older generation of its object. FluxInstance and FluxReport note it in conditions alone.
pub fn is_stale(object: &Value, condition: &Value) -> bool {
    let generation = number(object, "/metadata/generation");
    condition["observedGeneration"].as_i64().zip(generation).is_some_and(|(seen, wanted)| seen < wanted)
}

fn deployment(object: &Value) -> Check {
    let want = number(object, "/spec/replicas").unwrap_or(1);
    let have = |name: &str| number(object, &format!("/status/{name}")).unwrap_or(0);
    let (updated, available, all) = (have("updatedReplicas"), have("availableReplicas"), have("replicas"));
    if number(object, "/status/observedGeneration").is_none() {
        Check::NotYet("no controller has seen it yet".into())
    } else if let Check::NotYet(why) = condition(object, "Progressing")
        && why.contains("ProgressDeadlineExceeded")
    {
        Check::Never(why)
    } else if updated < want {
        Check::NotYet(format!("{updated} of {want} replicas are updated"))
    } else if all > updated {
        Check::NotYet(format!("{} old replicas are still there", all - updated))
    } else if available < want {
        Check::NotYet(format!("{available} of {want} replicas are available"))
    } else {
        Check::Met(format!("{available} of {want} replicas available"))
    }
}

fn counted(object: &Value, want: &str, have: &str, noun: &str) -> Check {
    match (number(object, want), number(object, have).unwrap_or(0)) {
        (Some(want), have) if have >= want => Check::Met(format!("{have} of {want} {noun}")),
        (Some(want), have) => Check::NotYet(format!("{have} of {want} {noun}")),
        (None, _) => Check::NotYet("no controller has seen it yet".into()),
    }
}

fn phase(object: &Value) -> Check {
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some(phase @ ("Active" | "Bound")) => Check::Met(phase.into()),
        Some(phase) => Check::NotYet(format!("its phase is {phase}")),
        None => Check::NotYet("it has no phase yet".into()),
    }
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn flux(generation: i64, observed: i64, conditions: Value) -> Value {
        json!({"kind": "Kustomization", "metadata": {"generation": generation},
               "status": {"observedGeneration": observed, "conditions": conditions}})
    }

    #[rstest]
    #[case::stale(flux(2, 1, json!([{"type": "Ready", "status": "True"}])), Check::NotYet("generation 2 is not observed yet (status is of 1)".into()))]
    #[case::ready(flux(1, 1, json!([{"type": "Ready", "status": "True", "message": "Applied revision: main@sha1:a"}])), Check::Met("Applied revision: main@sha1:a".into()))]
    #[case::failing(flux(1, 1, json!([{"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no path"}])), Check::NotYet("Ready=False: BuildFailed: no path".into()))]
    #[case::stalled(flux(1, 1, json!([{"type": "Ready", "status": "False"}, {"type": "Stalled", "status": "True", "reason": "BuildFailed", "message": "bad patch"}])), Check::Never("Stalled: BuildFailed: bad patch".into()))]
    #[case::condition_stale(json!({"kind": "FluxInstance", "metadata": {"generation": 2}, "status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}}), Check::NotYet("its condition Ready is of an older generation".into()))]
    #[case::stalled_before(json!({"kind": "FluxInstance", "metadata": {"generation": 2}, "status": {"conditions": [{"type": "Ready", "status": "False", "observedGeneration": 1}, {"type": "Stalled", "status": "True", "observedGeneration": 1}]}}), Check::NotYet("its condition Ready is of an older generation".into()))]
    #[case::silent(flux(1, 1, json!([])), Check::NotYet("it has no condition Ready yet".into()))]
    #[case::going(json!({"kind": "ConfigMap", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), Check::NotYet("it is being deleted since 2026-01-01T00:00:00Z".into()))]
    #[case::rolling(json!({"kind": "Deployment", "spec": {"replicas": 2}, "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}}), Check::NotYet("1 old replicas are still there".into()))]
    #[case::rolled(json!({"kind": "Deployment", "spec": {"replicas": 2}, "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}}), Check::Met("2 of 2 replicas available".into()))]
    fn judges(#[case] object: Value, #[case] expected: Check) {
        assert_eq!(readiness(Some(&object)), expected);
    }

    #[test]
    fn absence_is_a_state() {
        assert_eq!(readiness(None), Check::NotYet("it does not exist yet".into()));
    }
}

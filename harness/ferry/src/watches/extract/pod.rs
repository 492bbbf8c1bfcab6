//! Pods: when their containers started, how often again, and why they wait.

use std::collections::BTreeSet;

use ferry_record::cluster::facts;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Facts, each};

pub(super) fn extract(pod: &DynamicObject, found: &mut Facts) {
    let data = &pod.data;
    let statuses = || each(data, "/status/containerStatuses");
    // A sidecar that is an init container restarts like any other.
    let all = || each(data, "/status/initContainerStatuses").chain(statuses());

    let ready = each(data, "/status/conditions").any(|c| c["type"] == "Ready" && c["status"] == "True");
    found.set(facts::READY, Some(ready.to_string()));
    found.list(facts::IMAGES, each(data, "/spec/containers").filter_map(|c| c["image"].as_str()));
    let restarts: u64 = all().filter_map(|status| status["restartCount"].as_u64()).sum();
    found.set(facts::RESTARTS, Some(restarts.to_string()));
    let started: Vec<String> = statuses().filter_map(started).collect();
    found.list(facts::STARTED, started.iter().map(String::as_str));
    let waiting: BTreeSet<&str> = all().filter_map(|s| s.pointer("/state/waiting/reason")?.as_str()).collect();
    found.list(facts::WAITING, waiting);
    let labels = pod.metadata.labels.as_ref();
    found.set(facts::TEMPLATE_HASH, labels.and_then(|labels| labels.get("pod-template-hash")).cloned());
    found.text(facts::NODE, data, "/spec/nodeName");
    found.text(facts::PHASE, data, "/status/phase");
    found.text(facts::IP, data, "/status/podIP");
}

/// `name=time` of a container that has started.
fn started(status: &Value) -> Option<String> {
    let at = |state: &str| status.pointer(&format!("/state/{state}/startedAt"))?.as_str();
    Some(format!("{}={}", status["name"].as_str()?, at("running").or_else(|| at("terminated"))?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::facts_of;

    #[test]
    fn a_running_pod() {
        let facts = facts_of(
            "
apiVersion: v1
kind: Pod
metadata: {name: web-5d8f7c-x2x4z, namespace: apps, labels: {app: web, pod-template-hash: 5d8f7c}}
spec:
  nodeName: ferry-control-plane
  containers: [{name: web, image: 'registry.ferry:5000/workload:1'}, {name: proxy, image: 'proxy:2'}]
status:
  phase: Running
  podIP: 10.244.0.7
  conditions: [{type: Initialized, status: 'True'}, {type: Ready, status: 'True'}]
  initContainerStatuses:
  - {name: setup, restartCount: 0, state: {terminated: {exitCode: 0, startedAt: '2026-01-01T00:00:00Z'}}}
  containerStatuses:
  - {name: web, restartCount: 2, state: {running: {startedAt: '2026-01-01T00:00:02Z'}}}
  - {name: proxy, restartCount: 1, state: {running: {startedAt: '2026-01-01T00:00:03Z'}}}
",
        );
        insta::assert_snapshot!(facts, @r"
        images: registry.ferry:5000/workload:1,proxy:2
        ip: 10.244.0.7
        node: ferry-control-plane
        phase: Running
        ready: true
        restarts: 3
        started: web=2026-01-01T00:00:02Z,proxy=2026-01-01T00:00:03Z
        template-hash: 5d8f7c
        ");
    }

    #[test]
    fn a_pod_whose_image_cannot_be_pulled() {
        let facts = facts_of(
            "
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: apps}
spec: {containers: [{name: web, image: nowhere/web}, {name: proxy, image: nowhere/proxy}]}
status:
  phase: Pending
  conditions: [{type: Ready, status: 'False'}]
  containerStatuses:
  - {name: web, restartCount: 0, state: {waiting: {reason: ImagePullBackOff}}}
  - {name: proxy, restartCount: 0, state: {waiting: {reason: ImagePullBackOff}}}
",
        );
        insta::assert_snapshot!(facts, @r"
        images: nowhere/web,nowhere/proxy
        phase: Pending
        ready: false
        restarts: 0
        waiting: ImagePullBackOff
        ");
    }

    #[test]
    fn a_container_that_ended_has_started() {
        let facts = facts_of(
            "
apiVersion: v1
kind: Pod
metadata: {name: job-1}
status:
  phase: Succeeded
  containerStatuses:
  - {name: job, restartCount: 0, state: {terminated: {exitCode: 0, startedAt: '2026-01-01T00:00:02Z'}}}
",
        );
        assert!(facts.contains("started: job=2026-01-01T00:00:02Z"), "{facts}");
    }
}

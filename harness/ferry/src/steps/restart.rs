//! `restart`: pods deleted and their successors awaited, or a node, the API server or a server beside the cluster killed and
//! started again. Each is dated as a fault, from just before the kill until it was seen to be back.

mod component;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ferry_record::EventKind;
use ferry_scenario::steps::{Restart, Server, Victim};
use ferry_scenario::text::{HumanDuration, ObjectRef};
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;

use super::{Context, StepError};
use crate::cluster::ready::readiness;
use crate::cluster::{ClusterError, pods, qualified, request, to_json};
use crate::wait::{Check, polled};

/// How often pods, and a node that boots, are looked at. A watch would back off from an API server that is down, to half a minute.
const LOOK: Duration = Duration::from_millis(500);

/// How long one look may take: a node that is down answers nothing at all.
const ANSWER: Duration = Duration::from_secs(3);

pub(super) async fn execute(restart: &Restart, cx: &Context<'_>) -> Result<(), StepError> {
    let from = cx.recorder.clock().now();
    let target = match &restart.victim {
        Victim::Pods { of, grace } => {
            pods(of, *grace, cx).await?;
            of.to_string()
        }
        Victim::Node { name, down } => {
            node(name.as_str(), down.get(), cx).await?;
            format!("node {name}")
        }
        Victim::Component(component) => {
            component::restart(*component, cx).await?;
            component.process().to_owned()
        }
        Victim::Server { server, down } => {
            match server {
                Server::Git => cx.stage.git().restart(down.get()).await?,
                Server::Registry => cx.stage.registry().restart(down.get()).await?,
            }
            server.title().to_owned()
        }
    };
    let to = cx.recorder.clock().now();
    cx.recorder.emit(EventKind::Fault { fault: "kill".into(), target, from, to, margin: 0 });
    Ok(())
}

async fn pods(of: &ObjectRef, grace: HumanDuration, cx: &Context<'_>) -> Result<(), StepError> {
    let namespace = of.namespace.as_deref();
    let victims = cx.cluster.pods_of(of).await?;
    let victims = victims.ok_or_else(|| StepError::mismatch(format!("{of} does not exist"), None))?;
    if victims.is_empty() {
        return Err(StepError::mismatch(format!("{of} has no pod to restart"), "`wait` for it first".to_string()));
    }
    let api = cx.cluster.api("pod", namespace).await?;
    let grace_period = u32::try_from(grace.get().as_secs()).unwrap_or(u32::MAX);
    let params = DeleteParams { grace_period_seconds: Some(grace_period), ..DeleteParams::default() };
    let mut killed = BTreeSet::new();
    for pod in &victims {
        let name = pods::name(pod);
        cx.said(&format!("restart: delete pod {}", qualified(namespace, name)));
        match api.delete(name, &params).await {
            // One that ended by itself since it was listed is gone all the same.
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(request(format!("delete pod {}", qualified(namespace, name)), error).into()),
        }
        killed.insert(text(pod, "/metadata/uid").to_owned());
    }
    let looks = polled(LOOK, || {
        look(async {
            let workload = cx.cluster.get(&of.kind, namespace, &of.name).await?;
            let pods = cx.cluster.pods_of(of).await?.unwrap_or_default();
            Ok(workload.map_or_else(|| Check::NotYet("it does not exist".into()), |w| replaced(&pods, &w, &killed)))
        })
    });
    cx.until(format!("{of} back on new pods"), looks).await?;
    Ok(())
}

/// One look at a cluster that may be down, or busy booting.
async fn look(looking: impl Future<Output = Result<Check, ClusterError>>) -> Check {
    match tokio::time::timeout(ANSWER, looking).await {
        Ok(Ok(check)) => check,
        Ok(Err(error @ ClusterError::Resolve(_) | error @ ClusterError::Request { .. })) => {
            Check::NotYet(crate::edge::chain(&error))
        }
        Ok(Err(error)) => Check::Never(crate::edge::chain(&error)),
        Err(_) => Check::NotYet(format!("the API server did not answer within {ANSWER:?}")),
    }
}

/// Whether every killed pod is gone, and as many others of the same workload are ready as it asks for. The workload's own
/// status is no proof: it goes on counting killed pods until its controller has noticed.
fn replaced(pods: &[Value], workload: &Value, killed: &BTreeSet<String>) -> Check {
    let (old, new): (Vec<&Value>, Vec<&Value>) =
        pods.iter().partition(|pod| killed.contains(text(pod, "/metadata/uid")));
    if let Some(pod) = old.first() {
        return Check::NotYet(format!("pod {} is still there", pods::name(pod)));
    }
    let is_ready = |pod: &&Value| matches!(readiness(Some(pod)), Check::Met(_));
    let ready = u64::try_from(new.iter().copied().filter(is_ready).count()).unwrap_or(u64::MAX);
    let number = |pointer: &str| workload.pointer(pointer).and_then(Value::as_u64);
    let wanted = number("/spec/replicas").or_else(|| number("/status/desiredNumberScheduled")).unwrap_or(1);
    if ready < wanted {
        return Check::NotYet(format!("{ready} of {wanted} new pods are ready"));
    }
    if workload["kind"] == "Pod" { Check::Met("the new pod is ready".into()) } else { readiness(Some(workload)) }
}

async fn node(written: &str, down: Duration, cx: &Context<'_>) -> Result<(), StepError> {
    let name = cx.stage.cluster().node(written)?.name.clone();
    let before = cx.cluster.get("node", None, &name).await?.as_ref().and_then(heartbeat);
    let killed = lives(&pods_on(&name, cx).await?);
    cx.stage.provider().restart_node(cx.stage.cluster(), &name, down).await?;
    let looks = polled(LOOK, || {
        look(async {
            match booted(cx.cluster.get("node", None, &name).await?.as_ref(), before.as_deref()) {
                Check::Met(_) => Ok(back(&pods_on(&name, cx).await?, &killed)),
                not_yet => Ok(not_yet),
            }
        })
    });
    cx.until(format!("node {written} ready again, with its pods"), looks).await?;
    Ok(())
}

/// The pods on a node, of all namespaces.
async fn pods_on(node: &str, cx: &Context<'_>) -> Result<Vec<Value>, ClusterError> {
    let (api, resource) = cx.cluster.api_and_resource("pod", None).await?;
    let params = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let listed = api.list(&params).await.map_err(|e| request(format!("list the pods of node {node}"), e))?;
    Ok(listed.items.into_iter().map(|pod| to_json(pod, &resource)).collect())
}

/// The running containers of those pods that are ready, by the pods' UIDs.
fn lives(pods: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let ready = pods.iter().filter(|pod| matches!(readiness(Some(pod)), Check::Met(_)));
    ready.map(|pod| (text(pod, "/metadata/uid").to_owned(), running(pod))).collect()
}

/// The ids of a pod's running containers.
fn running(pod: &Value) -> BTreeSet<String> {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
    let running = statuses.filter(|status| status["state"]["running"].is_object());
    running.filter_map(|status| status["containerID"].as_str().map(str::to_owned)).collect()
}

/// Whether every pod that was ready before, and is still there, is ready again in new containers. Until its kubelet has come
/// to a pod, the API has the pod as it was before: ready, and at an address that may be another's by now.
fn back(pods: &[Value], killed: &BTreeMap<String, BTreeSet<String>>) -> Check {
    let expected = pods.iter().filter_map(|pod| Some((pod, killed.get(text(pod, "/metadata/uid"))?)));
    let not_yet: Vec<&str> = expected
        .filter(|(pod, old)| {
            !matches!(readiness(Some(pod)), Check::Met(_)) || running(pod).iter().any(|id| old.contains(id))
        })
        .map(|(pod, _)| text(pod, "/metadata/name"))
        .collect();
    match not_yet.as_slice() {
        [] => Check::Met(format!("{} pods run again", killed.len())),
        pods => Check::NotYet(format!("not back yet: {}", pods.join(", "))),
    }
}

/// Whether a node is ready by what its kubelet has said since it was killed. What it said before stands in the API until then.
fn booted(node: Option<&Value>, before: Option<&str>) -> Check {
    match node.and_then(heartbeat) {
        Some(now) if Some(now.as_str()) != before => readiness(node),
        _ => Check::NotYet("its kubelet has not reported since the restart".into()),
    }
}

/// When the kubelet last said how its node is.
fn heartbeat(node: &Value) -> Option<String> {
    let conditions = node.pointer("/status/conditions")?.as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    ready["lastHeartbeatTime"].as_str().map(str::to_owned)
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn pod(uid: &str, ready: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": format!("web-{uid}"), "namespace": "apps", "uid": uid, "labels": {"app": "web"}},
               "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    }

    fn workload() -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "apps"},
               "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
               "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}})
    }

    #[rstest]
    #[case::not_noticed_yet(&[pod("a", "True"), pod("b", "True")], Check::NotYet("pod web-a is still there".into()))]
    #[case::one_left(&[pod("b", "True"), pod("c", "True"), pod("d", "True")], Check::NotYet("pod web-b is still there".into()))]
    #[case::gone(&[], Check::NotYet("0 of 2 new pods are ready".into()))]
    #[case::coming(&[pod("c", "True"), pod("d", "False")], Check::NotYet("1 of 2 new pods are ready".into()))]
    #[case::back(&[pod("c", "True"), pod("d", "True")], Check::Met("2 of 2 replicas available".into()))]
    fn a_status_from_before_the_kill_is_no_proof(#[case] pods: &[Value], #[case] expected: Check) {
        let killed = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert_eq!(replaced(pods, &workload(), &killed), expected);
    }

    #[test]
    fn a_node_is_believed_by_what_it_says_after_the_restart() {
        let node = |heartbeat: &str, ready: &str| {
            let condition = json!({"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat, "message": "m"});
            json!({"kind": "Node", "status": {"conditions": [condition]}})
        };
        let silent = Check::NotYet("its kubelet has not reported since the restart".into());
        assert_eq!(booted(Some(&node("10:00:00Z", "True")), Some("10:00:00Z")), silent);
        assert_eq!(booted(None, Some("10:00:00Z")), silent);
        assert!(matches!(booted(Some(&node("10:00:09Z", "False")), Some("10:00:00Z")), Check::NotYet(_)));
        assert_eq!(booted(Some(&node("10:00:09Z", "True")), Some("10:00:00Z")), Check::Met("m".into()));
    }

    #[test]
    fn pods_of_a_node_are_believed_by_their_new_containers() {
        let on_node = |name: &str, container: &str, ready: &str| {
            let mut pod = pod(name, ready);
            pod["status"]["containerStatuses"] = json!([{"containerID": container, "state": {"running": {}}}]);
            pod
        };
        let killed = lives(&[on_node("a", "a1", "True"), on_node("b", "b1", "True"), on_node("c", "c1", "False")]);
        let seen = |a: &Value, b: &Value| back(&[a.clone(), b.clone(), on_node("d", "d1", "False")], &killed);
        let (new_a, new_b) = (on_node("a", "a2", "True"), on_node("b", "b2", "True"));
        assert_eq!(seen(&on_node("a", "a1", "True"), &new_b), Check::NotYet("not back yet: web-a".into()));
        assert_eq!(seen(&new_a, &on_node("b", "b2", "False")), Check::NotYet("not back yet: web-b".into()));
        // One that was not ready before is not waited for, nor is one that came since.
        assert_eq!(seen(&new_a, &new_b), Check::Met("2 pods run again".into()));
        // One that is gone has been replaced by its workload, elsewhere or under another name.
        assert_eq!(back(&[new_a], &killed), Check::Met("2 pods run again".into()));
    }
}

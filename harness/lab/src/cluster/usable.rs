//! When a new cluster may be used: its API answers, its nodes are ready, and names resolve from a pod.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerState, Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};

use super::{Cluster, ClusterError, ClusterRequest};
use crate::wait::{Look, Wait, Waited};

/// How long a cluster may take to become usable, stage by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the request to the provider's word that it is made: 180 s, where 12 s is usual for one node.
    pub create: Duration,
    /// From there to an API server that says `ok`: 60 s, where it is at once.
    pub api: Duration,
    /// From there to every node ready: 120 s, where 2 s is usual.
    pub nodes: Duration,
    /// From there to names that resolve from a pod: 120 s, where 2 s is usual.
    pub dns: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { create: seconds(180), api: seconds(60), nodes: seconds(120), dns: seconds(120) }
    }
}

/// A step on the way to a usable cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The API server is ready.
    Api,
    /// All nodes are ready.
    Nodes,
    /// Names resolve from a pod.
    Dns,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "the API server is ready",
            Self::Nodes => "all nodes are ready",
            Self::Dns => "names resolve from a pod",
        })
    }
}

/// Why a cluster is not usable yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUsableYet {
    /// What is awaited.
    pub stage: Stage,
    /// What is missing.
    pub reason: String,
}

/// Why a cluster did not become usable.
#[derive(Debug, thiserror::Error)]
pub enum NotUsable {
    /// A stage took too long.
    #[error("after {deadline:?} of waiting until {stage}: {missing}")]
    Deadline {
        /// The stage.
        stage: Stage,
        /// What it had.
        deadline: Duration,
        /// What was missing at the end.
        missing: String,
    },
    /// A stage cannot be reached.
    #[error("it will never be that {stage}: {reason}")]
    Never {
        /// The stage.
        stage: Stage,
        /// Why.
        reason: String,
    },
}

/// A look per this time: a node turns ready within a second or two, and a look costs a millisecond.
const INTERVAL: Duration = Duration::from_millis(100);

/// Whose manifest the cluster's DNS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DnsOwner {
    /// Kubeadm's, which nothing resets.
    Kubeadm,
    /// The provider's own, with its own settings.
    Provider,
}

/// Returns a cluster that a provider has made, when it is usable.
pub(super) async fn usable(
    cluster: Cluster,
    request: &ClusterRequest,
    dns_owner: DnsOwner,
    not_yet: &(dyn Fn(NotUsableYet) + Send + Sync),
) -> Result<Cluster, ClusterError> {
    let usable = Usable {
        client: cluster.client().await?,
        nodes: cluster.nodes.iter().map(|node| node.name.as_str()).collect(),
        dns_owner,
        request,
        not_yet,
    };
    match usable.wait().await {
        Ok(()) => Ok(cluster),
        Err(source) => Err(ClusterError::NotUsable { cluster: cluster.name, source }),
    }
}

struct Usable<'a> {
    client: kube::Client,
    /// The names of all nodes.
    nodes: Vec<&'a str>,
    dns_owner: DnsOwner,
    request: &'a ClusterRequest,
    not_yet: &'a (dyn Fn(NotUsableYet) + Send + Sync),
}

impl Usable<'_> {
    /// Waits through all stages.
    async fn wait(self) -> Result<(), NotUsable> {
        self.stage(Stage::Api, self.request.deadlines.api, || self.api()).await?;
        if self.dns_owner == DnsOwner::Kubeadm {
            self.stage(Stage::Api, self.request.deadlines.api, || self.quicken_dns()).await?;
        }
        // The pod is asked for at once: its image and its network start while the nodes become ready.
        self.stage(Stage::Dns, self.request.deadlines.api, || self.ask_for_pod()).await?;
        self.stage(Stage::Nodes, self.request.deadlines.nodes, || self.nodes()).await?;
        self.stage(Stage::Dns, self.request.deadlines.dns, || self.dns()).await
    }

    async fn stage<F>(&self, stage: Stage, deadline: Duration, look: impl FnMut() -> F) -> Result<(), NotUsable>
    where
        F: Future<Output = Look<(), String>>,
    {
        let tell = |reason: &str| (self.not_yet)(NotUsableYet { stage, reason: reason.into() });
        Wait { deadline, interval: INTERVAL }.until(look, tell).await.map_err(|waited| match waited {
            Waited::TimedOut(missing) => NotUsable::Deadline { stage, deadline, missing },
            Waited::Never(reason) => NotUsable::Never { stage, reason },
        })
    }

    async fn api(&self) -> Look<(), String> {
        let Ok(request) = http_get("/readyz") else { return Look::Never("no request can be made".into()) };
        match self.client.request_text(request).await {
            Ok(answer) if answer == "ok" => Look::Ready(()),
            Ok(answer) => Look::NotYet(answer),
            Err(error) => Look::NotYet(why(error)),
        }
    }

    /// Has CoreDNS asked every second whether it is ready. Kubeadm has it asked every ten: a first answer that comes half a
    /// second too early costs a boot ten seconds. Its pods wait for a node still, so nothing is restarted by this.
    async fn quicken_dns(&self) -> Look<(), String> {
        let change = serde_json::json!({"spec": {
            "replicas": self.nodes.len().min(2),
            "template": {"spec": {"containers": [{"name": "coredns", "readinessProbe": {"periodSeconds": 1}}]}},
        }});
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), "kube-system");
        match deployments.patch("coredns", &PatchParams::default(), &Patch::Strategic(change)).await {
            Ok(_) => Look::Ready(()),
            Err(error) => Look::NotYet(why(error)),
        }
    }

    async fn nodes(&self) -> Look<(), String> {
        match Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await {
            Ok(nodes) => unready(&nodes.items, &self.nodes).map_or(Look::Ready(()), Look::NotYet),
            Err(error) => Look::NotYet(why(error)),
        }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn ask_for_pod(&self) -> Look<(), String> {
        let pod = match serde_json::from_value(dns_pod(&self.request.dns_image, &self.request.resolvable)) {
            Ok(pod) => pod,
            Err(error) => return Look::Never(error.to_string()),
        };
        match self.pods().create(&PostParams::default(), &pod).await {
            Ok(_) => Look::Ready(()),
            // 409: an answer to an earlier look was lost on its way.
            Err(kube::Error::Api(status)) if status.code == 409 => Look::Ready(()),
            // The service account that every pod needs appears a moment after its namespace.
            Err(error) => Look::NotYet(why(error)),
        }
    }

    async fn dns(&self) -> Look<(), String> {
        let pod = match self.pods().get(POD).await {
            Ok(pod) => pod,
            Err(error) => return Look::NotYet(why(error)),
        };
        match progress(&pod) {
            Progress::Done => {
                // Whoever looks at the cluster next should find it empty. A failure here costs only that.
                self.pods().delete(POD, &DeleteParams::default().grace_period(0)).await.ok();
                Look::Ready(())
            }
            Progress::Running => {
                let last = LogParams { tail_lines: Some(1), ..Default::default() };
                let said = self.pods().logs(POD, &last).await.unwrap_or_default();
                Look::NotYet(if said.is_empty() { "the pod has just started".into() } else { said.trim().into() })
            }
            Progress::Waiting(reason) => Look::NotYet(reason),
            Progress::Failed(reason) => Look::Never(reason),
        }
    }
}

/// The API server's own words, where it has said any.
fn why(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    }
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>, http::Error> {
    http::Request::get(path).body(Vec::new())
}

/// What keeps the nodes from being ready, if anything does.
fn unready(nodes: &[Node], expected: &[&str]) -> Option<String> {
    let is_there = |name: &str| nodes.iter().any(|node| node.metadata.name.as_deref() == Some(name));
    let missing: Vec<_> = expected.iter().copied().filter(|name| !is_there(name)).collect();
    if !missing.is_empty() {
        return Some(format!("of {} nodes have not registered: {}", expected.len(), missing.join(", ")));
    }
    nodes.iter().find_map(|node| {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        match conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready") {
            Some(ready) if ready.status == "True" => None,
            Some(ready) => Some(format!("{name}: {}", ready.message.as_deref().unwrap_or("not ready"))),
            None => Some(format!("{name} has not reported yet")),
        }
    })
}

const POD: &str = "ferry-dns-check";

/// A pod that ends well once every name resolves, and says which does not yet.
fn dns_pod(image: &str, resolvable: &[String]) -> serde_json::Value {
    let names = resolvable.iter().map(String::as_str);
    let names: Vec<_> = std::iter::once("kubernetes.default.svc.cluster.local").chain(names).collect();
    const SCRIPT: &str = r#"for name; do
  until timeout 1 nslookup -type=a "$name." >/tmp/answer 2>&1; do
    echo "$name does not resolve: $(grep -v '^$' /tmp/answer | tail -n 1)"; sleep 0.1
  done
done"#;
    let command: Vec<_> = ["sh", "-c", SCRIPT, "dns-check"].into_iter().chain(names).collect();
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 0,
            // Scheduled before the node is ready, so that it starts as soon as it is.
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "dns-check", "image": image, "imagePullPolicy": "IfNotPresent", "command": command}],
        },
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Waiting(String),
    Running,
    Done,
    Failed(String),
}

/// The container's state goes before the pod's phase, which follows it by a second or two.
fn progress(pod: &Pod) -> Progress {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let Some(state) = statuses.into_iter().flatten().find_map(|container| container.state.as_ref()) else {
        return Progress::Waiting("the pod is not on a node yet".into());
    };
    match state {
        ContainerState { terminated: Some(ended), .. } if ended.exit_code == 0 => Progress::Done,
        ContainerState { terminated: Some(ended), .. } => Progress::Failed(format!(
            "the pod failed with {}: {}",
            ended.exit_code,
            text(ended.reason.as_deref(), ended.message.as_deref())
        )),
        ContainerState { waiting: Some(waiting), .. } => Progress::Waiting(format!(
            "the pod is pending: {}",
            text(waiting.reason.as_deref(), waiting.message.as_deref())
        )),
        _ => Progress::Running,
    }
}

fn text(reason: Option<&str>, message: Option<&str>) -> String {
    [reason, message].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn node(name: &str, ready: Option<(&str, &str)>) -> Node {
        let conditions: Vec<_> = ready
            .into_iter()
            .map(|(status, message)| json!({"type": "Ready", "status": status, "message": message}))
            .collect();
        serde_json::from_value(json!({"metadata": {"name": name}, "status": {"conditions": conditions}})).unwrap()
    }

    #[rstest]
    #[case::ready(vec![node("a", Some(("True", "")))], &["a"], None)]
    #[case::too_few(vec![node("b", Some(("True", "")))], &["a", "b", "c"], Some("of 3 nodes have not registered: a, c"))]
    #[case::no_network(vec![node("a", Some(("False", "cni plugin not initialized")))], &["a"], Some("a: cni plugin not initialized"))]
    #[case::silent(vec![node("a", Some(("True", ""))), node("b", None)], &["a", "b"], Some("b has not reported yet"))]
    fn unready_nodes_say_why(#[case] nodes: Vec<Node>, #[case] expected: &[&str], #[case] reason: Option<&str>) {
        assert_eq!(unready(&nodes, expected).as_deref(), reason);
    }

    #[rstest]
    #[case::unscheduled(json!(null), Progress::Waiting("the pod is not on a node yet".into()))]
    #[case::no_image(
        json!({"waiting": {"reason": "ErrImagePull", "message": "no such host"}}),
        Progress::Waiting("the pod is pending: ErrImagePull: no such host".into())
    )]
    #[case::running(json!({"running": {}}), Progress::Running)]
    #[case::done(json!({"terminated": {"exitCode": 0, "reason": "Completed"}}), Progress::Done)]
    #[case::no_program(
        json!({"terminated": {"exitCode": 127, "reason": "Error"}}),
        Progress::Failed("the pod failed with 127: Error".into())
    )]
    fn a_pods_progress_is_read_from_its_container(#[case] state: serde_json::Value, #[case] expected: Progress) {
        let container =
            json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let statuses = if state.is_null() { json!([]) } else { json!([container]) };
        let status = json!({"phase": "Pending", "containerStatuses": statuses});
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap();
        assert_eq!(progress(&pod), expected);
    }

    #[test]
    fn the_pod_asks_for_every_name() {
        let pod: Pod = serde_json::from_value(dns_pod("busybox", &["git.ferry".into()])).unwrap();
        let container = pod.spec.unwrap().containers.remove(0);
        assert_eq!(container.command.unwrap()[4..], ["kubernetes.default.svc.cluster.local", "git.ferry"]);
    }
}

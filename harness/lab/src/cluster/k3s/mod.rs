//! k3s in Docker, by testcontainers: the server and each agent are one privileged container of k3s' own image.
//!
//! Nodes are named as kind's are, so that a scenario's `control-plane` and `worker` mean the same with both.

mod node;
mod registries;

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use node::{API_PORT, KUBECONFIG, NodeSpec, Role};

use super::nodes::NodeLabels;
use super::ports::{self, HostPorts};
use super::usable::{DnsOwner, usable};
use super::{
    Cluster, ClusterError, ClusterRequest, Node, NotUsable, NotUsableYet, Provider, ProviderName, Secret, Stage,
    images, kubeconfig, logs,
};
use crate::container::{ContainerError, ContainerRef};
use crate::engine::{Engine, Quirks};
use crate::labels;
use crate::network::Network;
use crate::run::{Credentials, RunScope};
use crate::wait::{Look, Wait, Waited};

const LABELS: NodeLabels = NodeLabels { cluster: labels::CLUSTER, role: labels::NODE_ROLE };

/// The tool's name in errors.
const TOOL: &str = "k3s";

/// A look per this time: a look costs some milliseconds.
const INTERVAL: Duration = Duration::from_millis(100);

/// How much of what a node said an error quotes.
const LINES_SAID: usize = 15;

/// Makes clusters of k3s.
#[derive(Debug, Clone)]
pub struct K3s {
    /// Where the nodes run.
    pub engine: Engine,
    /// Whom the clusters belong to.
    pub run: RunScope,
    /// The network that nodes join.
    pub network: Network,
}

impl K3s {
    fn cluster_name(&self, name: &str) -> String {
        format!("{}-{name}", self.run.prefix())
    }

    /// Starts all nodes on ports that are free now. Agents wait for the server by themselves.
    async fn try_start(&self, request: &ClusterRequest) -> Result<(Vec<Node>, HostPorts), ClusterError> {
        let ports = HostPorts::choose(&request.profile)?;
        let specs = specs(&self.cluster_name(&request.name), request, &ports, self.engine.quirks())
            .map_err(kubeconfig::KubeconfigError::from)?;
        let mut nodes = Vec::new();
        for spec in specs {
            let container = ContainerRef::new(&self.engine, spec.name.as_str());
            let asked = node::request(&self.run, &self.network.name, &request.node_image, &spec);
            // The labels answer for a node, not this process: it stays when the cluster is kept.
            std::mem::forget(container.begin(&request.node_image, asked).await?);
            nodes.push(Node { name: spec.name, role: spec.role.name().into(), container });
        }
        Ok((nodes, ports))
    }

    /// As [`K3s::try_start`], once more where a port that was free a moment ago is not any more.
    async fn start(&self, request: &ClusterRequest) -> Result<(Vec<Node>, HostPorts), ClusterError> {
        match self.try_start(request).await {
            Err(ClusterError::Container(error @ ContainerError::Start { .. })) if ports::is_taken(&causes(&error)) => {
                self.delete(&request.name).await?;
                self.try_start(request).await
            }
            started => started,
        }
    }

    /// The kubeconfig that the server writes when its API is about to answer.
    async fn kubeconfig(
        &self,
        request: &ClusterRequest,
        server: &str,
        deadline: Duration,
    ) -> Result<String, ClusterError> {
        let server = ContainerRef::new(&self.engine, server);
        let look = || async {
            let text = match server.download(KUBECONFIG).await {
                Ok(text) => String::from_utf8_lossy(&text).into_owned(),
                Err(error) => return Look::NotYet(error.to_string()),
            };
            // Half of one names no server.
            match kubeconfig::with_server(&text, "") {
                Ok(_) => Look::<_, Infallible>::Ready(text),
                Err(error) => Look::NotYet(error.to_string()),
            }
        };
        let not_yet = |reason: &str| tracing::debug!(reason, "no kubeconfig yet");
        match (Wait { deadline, interval: INTERVAL }).until(look, not_yet).await {
            Ok(text) => Ok(text),
            Err(Waited::Never(never)) => match never {},
            Err(Waited::TimedOut(_)) => {
                let (log, said) = self.words_of(&server).await;
                let (cluster, deadline) = (self.cluster_name(&request.name), request.deadlines.create);
                Err(ClusterError::CreateDeadline { tool: TOOL, cluster, deadline, log, said })
            }
        }
    }

    /// Waits until every node's containerd answers, then gives it the images that its own image lacks.
    async fn give_images(&self, request: &ClusterRequest, nodes: &[Node]) -> Result<(), ClusterError> {
        let given = nodes.iter().map(|node| async move {
            let look = || async {
                match node.container.exec(["ctr", "--namespace=k8s.io", "images", "list", "--quiet"]).run().await {
                    Ok(output) if output.exit_code == 0 => Look::Ready(()),
                    Ok(output) => Look::NotYet(output.last_words()),
                    Err(error) => Look::<_, Infallible>::NotYet(error.to_string()),
                }
            };
            let deadline = request.deadlines.nodes;
            let not_yet = |reason: &str| tracing::debug!(reason, node = node.name, "containerd not up yet");
            match (Wait { deadline, interval: INTERVAL }).until(look, not_yet).await {
                Ok(()) => Ok(()),
                Err(Waited::Never(never)) => match never {},
                Err(Waited::TimedOut(why)) => {
                    let missing = format!("containerd on {} does not answer: {why}", node.name);
                    let source = NotUsable::Deadline { stage: Stage::Nodes, deadline, missing };
                    Err(ClusterError::NotUsable { cluster: self.cluster_name(&request.name), source })
                }
            }
        });
        futures::future::try_join_all(given).await?;
        for (image, name) in &request.images {
            images::load_everywhere(&self.engine, nodes, image, name).await?;
        }
        Ok(())
    }

    /// From started nodes to a usable cluster.
    async fn wait(
        &self,
        request: &ClusterRequest,
        nodes: Vec<Node>,
        ports: HostPorts,
        started: Instant,
        not_yet: &(dyn Fn(NotUsableYet) + Send + Sync),
    ) -> Result<Cluster, ClusterError> {
        let external = format!("https://127.0.0.1:{}", ports.api);
        let server = Role::Server.name_in(&self.cluster_name(&request.name), 0);
        let left = request.deadlines.create.saturating_sub(started.elapsed());
        let written = self.kubeconfig(request, &server, left).await?;
        let kubeconfig = kubeconfig::with_server(&written, &external)?;
        let kubeconfig = self.run.write_private(&format!("kubeconfig-{}", request.name), &kubeconfig)?;
        let internal = kubeconfig::with_server(&written, &format!("https://{server}:{API_PORT}"))?;
        let cluster = Cluster {
            name: self.cluster_name(&request.name),
            kubeconfig,
            internal_kubeconfig: Secret(internal),
            nodes,
            ports: ports.nodes,
        };
        self.give_images(request, &cluster.nodes).await?;
        usable(cluster, request, DnsOwner::Provider, not_yet).await
    }

    /// Waits until one of the nodes ends, which none should.
    async fn end_of_any(&self, cluster: &str, nodes: &[Node]) -> ClusterError {
        let ends = nodes.iter().map(|node| Box::pin(async move { (node, node.container.exit_code().await) }));
        let ((node, end), ..) = futures::future::select_all(ends).await;
        let exit_code = match end {
            Ok(code) => code,
            Err(error) => return error.into(),
        };
        let (log, said) = self.words_of(&node.container).await;
        ClusterError::NodeEnded { cluster: cluster.into(), node: node.name.clone(), exit_code, log, said }
    }

    /// Writes what a node has said to the run's folder, and returns where, and the end of it.
    async fn words_of(&self, node: &ContainerRef) -> (PathBuf, String) {
        let log = self.run.dir.join(format!("{TOOL}-{}.log", node.name));
        let said = node.last_lines(10_000).await.unwrap_or_default();
        // Best effort: the end of it is in the error as well.
        fs_err::tokio::write(&log, &said).await.ok();
        let lines: Vec<_> = said.trim_end().lines().collect();
        let end = lines[lines.len().saturating_sub(LINES_SAID)..].join("\n");
        (log, end)
    }
}

#[async_trait]
impl Provider for K3s {
    fn name(&self) -> ProviderName {
        ProviderName::K3s
    }

    async fn create(
        &self,
        request: &ClusterRequest,
        not_yet: &(dyn Fn(NotUsableYet) + Send + Sync),
    ) -> Result<Cluster, ClusterError> {
        let started = Instant::now();
        let (nodes, ports) = self.start(request).await?;
        let name = self.cluster_name(&request.name);
        // A node that has ended will not be waited for.
        tokio::select! {
            biased;
            end = self.end_of_any(&name, &nodes) => Err(end),
            made = self.wait(request, nodes.clone(), ports, started, not_yet) => made,
        }
    }

    async fn load_image(&self, cluster: &Cluster, image: &str, name: &str) -> Result<(), ClusterError> {
        Ok(images::load_everywhere(&self.engine, &cluster.nodes, image, name).await?)
    }

    async fn export_logs(&self, name: &str, to: &Path) -> Vec<String> {
        let cluster = self.cluster_name(name);
        logs::export_all(&self.engine, LABELS.find(&self.engine, &cluster).await, logs::Runtime::K3s, to).await
    }

    async fn delete(&self, name: &str) -> Result<(), ClusterError> {
        LABELS.remove(&self.engine, &self.cluster_name(name)).await
    }
}

/// What each node of a cluster is told, the server first.
fn specs(
    cluster: &str,
    request: &ClusterRequest,
    ports: &HostPorts,
    quirks: Quirks,
) -> Result<Vec<NodeSpec>, serde_yaml::Error> {
    let profile = &request.profile;
    let settings = profile.k3s.clone().unwrap_or_default();
    let server = NodeSpec {
        name: Role::Server.name_in(cluster, 0),
        cluster: cluster.into(),
        role: Role::Server,
        registries: registries::render(&settings.registries, &request.registry)?,
        token: Credentials::random(TOOL).password,
        quirks,
        arguments: settings.server,
        ports: std::iter::once((API_PORT, ports.api))
            .chain(profile.ports.iter().filter_map(|(name, port)| Some((*port, *ports.nodes.get(name)?))))
            .collect(),
    };
    let agent = |index| {
        let role = Role::Agent { server: server.name.clone() };
        let name = role.name_in(cluster, index);
        NodeSpec { name, role, arguments: settings.agent.clone(), ports: vec![], ..server.clone() }
    };
    let agents: Vec<_> = (0..profile.workers).map(agent).collect();
    Ok(std::iter::once(server).chain(agents).collect())
}

/// An error and all its causes: which of them quotes the engine is testcontainers' affair.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Deadlines, Profile};

    #[test]
    fn nodes_are_named_as_kinds_are_and_the_server_alone_publishes() {
        let yaml = "{summary: s, provider: k3s, workers: 2, ports: {web: 30080}, k3s: {server: [--a], agent: [--b]}}";
        let request = ClusterRequest {
            name: "main".into(),
            profile: serde_saphyr::from_str::<Profile>(yaml).unwrap(),
            node_image: "k3s".into(),
            images: vec![],
            dns_image: "busybox".into(),
            resolvable: vec![],
            registry: Credentials { username: "flux".into(), password: "secret".into() },
            deadlines: Deadlines::default(),
        };
        let ports = HostPorts { api: 40000, nodes: [("web".into(), 40001)].into() };
        let specs = specs("ferry-1-main", &request, &ports, Quirks::default()).unwrap();
        let told: Vec<_> =
            specs.iter().map(|spec| (spec.name.as_str(), spec.arguments[0].as_str(), spec.ports.as_slice())).collect();
        assert_eq!(
            told,
            [
                ("ferry-1-main-control-plane", "--a", [(6443, 40000), (30080, 40001)].as_slice()),
                ("ferry-1-main-worker", "--b", &[]),
                ("ferry-1-main-worker2", "--b", &[]),
            ]
        );
        assert!(specs.iter().all(|spec| spec.token == specs[0].token && spec.token.len() == 32));
    }
}

//! Clusters: what a run asks of one, whoever provides it.

pub mod cut;
mod images;
mod k3s;
mod kind;
mod kubeconfig;
mod logs;
pub mod mesh;
mod nodes;
mod pod_network;
mod ports;
mod profile;
mod usable;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

pub use images::ImageError;
pub use k3s::K3s;
pub use kind::Kind;
pub use kubeconfig::KubeconfigError;
pub use profile::{K3sSettings, Profile, ProfileError, ProviderName};
pub use usable::{Deadlines, NotUsable, NotUsableYet, Stage};

use crate::container::{ContainerError, ContainerRef, ExecError, File, LogError};
use crate::run::{Credentials, RunError};

/// How long the deletion of a cluster may take: 60 s, where 2 s is usual. An engine can hang for hours at it (kind#2381).
pub const DELETE_DEADLINE: Duration = Duration::from_secs(60);

/// How long a node may take from losing its power to running again, not counting its boot: 60 s, where 2 s is usual.
pub const RESTART_DEADLINE: Duration = Duration::from_secs(60);

/// Why a cluster could not be made, used or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A container of it could not be started or asked.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A command in a node failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The tool that makes the cluster failed.
    #[error("{tool} could not create the cluster {cluster}: it ended with {exit_code}; the end of {}:\n{said}", .log.display())]
    Create {
        /// The tool.
        tool: &'static str,
        /// The cluster.
        cluster: String,
        /// The tool's exit code.
        exit_code: i64,
        /// Where all it said is.
        log: PathBuf,
        /// The last lines of that.
        said: String,
    },
    /// The tool that makes the cluster did not end.
    #[error("{tool} did not create the cluster {cluster} within {deadline:?}; the end of {}:\n{said}", .log.display())]
    CreateDeadline {
        /// The tool.
        tool: &'static str,
        /// The cluster.
        cluster: String,
        /// What it had.
        deadline: Duration,
        /// Where all it said is.
        log: PathBuf,
        /// The last lines of that.
        said: String,
    },
    /// The cluster was made, but cannot be used.
    #[error("the cluster {cluster} is not usable: {source}")]
    NotUsable {
        /// The cluster.
        cluster: String,
        /// Why not.
        source: NotUsable,
    },
    /// Its kubeconfig is not one.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// An image could not be loaded.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The run's folder could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Something else could not be read or written on this host.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Output could not be kept.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The API client could not be made.
    #[error("cannot make a client for the cluster {cluster}: {source}")]
    Client {
        /// The cluster.
        cluster: String,
        /// What came back.
        source: kube::Error,
    },
    /// There is no such node.
    #[error("the cluster {cluster} has no node {node}; it has {}", .nodes.join(", "))]
    NoNode {
        /// The cluster.
        cluster: String,
        /// What was asked for.
        node: String,
        /// What there is.
        nodes: Vec<String>,
    },
    /// A node could not be killed and started again in time.
    #[error("node {node} of the cluster {cluster} was not restarted within {RESTART_DEADLINE:?}: the engine hangs")]
    RestartDeadline {
        /// The cluster.
        cluster: String,
        /// The node.
        node: String,
    },
    /// A node ended before the cluster was usable.
    #[error(
        "node {node} of the cluster {cluster} ended with {exit_code} before the cluster was usable; the end of {}:\n{said}",
        .log.display()
    )]
    NodeEnded {
        /// The cluster.
        cluster: String,
        /// The node.
        node: String,
        /// The exit code of its first process.
        exit_code: i64,
        /// Where all it said is.
        log: PathBuf,
        /// The last lines of that.
        said: String,
    },
    /// The engine's list of nodes could not be had.
    #[error("cannot list the nodes of the cluster {cluster}: {source}")]
    List {
        /// The cluster.
        cluster: String,
        /// What came back.
        source: bollard::errors::Error,
    },
    /// Deletion left something behind.
    #[error("after {DELETE_DEADLINE:?} of deleting the cluster {cluster}, this was left: {}", .left.join(", "))]
    Leaked {
        /// The cluster.
        cluster: String,
        /// Names of what is left.
        left: Vec<String>,
    },
}

/// What a run asks for.
#[derive(Debug, Clone)]
pub struct ClusterRequest {
    /// Tells clusters of one run apart; letters and digits.
    pub name: String,
    /// Its shape.
    pub profile: Profile,
    /// The image of its nodes.
    pub node_image: String,
    /// Images of the engine that each node gets before any pod is asked for, as (name there, name for pods), where the nodes'
    /// image does not hold them.
    pub images: Vec<(String, String)>,
    /// An image that is on the nodes then and has `sh` and `nslookup`: the pod that proves DNS runs it.
    pub dns_image: String,
    /// Names that must resolve from a pod, besides `kubernetes.default`.
    pub resolvable: Vec<String>,
    /// As whom the nodes pull from the run's registry, so that pods need no pull secret.
    pub registry: Credentials,
    /// How long each stage may take.
    pub deadlines: Deadlines,
}

/// A running cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name on the engine, `ferry-RUN-NAME`.
    pub name: String,
    /// A kubeconfig for this host, in the run's folder, mode 0600.
    pub kubeconfig: PathBuf,
    /// The content of a kubeconfig for containers on the run's network, such as the toolbox. Secret.
    pub internal_kubeconfig: Secret,
    /// Its nodes, control plane first.
    pub nodes: Vec<Node>,
    /// Where the profile's node ports answer on this host's loopback address, by the profile's names for them.
    pub ports: BTreeMap<String, u16>,
}

/// A text that `Debug` does not show.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A node, which is a container.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, the same in the cluster and on the engine.
    pub name: String,
    /// `control-plane` or `worker`.
    pub role: String,
    /// Its container.
    pub container: ContainerRef,
}

impl Cluster {
    /// A client for its API, with the credentials of its own kubeconfig.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<kube::Client, ClusterError> {
        kubeconfig::client(&self.kubeconfig, &self.name).await
    }

    /// Writes files into every node.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn upload(&self, files: &[File]) -> Result<(), ClusterError> {
        for node in &self.nodes {
            node.container.upload(files).await?;
        }
        Ok(())
    }

    /// The node called `name`: in full, or as `control-plane`, `worker2`, without the name of the cluster.
    ///
    /// # Errors
    /// When there is none.
    pub fn node(&self, name: &str) -> Result<&Node, ClusterError> {
        let short =
            |node: &Node| node.name.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('-')) == Some(name);
        self.nodes.iter().find(|node| node.name == name || short(node)).ok_or_else(|| ClusterError::NoNode {
            cluster: self.name.clone(),
            node: name.into(),
            nodes: self.nodes.iter().map(|node| node.name.clone()).collect(),
        })
    }
}

/// Makes clusters and does to them what their own API cannot.
#[async_trait]
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Its name in profiles and scenarios.
    fn name(&self) -> ProviderName;

    /// Makes a cluster and waits until it is usable: API ready, nodes ready, names resolve from a pod. `not_yet` hears why it
    /// is not there yet. Whatever was made of a cluster that failed is left for its logs.
    ///
    /// # Errors
    /// When it cannot be made or is not usable in time.
    async fn create(
        &self,
        request: &ClusterRequest,
        not_yet: &(dyn Fn(NotUsableYet) + Send + Sync),
    ) -> Result<Cluster, ClusterError>;

    /// Puts the engine's `image` on every node, known to pods as `name`.
    ///
    /// # Errors
    /// When the engine or a node refuses.
    async fn load_image(&self, cluster: &Cluster, image: &str, name: &str) -> Result<(), ClusterError>;

    /// Freezes a node.
    ///
    /// # Errors
    /// When there is no such node, or the engine refuses.
    async fn pause_node(&self, cluster: &Cluster, node: &str) -> Result<(), ClusterError> {
        Ok(cluster.node(node)?.container.pause().await?)
    }

    /// Thaws it.
    ///
    /// # Errors
    /// When there is no such node, or the engine refuses.
    async fn resume_node(&self, cluster: &Cluster, node: &str) -> Result<(), ClusterError> {
        Ok(cluster.node(node)?.container.unpause().await?)
    }

    /// Cuts a node's power.
    ///
    /// # Errors
    /// When there is no such node, or the engine refuses.
    async fn kill_node(&self, cluster: &Cluster, node: &str) -> Result<(), ClusterError> {
        Ok(cluster.node(node)?.container.kill().await?)
    }

    /// Boots it again.
    ///
    /// # Errors
    /// When there is no such node, or the engine refuses.
    async fn start_node(&self, cluster: &Cluster, node: &str) -> Result<(), ClusterError> {
        Ok(cluster.node(node)?.container.start().await?)
    }

    /// Cuts a node's power for `down` and boots it again; returns when its first process runs, long before its kubelet reports.
    ///
    /// # Errors
    /// When there is no such node, the engine refuses, or it takes longer than [`RESTART_DEADLINE`] besides.
    async fn restart_node(&self, cluster: &Cluster, node: &str, down: Duration) -> Result<(), ClusterError> {
        let restart = async {
            self.kill_node(cluster, node).await?;
            // To start what has not ended yet does nothing, and is no error.
            cluster.node(node)?.container.exit_code().await?;
            tokio::time::sleep(down).await;
            self.start_node(cluster, node).await
        };
        let late = || ClusterError::RestartDeadline { cluster: cluster.name.clone(), node: node.into() };
        tokio::time::timeout(RESTART_DEADLINE + down, restart).await.map_err(|_| late())?
    }

    /// Writes journals and pod logs of every node of the cluster called `name` under `to`, as far as they can be had, and
    /// returns what could not.
    async fn export_logs(&self, name: &str, to: &std::path::Path) -> Vec<String>;

    /// Deletes the cluster called `name`, made or half made.
    ///
    /// # Errors
    /// When something of it is left after [`DELETE_DEADLINE`].
    async fn delete(&self, name: &str) -> Result<(), ClusterError>;
}

//! Kubernetes in Docker, by the kind command.
//!
//! kind speaks to the engine through the docker command. Both run in a short-lived container of the toolbox image with the
//! engine's own socket mounted, so that the host needs neither, and a remote engine works as a local one does.

mod config;

use std::path::Path;

use async_trait::async_trait;

use super::nodes::NodeLabels;
use super::ports::{self, HostPorts};
use super::usable::{DnsOwner, usable};
use super::{
    Cluster, ClusterError, ClusterRequest, NotUsableYet, Provider, ProviderName, Secret, images, kubeconfig, logs,
    pod_network,
};
use crate::container::{Container, ContainerSpec, File};
use crate::engine::Engine;
use crate::network::Network;
use crate::registry;
use crate::run::RunScope;

/// kind's own labels on nodes.
const LABELS: NodeLabels = NodeLabels { cluster: "io.x-k8s.kind.cluster", role: "io.x-k8s.kind.role" };

/// Makes clusters by the kind command.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Where the nodes run.
    pub engine: Engine,
    /// Whom the clusters belong to.
    pub run: RunScope,
    /// The network that nodes join.
    pub network: Network,
    /// An image with the kind and docker commands.
    pub toolbox_image: String,
}

/// Where things are in the container that runs kind.
mod inside {
    pub const CONFIG: &str = "/etc/ferry/kind.yaml";
    pub const LABELS: &str = "/etc/ferry/labels";
    pub const DOCKER: &str = "/etc/ferry/bin/docker";
    pub const PATH: &str = "/etc/ferry/bin:/usr/local/bin:/usr/bin:/bin";
    pub const KUBECONFIG: &str = "/etc/ferry/kubeconfig";
    pub const SOCKET: &str = "/var/run/docker.sock";
}

/// kind cannot label its nodes. This stands before the docker command in the search path and does it.
const LABELLING_DOCKER: &str = r#"#!/bin/sh
PATH=${PATH#*:}
if [ "$1" = run ]; then shift; exec docker run --label-file /etc/ferry/labels "$@"; fi
exec docker "$@"
"#;

impl Kind {
    fn cluster_name(&self, name: &str) -> String {
        format!("{}-{name}", self.run.prefix())
    }

    /// Makes the cluster on ports that are free now, and returns its kubeconfig and the ports.
    async fn try_create(&self, request: &ClusterRequest, suffix: &str) -> Result<(String, HostPorts), ClusterError> {
        let ports = HostPorts::choose(&request.profile)?;
        let config = config::render(&request.profile, &ports, self.engine.quirks())
            .map_err(kubeconfig::KubeconfigError::from)?;
        self.run.write_private(&format!("kind-{}{suffix}.yaml", request.name), &config)?;
        let log = self.run.dir.join(format!("kind-{}{suffix}.log", request.name));
        Ok((self.run_kind(request, &config, &log).await?, ports))
    }

    /// Runs `kind create cluster` to its end, its output going to `log`, and returns the kubeconfig that it wrote.
    async fn run_kind(&self, request: &ClusterRequest, config: &str, log: &Path) -> Result<String, ClusterError> {
        let cluster = self.cluster_name(&request.name);
        let labels = self.run.labels("node");
        let labels: String = labels.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let arguments = [
            "create",
            "cluster",
            "--name",
            &cluster,
            "--image",
            &request.node_image,
            "--config",
            inside::CONFIG,
            "--kubeconfig",
            inside::KUBECONFIG,
            "--retain",
            "--wait",
            "0s",
        ];
        let container = Container::start(
            &self.engine,
            &self.run,
            ContainerSpec {
                role: format!("kind-{}", request.name),
                image: self.toolbox_image.clone(),
                // All it speaks to is the socket.
                network: "none".into(),
                env: [
                    ("PATH".into(), inside::PATH.into()),
                    ("KIND_EXPERIMENTAL_DOCKER_NETWORK".into(), self.network.name.clone()),
                    ("DOCKER_HOST".into(), format!("unix://{}", inside::SOCKET)),
                ]
                .into(),
                entrypoint: Some("kind".into()),
                command: arguments.map(str::to_owned).into(),
                files: vec![
                    File::public(inside::CONFIG, config),
                    File::public(inside::LABELS, labels),
                    File::program(inside::DOCKER, LABELLING_DOCKER),
                ],
                binds: vec![(self.socket(), inside::SOCKET.into())],
                ..Default::default()
            },
        )
        .await?;
        let deadline = request.deadlines.create;
        let ended = tokio::time::timeout(deadline, async {
            container.at().log_to(log).await?;
            Ok::<_, ClusterError>(container.at().exit_code().await?)
        });
        let ended = ended.await;
        let said = container.at().last_lines(15).await.unwrap_or_default();
        let log = log.to_owned();
        let result = match ended {
            Ok(Ok(0)) => Ok(String::from_utf8_lossy(&container.at().download(inside::KUBECONFIG).await?).into_owned()),
            Ok(Ok(exit_code)) => Err(ClusterError::Create { tool: "kind", cluster, exit_code, log, said }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ClusterError::CreateDeadline { tool: "kind", cluster, deadline, log, said }),
        };
        container.remove().await?;
        result
    }

    /// The engine's socket, as a path on the engine's own machine.
    fn socket(&self) -> String {
        let here = self.engine.endpoint.strip_prefix("unix://").filter(|_| self.engine.info().local);
        here.unwrap_or(inside::SOCKET).to_owned()
    }
}

#[async_trait]
impl Provider for Kind {
    fn name(&self) -> ProviderName {
        ProviderName::Kind
    }

    async fn create(
        &self,
        request: &ClusterRequest,
        not_yet: &(dyn Fn(NotUsableYet) + Send + Sync),
    ) -> Result<Cluster, ClusterError> {
        let name = self.cluster_name(&request.name);
        let (external, ports) = match self.try_create(request, "").await {
            // A port that was free a moment ago is not now: others are.
            Err(ClusterError::Create { said, .. }) if ports::is_taken(&said) => {
                self.delete(&request.name).await?;
                self.try_create(request, "-again").await?
            }
            made => made?,
        };
        let kubeconfig = self.run.write_private(&format!("kubeconfig-{}", request.name), &external)?;
        let nodes = LABELS.find(&self.engine, &name).await?;
        let internal = kubeconfig::with_server(&external, &format!("https://{name}-control-plane:6443"))?;
        let cluster = Cluster { name, kubeconfig, internal_kubeconfig: Secret(internal), nodes, ports: ports.nodes };
        if let (Some(_), Some(control_plane)) = (&request.profile.pod_network, cluster.nodes.first()) {
            pod_network::install(control_plane).await?;
        }
        // Before anything is pulled. containerd reads this anew at each pull.
        cluster.upload(&[registry::hosts_file(&request.registry)]).await?;
        usable(cluster, request, DnsOwner::Kubeadm, not_yet).await
    }

    async fn load_image(&self, cluster: &Cluster, image: &str, name: &str) -> Result<(), ClusterError> {
        Ok(images::load_everywhere(&self.engine, &cluster.nodes, image, name).await?)
    }

    async fn export_logs(&self, name: &str, to: &Path) -> Vec<String> {
        let cluster = self.cluster_name(name);
        logs::export_all(&self.engine, LABELS.find(&self.engine, &cluster).await, logs::Runtime::Systemd, to).await
    }

    async fn delete(&self, name: &str) -> Result<(), ClusterError> {
        LABELS.remove(&self.engine, &self.cluster_name(name)).await
    }
}

//! A node as testcontainers starts it: the image's contract with whoever runs it, written down once.

use std::collections::HashMap;

use bollard::models::{HostConfig, Mount as EngineMount, MountType, MountVolumeOptions, PortBinding};
use testcontainers::core::{AccessMode, ContainerPort, IntoContainerPort, Mount, WaitFor};
use testcontainers::{ContainerRequest, CopyDataSource, CopyTargetOptions, CopyToContainer, Image, ImageExt};

use super::registries;
use crate::container::{START_DEADLINE, split};
use crate::engine::Quirks;
use crate::labels;
use crate::run::RunScope;

/// The port of the API server.
pub const API_PORT: u16 = 6443;

/// Where k3s writes its administrator's kubeconfig.
pub const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// What runs before k3s.
const ENTRYPOINT: &str = "/etc/ferry/entrypoint.sh";

/// What nodes know each other by. In a file, as everybody on the engine may read commands and environments.
const TOKEN: &str = "/etc/ferry/token";

/// Kernel modules that k3s loads if it can: its network policies need ip_set.
const MODULES: &str = "/lib/modules";

/// What the image declares as volumes. Named here too, so that they carry the run's labels.
const VOLUMES: [&str; 4] = ["/var/lib/kubelet", "/var/lib/rancher/k3s", "/var/lib/cni", "/var/log"];

/// What a node is to its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The only server. It runs workloads as well.
    Server,
    /// An agent of the server with this name.
    Agent {
        /// The server.
        server: String,
    },
}

impl Role {
    /// As scenarios call it, whoever provides the cluster.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Server => "control-plane",
            Self::Agent { .. } => "worker",
        }
    }

    /// The name of the node of this role with an index, as kind would call it.
    pub fn name_in(&self, cluster: &str, index: u8) -> String {
        match index {
            0 => format!("{cluster}-{}", self.name()),
            further => format!("{cluster}-{}{}", self.name(), u16::from(further) + 1),
        }
    }
}

/// What a node is told. Secrets are part of it, so that nothing shows it.
#[derive(Clone)]
pub struct NodeSpec {
    /// Its name, in the cluster and on the engine.
    pub name: String,
    /// The cluster's name on the engine.
    pub cluster: String,
    /// Server or agent.
    pub role: Role,
    /// `registries.yaml`.
    pub registries: String,
    /// What admits agents to the server.
    pub token: String,
    /// What this engine needs beyond the usual.
    pub quirks: Quirks,
    /// The profile's further arguments.
    pub arguments: Vec<String>,
    /// Ports to publish on the host's loopback address: (in the node, on the host).
    pub ports: Vec<(u16, u16)>,
}

/// The arguments of k3s. What the profile says comes last, and so goes before what is said here.
fn arguments(spec: &NodeSpec) -> Vec<String> {
    let mut arguments = match &spec.role {
        // The toolbox reaches the server by its name; 127.0.0.1 is in its certificate anyway.
        Role::Server => vec!["server".to_owned(), format!("--tls-san={}", spec.name)],
        Role::Agent { server } => vec!["agent".to_owned(), format!("--server=https://{server}:{API_PORT}")],
    };
    arguments.extend([format!("--node-name={}", spec.name), format!("--token-file={TOKEN}")]);
    if spec.quirks.cgroup_v1 {
        arguments.push("--kubelet-arg=fail-cgroupv1=false".into());
    }
    if spec.quirks.no_sys_resource {
        arguments.push("--kubelet-arg=feature-gates=KubeletInUserNamespace=true".into());
    }
    arguments.extend(spec.arguments.iter().cloned());
    arguments
}

/// The k3s image, for one node.
pub struct K3sImage {
    name: String,
    tag: String,
    arguments: Vec<String>,
    files: Vec<CopyToContainer>,
    mounts: Vec<Mount>,
    ports: Vec<ContainerPort>,
}

impl K3sImage {
    /// `reference` for a node.
    pub fn new(reference: &str, spec: &NodeSpec) -> Self {
        let (name, tag) = split(reference);
        let file = |path: &str, mode: u32, content: &str| {
            CopyToContainer::new(
                CopyDataSource::Data(content.as_bytes().to_vec()),
                CopyTargetOptions::new(path).with_mode(mode),
            )
        };
        Self {
            name,
            tag,
            arguments: arguments(spec),
            files: vec![
                file(ENTRYPOINT, 0o755, include_str!("entrypoint.sh")),
                file(TOKEN, 0o600, &spec.token),
                file(registries::PATH, 0o600, &spec.registries),
            ],
            mounts: vec![
                // Sockets and mounts of a life that has ended must not be found by the next one.
                Mount::tmpfs_mount("/run"),
                Mount::tmpfs_mount("/var/run"),
                Mount::bind_mount(MODULES, MODULES).with_access_mode(AccessMode::ReadOnly),
            ],
            ports: spec.ports.iter().map(|(inside, _)| inside.tcp()).collect(),
        }
    }
}

impl Image for K3sImage {
    fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    /// None: what a cluster is awaited for has reasons and deadlines of its own.
    fn ready_conditions(&self) -> Vec<WaitFor> {
        Vec::new()
    }

    fn entrypoint(&self) -> Option<&str> {
        Some(ENTRYPOINT)
    }

    fn cmd(&self) -> impl IntoIterator<Item = impl Into<std::borrow::Cow<'_, str>>> {
        self.arguments.iter()
    }

    fn copy_to_sources(&self) -> impl IntoIterator<Item = &CopyToContainer> {
        self.files.iter()
    }

    fn mounts(&self) -> impl IntoIterator<Item = &Mount> {
        self.mounts.iter()
    }

    fn expose_ports(&self) -> &[ContainerPort] {
        &self.ports
    }
}

/// The container of a node. Privileged, as it runs containers itself.
pub fn request(run: &RunScope, network: &str, reference: &str, spec: &NodeSpec) -> ContainerRequest<K3sImage> {
    let mut owned = run.labels("node");
    let volumes: Vec<_> = VOLUMES.iter().map(|path| volume(path, owned.clone().into_iter().collect())).collect();
    owned.insert(labels::CLUSTER.into(), spec.cluster.clone());
    owned.insert(labels::NODE_ROLE.into(), spec.role.name().into());
    let ports = spec.ports.clone();
    ContainerRequest::from(K3sImage::new(reference, spec))
        .with_container_name(&spec.name)
        .with_hostname(&spec.name)
        .with_network(network)
        .with_labels(owned)
        .with_privileged(true)
        .with_startup_timeout(START_DEADLINE)
        .with_host_config_modifier(move |host: &mut HostConfig| {
            host.mounts.get_or_insert_default().extend(volumes.iter().cloned());
            // testcontainers would publish on every address.
            host.publish_all_ports = Some(false);
            host.port_bindings = Some(bindings(&ports));
        })
}

/// A volume without a name: it goes with its container.
fn volume(path: &str, labels: HashMap<String, String>) -> EngineMount {
    EngineMount {
        target: Some(path.into()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions { labels: Some(labels), ..Default::default() }),
        ..Default::default()
    }
}

fn bindings(ports: &[(u16, u16)]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let on_loopback = |port: u16| PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(port.to_string()) };
    ports.iter().map(|(inside, outside)| (inside.tcp().to_string(), Some(vec![on_loopback(*outside)]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(role: Role) -> NodeSpec {
        NodeSpec {
            name: "ferry-1-main-x".into(),
            cluster: "ferry-1-main".into(),
            role,
            registries: String::new(),
            token: "secret".into(),
            quirks: Quirks::default(),
            arguments: vec!["--disable=traefik".into()],
            ports: vec![(API_PORT, 40000)],
        }
    }

    #[test]
    fn a_server_is_told_its_names_and_what_the_profile_says() {
        insta::assert_snapshot!(arguments(&spec(Role::Server)).join("\n"), @r"
        server
        --tls-san=ferry-1-main-x
        --node-name=ferry-1-main-x
        --token-file=/etc/ferry/token
        --disable=traefik
        ");
    }

    #[test]
    fn an_agent_is_told_its_server() {
        let role = Role::Agent { server: "ferry-1-main-control-plane".into() };
        insta::assert_snapshot!(arguments(&spec(role)).join("\n"), @r"
        agent
        --server=https://ferry-1-main-control-plane:6443
        --node-name=ferry-1-main-x
        --token-file=/etc/ferry/token
        --disable=traefik
        ");
    }

    #[test]
    fn an_unusual_machine_is_told() {
        let quirks = Quirks { cgroup_v1: true, cgroupfs: true, no_sys_resource: true };
        let unusual = NodeSpec { quirks, arguments: vec![], ..spec(Role::Server) };
        insta::assert_snapshot!(arguments(&unusual).join("\n"), @r"
        server
        --tls-san=ferry-1-main-x
        --node-name=ferry-1-main-x
        --token-file=/etc/ferry/token
        --kubelet-arg=fail-cgroupv1=false
        --kubelet-arg=feature-gates=KubeletInUserNamespace=true
        ");
    }

    #[test]
    fn the_token_is_in_no_argument() {
        for role in [Role::Server, Role::Agent { server: "s".into() }] {
            assert!(!arguments(&spec(role)).concat().contains("secret"));
        }
    }
}

//! The toolbox of a run: a container on the cluster's network in which flux, kubectl, helm and git run.
//!
//! It sees the cluster, the git server and the registry under the names that pods use, so one URL serves everywhere, and the
//! host needs none of these tools.

use std::sync::Arc;

use crate::container::{Container, ContainerError, ContainerRef, ContainerSpec, Exec, File};
use crate::engine::Engine;
use crate::git::GitServer;
use crate::network::Network;
use crate::registry::Registry;
use crate::run::RunScope;

/// Where the tools find the cluster, the first where there are several, inside the toolbox.
pub const KUBECONFIG: &str = "/etc/ferry/kubeconfig";
/// The private key for the git server, inside the toolbox.
pub const SSH_KEY: &str = "/etc/ferry/id_ed25519";
/// The folder of the Docker `config.json` that admits to the registry, inside the toolbox.
pub const DOCKER_CONFIG: &str = "/etc/ferry/docker";

const KNOWN_HOSTS: &str = "/etc/ferry/known_hosts";
const GIT_CREDENTIALS: &str = "/etc/ferry/git-credentials";

/// A running toolbox, whose tools speak to one cluster.
#[derive(Debug, Clone)]
pub struct Toolbox {
    container: Arc<Container>,
    /// Where they find it.
    kubeconfig: String,
}

impl Toolbox {
    /// Starts the toolbox from `image`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(
        engine: &Engine,
        run: &RunScope,
        network: &Network,
        image: &str,
    ) -> Result<Self, ContainerError> {
        let spec = ContainerSpec {
            role: "toolbox".into(),
            image: image.into(),
            network: network.name.clone(),
            ..Default::default()
        };
        let container = Arc::new(Container::start(engine, run, spec).await?);
        Ok(Self { container, kubeconfig: KUBECONFIG.into() })
    }

    /// The same container, whose tools speak to another cluster of that name.
    #[must_use]
    pub fn beside(&self, cluster: &str) -> Self {
        Self { container: Arc::clone(&self.container), kubeconfig: format!("{KUBECONFIG}-{cluster}") }
    }

    /// The toolbox's container.
    #[must_use]
    pub fn container(&self) -> &ContainerRef {
        self.container.at()
    }

    /// Gives its tools the cluster. `kubeconfig` must name the API server as containers on the network reach it.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn know_cluster(&self, kubeconfig: &str) -> Result<(), ContainerError> {
        self.container().upload(&[File::private(self.kubeconfig.as_str(), kubeconfig)]).await
    }

    /// Gives its tools the git server's and the registry's credentials.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn know_servers(&self, git: &GitServer, registry: &Registry) -> Result<(), ContainerError> {
        let (user, password) = (&git.credentials.username, &git.credentials.password);
        self.container()
            .upload(&[
                File::private(SSH_KEY, git.client_key.private.as_str()),
                File::public(KNOWN_HOSTS, git.known_hosts.as_str()),
                File::private(GIT_CREDENTIALS, format!("http://{user}:{password}@{}\n", crate::git::HOST)),
                File::private(format!("{DOCKER_CONFIG}/config.json"), registry.docker_config()),
            ])
            .await
    }

    /// A command in the toolbox, with cluster, git server and registry at hand.
    pub fn exec<'a>(&'a self, command: impl IntoIterator<Item = impl Into<String>>) -> Exec<'a> {
        let ssh = format!("ssh -i {SSH_KEY} -o IdentitiesOnly=yes -o UserKnownHostsFile={KNOWN_HOSTS}");
        self.container()
            .exec(command)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("DOCKER_CONFIG", DOCKER_CONFIG)
            .env("GIT_SSH_COMMAND", &ssh)
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "credential.helper")
            .env("GIT_CONFIG_VALUE_0", &format!("store --file {GIT_CREDENTIALS}"))
            // A tool that asks a question would wait for an answer until its deadline.
            .env("GIT_TERMINAL_PROMPT", "0")
    }
}

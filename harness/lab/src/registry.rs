//! The OCI registry of a run: filled beforehand with the images that Flux is installed from, open to this run alone.

use std::time::Duration;

use crate::container::{Container, ContainerError, ContainerRef, ContainerSpec, File};
use crate::engine::Engine;
use crate::network::Network;
use crate::run::{Credentials, RunScope, SecretError};
use crate::wait::{Look, Wait, Waited};

/// The name and port under which nodes, pods and toolbox know the registry.
pub const ADDRESS: &str = "registry.ferry:5000";

/// How long the registry may take to answer, from the start of its container: 30 s, where 0.3 s is usual.
pub const READY_DEADLINE: Duration = Duration::from_secs(30);

const HOST: &str = "registry.ferry";
const PORT: u16 = 5000;

/// Why there is no registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its secrets could not be made.
    #[error("cannot make the registry's credentials: {0}")]
    Secret(#[from] SecretError),
    /// Its container could not be started or asked.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It was not ready in time.
    #[error("the registry was not ready within {READY_DEADLINE:?}: {missing}; it said: {said}")]
    NotReady {
        /// What was missing at the end.
        missing: String,
        /// The last lines of its output.
        said: String,
    },
}

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    container: Container,
    /// Who may pull and push.
    pub credentials: Credentials,
}

impl Registry {
    /// Starts the registry from `image` for these credentials alone, and waits until it lets them in.
    ///
    /// # Errors
    /// When it cannot be started or does not answer in time.
    pub async fn start(
        engine: &Engine,
        run: &RunScope,
        network: &Network,
        image: &str,
        credentials: Credentials,
    ) -> Result<Self, RegistryError> {
        let setting = |name: &str, value: &str| (format!("REGISTRY_{name}"), value.to_owned());
        let container = Container::start(
            engine,
            run,
            ContainerSpec {
                role: "registry".into(),
                image: image.into(),
                network: network.name.clone(),
                aliases: vec![HOST.into()],
                ports: vec![PORT],
                env: [
                    setting("AUTH", "htpasswd"),
                    setting("AUTH_HTPASSWD_REALM", "ferry"),
                    setting("AUTH_HTPASSWD_PATH", "/etc/ferry/htpasswd"),
                ]
                .into(),
                files: vec![File::private("/etc/ferry/htpasswd", credentials.htpasswd()?)],
                ..Default::default()
            },
        )
        .await?;
        let registry = Self { container, credentials };
        registry.until_ready().await?;
        Ok(registry)
    }

    /// Kills the registry, leaves it dead for `down`, starts it again with what it holds, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started again or does not answer in time.
    pub async fn restart(&self, down: Duration) -> Result<(), RegistryError> {
        self.container().power_cycle(down).await?;
        self.until_ready().await
    }

    /// The port of the host's loopback address on which it answers as well; another one after each start.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn host_port(&self) -> Result<u16, ContainerError> {
        self.container().published(PORT).await
    }

    /// The registry's container.
    #[must_use]
    pub fn container(&self) -> &ContainerRef {
        self.container.at()
    }

    /// A Docker `config.json` that admits to this registry: for pull secrets, and for tools in the toolbox.
    #[must_use]
    pub fn docker_config(&self) -> String {
        serde_json::json!({"auths": {ADDRESS: {"auth": self.credentials.base64()}}}).to_string()
    }

    async fn until_ready(&self) -> Result<(), RegistryError> {
        let wait = Wait { deadline: READY_DEADLINE, interval: Duration::from_millis(50) };
        let look = || async {
            let port = match self.host_port().await {
                Ok(port) => port,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            match status_of_v2(port, &self.credentials).await {
                Ok(200) => Look::Ready(()),
                Ok(401) => Look::Never("it does not know its own run's credentials".to_owned()),
                Ok(status) => Look::NotYet(format!("it answers with status {status}")),
                Err(error) => Look::NotYet(format!("port {port}: {error}")),
            }
        };
        match wait.until(look, |reason| tracing::debug!(reason, "registry not ready yet")).await {
            Ok(()) => Ok(()),
            Err(Waited::TimedOut(missing) | Waited::Never(missing)) => {
                let said = self.container().last_lines(10).await.unwrap_or_default();
                Err(RegistryError::NotReady { missing, said })
            }
        }
    }
}

/// What makes a node's containerd pull from a run's registry: over plain HTTP, and as somebody, so that pods need no pull
/// secret.
pub(crate) fn hosts_file(credentials: &Credentials) -> File {
    File::private(format!("/etc/containerd/certs.d/{ADDRESS}/hosts.toml"), hosts_toml(credentials))
}

/// The status with which a registry on loopback answers `GET /v2/`.
async fn status_of_v2(port: u16, credentials: &Credentials) -> std::io::Result<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "GET /v2/ HTTP/1.1\r\nHost: {ADDRESS}\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        credentials.basic()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(1024).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    answer
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| std::io::Error::other("no HTTP answer"))
}

fn hosts_toml(credentials: &Credentials) -> String {
    format!(
        r#"server = "http://{ADDRESS}"

[host."http://{ADDRESS}"]
  capabilities = ["pull", "resolve"]
  [host."http://{ADDRESS}".header]
    Authorization = "{}"
"#,
        credentials.basic()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_pull_over_http_as_somebody() {
        let credentials = Credentials { username: "flux".into(), password: "secret".into() };
        insta::assert_snapshot!(hosts_toml(&credentials), @r#"
        server = "http://registry.ferry:5000"

        [host."http://registry.ferry:5000"]
          capabilities = ["pull", "resolve"]
          [host."http://registry.ferry:5000".header]
            Authorization = "Basic Zmx1eDpzZWNyZXQ="
        "#);
    }
}

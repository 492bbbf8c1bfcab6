//! The git server of a run: one container, one bare repository, over SSH and HTTP, with credentials made for the run.

use std::time::Duration;

use crate::container::{Container, ContainerError, ContainerRef, ContainerSpec, ExecError, File};
use crate::engine::Engine;
use crate::network::Network;
use crate::run::{Credentials, RunScope, SecretError, SshKeyPair};
use crate::wait::{Look, Wait, Waited};

/// The name under which nodes, pods and toolbox know the server.
pub const HOST: &str = "git.ferry";

/// How long the server may take to answer, from the start of its container: 30 s, where 0.5 s is usual.
pub const READY_DEADLINE: Duration = Duration::from_secs(30);

/// The repository that Flux syncs.
const REPOSITORY: &str = "fleet";

/// Why there is no git server.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Its secrets could not be made.
    #[error("cannot make the git server's credentials: {0}")]
    Secret(#[from] SecretError),
    /// Its container could not be started or asked.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It was not ready in time.
    #[error("the git server was not ready within {READY_DEADLINE:?}: {missing}; it said: {said}")]
    NotReady {
        /// What was missing at the end.
        missing: String,
        /// The last lines of its output.
        said: String,
    },
}

/// A running git server.
#[derive(Debug)]
pub struct GitServer {
    container: Container,
    /// For HTTP.
    pub credentials: Credentials,
    /// For SSH: the client's pair. The public half is authorized.
    pub client_key: SshKeyPair,
    /// The server's own key, as a line of a `known_hosts` file.
    pub known_hosts: String,
}

impl GitServer {
    /// Starts the server from `image` and waits until it answers on both ports.
    ///
    /// # Errors
    /// When it cannot be started or does not answer in time.
    pub async fn start(engine: &Engine, run: &RunScope, network: &Network, image: &str) -> Result<Self, GitError> {
        let credentials = Credentials::random("flux");
        let client_key = SshKeyPair::generate(&run.prefix())?;
        // Made here rather than at the server's start, so that clients can know it beforehand.
        let host_key = SshKeyPair::generate("")?;
        let users = format!("{}:{}\n", credentials.username, credentials.password);
        let container = Container::start(
            engine,
            run,
            ContainerSpec {
                role: "git".into(),
                image: image.into(),
                network: network.name.clone(),
                aliases: vec![HOST.into()],
                env: [("FERRY_REPOS".into(), REPOSITORY.into())].into(),
                files: vec![
                    File::private("/etc/ferry/users", users),
                    File::public("/etc/ferry/authorized_keys", format!("{}\n", client_key.public)),
                    File::private("/etc/ferry/ssh_host_ed25519_key", host_key.private),
                ],
                ..Default::default()
            },
        )
        .await?;
        let known_hosts = format!("{HOST} {}\n", host_key.public.trim_end());
        let server = Self { container, credentials, client_key, known_hosts };
        server.until_ready().await?;
        Ok(server)
    }

    /// Kills the server, leaves it dead for `down`, starts it again with what it holds, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started again or does not answer in time.
    pub async fn restart(&self, down: Duration) -> Result<(), GitError> {
        self.container().power_cycle(down).await?;
        self.until_ready().await
    }

    /// The server's container.
    #[must_use]
    pub fn container(&self) -> &ContainerRef {
        self.container.at()
    }

    /// The repository over SSH, the same from pods and toolbox.
    #[must_use]
    pub fn ssh_url(&self) -> String {
        format!("ssh://git@{HOST}/srv/git/{REPOSITORY}.git")
    }

    /// The repository over HTTP, the same from pods and toolbox; without the credentials.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{HOST}/{REPOSITORY}.git")
    }

    async fn until_ready(&self) -> Result<(), GitError> {
        // Bash opens the ports: the image has no client that would greet without credentials.
        const ASK: &str =
            "read -rt 1 hello </dev/tcp/127.0.0.1/22 && [[ $hello == SSH-2.0* ]] || { echo 'no SSH greeting'; exit 1; }
            exec 3<>/dev/tcp/127.0.0.1/80 || { echo 'nothing listens for HTTP'; exit 1; }
            [ -f /srv/git/fleet.git/HEAD ] || { echo 'no repository'; exit 1; }";
        let wait = Wait { deadline: READY_DEADLINE, interval: Duration::from_millis(50) };
        let look = || async {
            match self.container().exec(["bash", "-c", ASK]).run().await {
                Ok(output) if output.exit_code == 0 => Look::Ready(()),
                Ok(output) => Look::NotYet(output.stdout.trim().to_owned()),
                // The engine refuses this in a container that has ended.
                Err(ExecError::Engine { source, .. }) if is_conflict(&source) => Look::Never(source.to_string()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        };
        match wait.until(look, |reason| tracing::debug!(reason, "git server not ready yet")).await {
            Ok(()) => Ok(()),
            Err(Waited::TimedOut(missing) | Waited::Never(missing)) => {
                let said = self.container().last_lines(10).await.unwrap_or_default();
                Err(GitError::NotReady { missing, said })
            }
        }
    }
}

fn is_conflict(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 409, .. })
}

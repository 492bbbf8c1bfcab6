//! Containers of a run: started through testcontainers, spoken to through the engine's API alone.
//!
//! testcontainers removes a container when its guard is dropped, which is not enough here: the guard is gone after a SIGKILL,
//! and panics outside a runtime. So every container also carries the run's labels, [`Container::remove`] is called where an
//! end is planned, and [`crate::gc`] and [`crate::reaper`] take care of the rest.

mod exec;
mod files;
mod image;
mod logs;
mod power;

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest, PortBinding};
use bollard::query_parameters::{InspectContainerOptions, RemoveContainerOptionsBuilder};
use testcontainers::core::{IntoContainerPort, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, CopyTargetOptions, Image, ImageExt};

pub use exec::{Exec, ExecError, LineSink, Output, Stream, last_words};
pub use files::File;
use image::LabImage;
pub(crate) use image::split;
pub use logs::LogError;

use crate::engine::Engine;
use crate::run::RunScope;

/// How long a container may take from creation to its first process: 60 s. A cold disk makes it slow, nothing else should.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// Why a container could not be started, spoken to or removed.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The image is not on the engine. The lab never pulls by itself: what runs is what the bundle pinned.
    #[error("the engine has no image {image} to start {container} from (hint: `ferry bundle` makes it)")]
    NoImage {
        /// The container to start.
        container: String,
        /// The image that is missing.
        image: String,
    },
    /// It could not be created or started.
    #[error("cannot start container {container} from {image}: {source}")]
    Start {
        /// The container to start.
        container: String,
        /// Its image.
        image: String,
        /// What came back.
        source: Box<testcontainers::TestcontainersError>,
    },
    /// A call of the engine's API failed.
    #[error("cannot {action} container {container}: {source}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// On which container.
        container: String,
        /// What came back.
        source: bollard::errors::Error,
    },
    /// A file was asked for that could not be packed or unpacked.
    #[error("cannot copy {path} {direction} container {container}: {source}")]
    Copy {
        /// Path in the container.
        path: String,
        /// `to` or `from`.
        direction: &'static str,
        /// The container.
        container: String,
        /// What went wrong with the archive.
        source: std::io::Error,
    },
    /// The engine gave it another address than it had.
    #[error("container {container} came back at another address: {after:?} instead of {before:?}")]
    Moved {
        /// The container.
        container: String,
        /// Its addresses before, by network.
        before: BTreeMap<String, String>,
        /// Its addresses now.
        after: BTreeMap<String, String>,
    },
    /// What it was started for ended badly.
    #[error("container {container}, started from {image} to {purpose}, ended with exit code {code} instead of 0")]
    Ended {
        /// The container.
        container: String,
        /// Its image.
        image: String,
        /// What it was to do.
        purpose: &'static str,
        /// What its process ended with.
        code: i64,
    },
    /// A port that should be published is not.
    #[error("port {port} of container {container} is not published on the host")]
    NotPublished {
        /// The port in the container.
        port: u16,
        /// The container.
        container: String,
    },
}

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct ContainerSpec {
    /// What the container is to the run; its label, and part of its name (`ferry-RUN-ROLE`).
    pub role: String,
    /// Image reference; must be on the engine.
    pub image: String,
    /// The network to join; the engine's default bridge when empty.
    pub network: String,
    /// Names under which others on that network find it.
    pub aliases: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<String>,
    /// Replaces the image's command.
    pub command: Vec<String>,
    /// Ports to publish, each on a random port of the host's loopback address.
    pub ports: Vec<u16>,
    /// Files copied in before it starts.
    pub files: Vec<File>,
    /// Paths of the engine's machine to mount: (there, in the container).
    pub binds: Vec<(String, String)>,
    /// Where it stands among the machine's control groups; where the engine puts it if not said.
    pub cgroup: Option<Cgroup>,
}

/// A container's place among the control groups of the engine's machine, and what it may claim there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// The group that it is put into, as the engine's driver names groups.
    pub parent: String,
    /// Its weight against its siblings there when processors are scarce: 2 to 262,144, of which others have 1,024.
    pub cpu_shares: i64,
}

/// A container that this process started. Removed when dropped inside a runtime.
#[derive(Debug)]
pub struct Container {
    at: ContainerRef,
    guard: Option<ContainerAsync<LabImage>>,
}

/// A container on an engine, whoever started it: enough to speak to it.
#[derive(Debug, Clone)]
pub struct ContainerRef {
    docker: Docker,
    /// Name or id.
    pub name: String,
}

impl Container {
    /// Starts a container for `run`.
    ///
    /// # Errors
    /// When the image is missing or the engine refuses.
    pub async fn start(engine: &Engine, run: &RunScope, spec: ContainerSpec) -> Result<Self, ContainerError> {
        let name = format!("{}-{}", run.prefix(), spec.role);
        let at = ContainerRef::new(engine, name.as_str());
        let guard = at.begin(&spec.image, request(run, &name, &spec)).await?;
        let container = Self { at, guard: Some(guard) };
        if !spec.aliases.is_empty() {
            container.at.rejoin(&spec.network, spec.aliases).await?;
        }
        Ok(container)
    }

    /// The running container, to be spoken to.
    #[must_use]
    pub fn at(&self) -> &ContainerRef {
        &self.at
    }

    /// Removes it and its anonymous volumes, now.
    ///
    /// # Errors
    /// When the engine refuses; the container is then left to [`crate::gc`].
    pub async fn remove(mut self) -> Result<(), ContainerError> {
        let result = self.at.remove().await;
        self.forget();
        result
    }

    /// Leaves the container running and to its labels.
    fn forget(&mut self) {
        std::mem::forget(self.guard.take());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // testcontainers' guard panics without a runtime: better a leak that the reaper mends.
        if tokio::runtime::Handle::try_current().is_err() {
            self.forget();
        }
    }
}

fn request(run: &RunScope, name: &str, spec: &ContainerSpec) -> ContainerRequest<LabImage> {
    let image = LabImage::new(&spec.image, spec.entrypoint.clone(), &spec.ports);
    let mut request = ContainerRequest::from(image)
        .with_container_name(name)
        .with_labels(run.labels(&spec.role))
        .with_hostname(&spec.role)
        .with_startup_timeout(START_DEADLINE);
    if !spec.network.is_empty() {
        request = request.with_network(&spec.network);
    }
    if !spec.command.is_empty() {
        request = request.with_cmd(&spec.command);
    }
    for (key, value) in &spec.env {
        request = request.with_env_var(key, value);
    }
    for (there, here) in &spec.binds {
        request = request.with_mount(Mount::bind_mount(there, here));
    }
    for file in &spec.files {
        let target = CopyTargetOptions::new(&file.path).with_mode(file.mode);
        request = request.with_copy_to(target, file.content.clone());
    }
    let bindings: std::collections::HashMap<_, _> = spec
        .ports
        .iter()
        .map(|port| {
            (port.tcp().to_string(), Some(vec![PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None }]))
        })
        .collect();
    let cgroup = spec.cgroup.clone();
    request.with_host_config_modifier(move |host| {
        if let Some(Cgroup { parent, cpu_shares }) = &cgroup {
            (host.cgroup_parent, host.cpu_shares) = (Some(parent.clone()), Some(*cpu_shares));
        }
        // testcontainers would publish every exposed port on every address.
        host.publish_all_ports = Some(false);
        host.port_bindings = Some(bindings.clone());
    })
}

impl ContainerRef {
    /// The container called `name` (or with that id) on `engine`.
    #[must_use]
    pub fn new(engine: &Engine, name: impl Into<String>) -> Self {
        Self { docker: engine.docker.clone(), name: name.into() }
    }

    /// Creates and starts it from `image`, as `request` says, which must name it as this does.
    ///
    /// # Errors
    /// When the image is missing or the engine refuses. What was created of it then stays.
    pub(crate) async fn begin<I: Image>(
        &self,
        image: &str,
        request: ContainerRequest<I>,
    ) -> Result<ContainerAsync<I>, ContainerError> {
        // Asked first because testcontainers answers a missing image by a pull with the user's credentials.
        if let Err(error) = self.docker.inspect_image(image).await {
            return Err(match error {
                bollard::errors::Error::DockerResponseServerError { status_code: 404, .. } => {
                    ContainerError::NoImage { container: self.name.clone(), image: image.into() }
                }
                source => self.error("find the image of", source),
            });
        }
        request.start().await.map_err(|source| ContainerError::Start {
            container: self.name.clone(),
            image: image.into(),
            source: Box::new(source),
        })
    }

    /// The host's loopback port on which `port` is published.
    ///
    /// # Errors
    /// When it is not published, or the engine refuses.
    pub async fn published(&self, port: u16) -> Result<u16, ContainerError> {
        let inspected = self
            .docker
            .inspect_container(&self.name, None::<InspectContainerOptions>)
            .await
            .map_err(|source| self.error("inspect", source))?;
        inspected
            .network_settings
            .and_then(|settings| settings.ports)
            .and_then(|mut ports| ports.remove(&port.tcp().to_string()).flatten())
            .and_then(|bindings| bindings.into_iter().find_map(|binding| binding.host_port?.parse().ok()))
            .ok_or_else(|| ContainerError::NotPublished { port, container: self.name.clone() })
    }

    /// Freezes every process in it.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn pause(&self) -> Result<(), ContainerError> {
        self.docker.pause_container(&self.name).await.map_err(|source| self.error("pause", source))
    }

    /// Thaws them.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn unpause(&self) -> Result<(), ContainerError> {
        self.docker.unpause_container(&self.name).await.map_err(|source| self.error("unpause", source))
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn kill(&self) -> Result<(), ContainerError> {
        let options = bollard::query_parameters::KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        self.docker.kill_container(&self.name, Some(options)).await.map_err(|source| self.error("kill", source))
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn start(&self) -> Result<(), ContainerError> {
        self.docker
            .start_container(&self.name, None::<bollard::query_parameters::StartContainerOptions>)
            .await
            .map_err(|source| self.error("start", source))
    }

    /// Removes it with its anonymous volumes. One that is already gone is fine.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove(&self) -> Result<(), ContainerError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker.remove_container(&self.name, Some(options)).await {
            Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(source) => Err(self.error("remove", source)),
        }
    }

    /// Joins `network` again, now with aliases: testcontainers has no word for them. Published ports change by this.
    async fn rejoin(&self, network: &str, aliases: Vec<String>) -> Result<(), ContainerError> {
        let leave = NetworkDisconnectRequest { container: self.name.clone(), force: None };
        self.docker.disconnect_network(network, leave).await.map_err(|source| self.error("disconnect", source))?;
        let join = NetworkConnectRequest {
            container: self.name.clone(),
            endpoint_config: Some(EndpointSettings { aliases: Some(aliases), ..Default::default() }),
        };
        self.docker.connect_network(network, join).await.map_err(|source| self.error("connect", source))
    }

    fn error(&self, action: &'static str, source: bollard::errors::Error) -> ContainerError {
        ContainerError::Api { action, container: self.name.clone(), source }
    }
}

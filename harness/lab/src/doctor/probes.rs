//! What has to be asked over a connection: the engine and the image registries. Asked once, before the checks.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::{
    body_full,
    errors::Error as ClientError,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        CreateContainerOptions, CreateImageOptionsBuilder, ListContainersOptions, RemoveContainerOptionsBuilder,
        RemoveImageOptions, StartContainerOptions,
    },
};
use futures::{TryStreamExt, future::join_all};
use tokio::{
    net::TcpStream,
    time::{error::Elapsed, timeout},
};

use crate::{
    doctor::{Images, Needs},
    engine::{ANSWER_DEADLINE, Engine, EngineError, EngineInfo},
    labels::{self, Owner},
};

/// How long a registry may take to answer, including the look-up of its name. A near one needs 0.2 s, a slow mirror 1 s.
pub const REGISTRY_DEADLINE: Duration = Duration::from_secs(3);

/// How long the engine may take to start and remove the privileged trial container. An idle one needs 0.4 s.
const TRIAL_DEADLINE: Duration = Duration::from_secs(20);

/// The answers.
#[derive(Debug)]
pub struct Probes {
    /// The engine's facts, or why there are none.
    pub engine: Result<EngineInfo, EngineError>,
    /// Whether a privileged container starts, or what the engine said. `None` if it was not tried.
    pub privileged: Option<Result<(), String>>,
    /// The containers that publish a port of the engine's machine.
    pub published: BTreeMap<u16, String>,
    /// What each registry answered, in the order of [`Needs::registries`]. Empty if none was asked.
    pub registries: Vec<Registry>,
}

/// One registry's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Its host, with the port if it is not the usual one.
    pub host: String,
    /// What kept it from answering.
    pub answer: Result<(), String>,
}

impl Probes {
    /// Asks the engine at hand and, where images may be pulled, the registries.
    pub async fn gather(needs: &Needs) -> Self {
        let engine = Engine::connect().await;
        let registries = async {
            match needs.images {
                Images::Registry | Images::Auto => ask_registries(&needs.registries, engine.as_ref().ok()).await,
                Images::Cached | Images::Source => Vec::new(),
            }
        };
        let trial = async {
            match &engine {
                Ok(engine) if needs.provider.runs_nodes() => Some(try_privileged(engine).await),
                _ => None,
            }
        };
        let published = async {
            match &engine {
                Ok(engine) if !needs.ports.is_empty() => published(engine).await,
                _ => BTreeMap::new(),
            }
        };
        let (registries, privileged, published) = tokio::join!(registries, trial, published);
        Self { engine: engine.map(|engine| engine.info().clone()), privileged, published, registries }
    }

    /// Whether images can be pulled: every registry that the run wants has answered.
    pub fn registries_answer(&self) -> bool {
        !self.registries.is_empty() && self.registries.iter().all(|registry| registry.answer.is_ok())
    }
}

/// Asks each registry, all at once, within [`REGISTRY_DEADLINE`].
///
/// Pulling is the engine's work and goes through its proxy, its certificates and its name server, so it is the engine that is
/// asked to look; without one, a plain connection from here has to do.
pub async fn ask_registries(hosts: &[String], engine: Option<&Engine>) -> Vec<Registry> {
    join_all(hosts.iter().map(|host| async move {
        let answer = async {
            match engine {
                Some(engine) => ask_through(engine, host).await,
                None => connect(host).await,
            }
        };
        let late = |_: Elapsed| Err(format!("no answer within {} s", REGISTRY_DEADLINE.as_secs()));
        let answer = timeout(REGISTRY_DEADLINE, answer).await.unwrap_or_else(late);
        Registry { host: host.clone(), answer }
    }))
    .await
}

async fn ask_through(engine: &Engine, host: &str) -> Result<(), String> {
    // Any answer of the registry will do, that it has no such image or wants a password included.
    match engine.docker.inspect_registry_image(&format!("{host}/pause:latest"), None).await {
        Ok(_) | Err(ClientError::DockerResponseServerError { status_code: 401 | 403 | 404, .. }) => Ok(()),
        Err(ClientError::DockerResponseServerError { message, .. }) => Err(last_cause(&message).into()),
        Err(error) => Err(error.to_string()),
    }
}

async fn connect(host: &str) -> Result<(), String> {
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:443") };
    TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string())
}

/// `Get "https://host/v2/": dial tcp: lookup host: no such host` → `lookup host: no such host`.
fn last_cause(message: &str) -> &str {
    message.rsplit_once("dial tcp: ").map_or(message, |(_, cause)| cause).trim()
}

/// Starts a privileged container that has no file to run. An engine that gets as far as missing the file has granted it
/// everything else; no image is needed for that, and it says more than any list of kernel features.
async fn try_privileged(engine: &Engine) -> Result<(), String> {
    let late = |_: Elapsed| Err(format!("no answer within {} s", TRIAL_DEADLINE.as_secs()));
    timeout(TRIAL_DEADLINE, trial(engine)).await.unwrap_or_else(late)
}

async fn trial(engine: &Engine) -> Result<(), String> {
    let docker = &engine.docker;
    let say = |error: ClientError| match error {
        ClientError::DockerResponseServerError { message, .. } => message,
        other => other.to_string(),
    };
    let options = CreateImageOptionsBuilder::new().from_src("-").build();
    // Two blocks of zeros: the shortest archive, of no file.
    let nothing = body_full(vec![0; 1024].into());
    let lines: Vec<_> = docker.create_image(Some(options), Some(nothing), None).try_collect().await.map_err(say)?;
    let image = lines.into_iter().filter_map(|line| line.status).next_back().unwrap_or_default();
    let owner = Owner::current().map(|owner| owner.labels()).unwrap_or_default();
    let marks = [(labels::RUN, "doctor"), (labels::ROLE, "doctor")].map(|(key, value)| (key.into(), value.into()));
    let config = ContainerCreateBody {
        image: Some(image.clone()),
        entrypoint: Some(vec!["/none".into()]),
        labels: Some(owner.into_iter().chain(marks).collect::<HashMap<_, _>>()),
        network_disabled: Some(true),
        host_config: Some(HostConfig { privileged: Some(true), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    let container = docker.create_container(None::<CreateContainerOptions>, config).await.map_err(say)?.id;
    let started = docker.start_container(&container, None::<StartContainerOptions>).await.map_err(say);
    let force = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let removed = docker.remove_container(&container, Some(force)).await.map_err(say);
    // Another doctor may be using the same empty image: it then removes it.
    let _ = docker.remove_image(&image, None::<RemoveImageOptions>, None).await;
    match started {
        Err(message) if !file_missing(&message) => Err(message),
        _ => removed,
    }
}

fn file_missing(message: &str) -> bool {
    // runc: `stat /none: no such file or directory`; crun: `executable file `/none` not found: No such file or directory`.
    message.to_lowercase().contains("no such file or directory") && message.contains("/none")
}

async fn published(engine: &Engine) -> BTreeMap<u16, String> {
    let listed = timeout(ANSWER_DEADLINE, engine.docker.list_containers(None::<ListContainersOptions>)).await;
    let Ok(Ok(containers)) = listed else { return BTreeMap::new() };
    let mut owners = BTreeMap::new();
    for container in containers {
        let name = container.names.unwrap_or_default().into_iter().next().unwrap_or_default();
        for port in container.ports.unwrap_or_default().into_iter().filter_map(|port| port.public_port) {
            owners.insert(port, format!("the container {}", name.trim_start_matches('/')));
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::lookup(
        "Get \"https://ghcr.io/v2/\": dial tcp: lookup ghcr.io on 10.0.0.1:53: no such host",
        "lookup ghcr.io on 10.0.0.1:53: no such host"
    )]
    #[case::refused(
        "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
        "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"
    )]
    fn the_last_cause_is_kept(#[case] message: &str, #[case] cause: &str) {
        assert_eq!(last_cause(message), cause);
    }

    #[rstest]
    #[case::runc(
        "OCI runtime create failed: runc create failed: exec: \"/none\": stat /none: no such file or directory",
        true
    )]
    #[case::crun("crun: executable file `/none` not found: No such file or directory: OCI runtime", true)]
    #[case::no_runtime("fork/exec /usr/sbin/runc: no such file or directory", false)]
    #[case::caps("OCI runtime create failed: unable to apply caps: operation not permitted: unknown", false)]
    fn only_a_missing_file_proves_the_rest(#[case] message: &str, #[case] expected: bool) {
        assert_eq!(file_missing(message), expected);
    }
}

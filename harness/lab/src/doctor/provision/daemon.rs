//! Starting Docker Engine, and stopping it again.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    doctor::{
        CapabilitySet, Host, Machine,
        provision::{
            STATE,
            runtime::{self, RuntimeError},
            tail,
        },
    },
    engine::{DEFAULT_ENDPOINT, Engine, EngineError},
    labels::{Life, Owner},
};

/// How long a started engine may take until it answers. It takes 1–3 s, longer after a crash with many containers.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// How long it may take to end. It gives its containers 15 s.
pub const STOP_DEADLINE: Duration = Duration::from_secs(45);

/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(200);

/// The user's own configuration, which is read but never written.
const USERS_CONFIGURATION: &str = "/etc/docker/daemon.json";

/// Where dockerd writes its process id, and the containerd that it starts its own.
const PID_FILES: [(&str, &str); 2] =
    [("dockerd", "/var/run/docker.pid"), ("containerd", "/var/run/docker/containerd/containerd.pid")];

/// All of the environment that the engine inherits.
const ENVIRONMENT: [&str; 9] = [
    "HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Why no engine could be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// `DOCKER_HOST` is set, so that an engine started here would not be used.
    #[error("DOCKER_HOST={endpoint} names an engine that ferry cannot start")]
    OtherEndpoint {
        /// What it says.
        endpoint: String,
    },
    /// An engine runs, but cannot be talked to.
    #[error("dockerd runs already, as process {pid}, and is left alone, but: {source}")]
    Running {
        /// Its process.
        pid: u32,
        /// Why it cannot be used.
        source: Box<EngineError>,
    },
    /// systemd starts the engine, which then needs a configuration that only its owner may change.
    #[error("this machine lacks {lacking}, and its Docker service is systemd's, which ferry does not reconfigure")]
    Service {
        /// The capabilities.
        lacking: String,
        /// What would have to be in the service's configuration.
        configuration: String,
    },
    /// The configuration could not be made.
    #[error("cannot configure the engine: {0}")]
    Configuration(#[from] RuntimeError),
    /// A file or process could not be made.
    #[error("cannot start dockerd: {0}")]
    Io(#[from] io::Error),
    /// systemctl failed.
    #[error("systemctl start docker failed: {status}: {message}")]
    Systemctl {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        message: String,
    },
    /// dockerd ended at once.
    #[error("dockerd ended at once: {status}; {log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// dockerd did not answer in time.
    #[error("dockerd did not answer within {} s: {source}; {log}", START_DEADLINE.as_secs())]
    Late {
        /// What the last attempt said.
        source: Box<EngineError>,
        /// The end of its log.
        log: String,
    },
}

impl StartError {
    /// What to do next, in words.
    pub fn hint(&self) -> String {
        match self {
            Self::OtherEndpoint { .. } => "start that engine, or unset DOCKER_HOST".into(),
            Self::Running { source, .. } => source.hint(),
            Self::Service { configuration, .. } => format!(
                "put this into {USERS_CONFIGURATION} and restart Docker when no container needs it: {configuration}"
            ),
            Self::Configuration(RuntimeError::Taken { .. }) => {
                "start the engine yourself, or remove that setting".into()
            }
            Self::Configuration(_) | Self::Io(_) => "correct what the message names and try again".into(),
            Self::Systemctl { .. } => "look at journalctl -u docker".into(),
            Self::Ended { .. } | Self::Late { .. } => "the log says what the engine misses".into(),
        }
    }
}

/// Why the engine was not stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// Something still runs in it.
    #[error("the engine still runs {count} containers, and is left alone")]
    Busy {
        /// How many.
        count: usize,
    },
    /// A file could not be read, or the process not be signalled.
    #[error("cannot stop the engine: {0}")]
    Io(#[from] io::Error),
    /// It did not end in time.
    #[error("dockerd, process {pid}, did not end within {} s", STOP_DEADLINE.as_secs())]
    Late {
        /// The process.
        pid: u32,
    },
}

impl StopError {
    /// What to do next, in words.
    pub fn hint(&self) -> String {
        match self {
            Self::Busy { .. } => "ferry gc removes what dead runs left; docker ps shows the rest".into(),
            Self::Io(_) => "only the user who started the engine, or root, may stop it".into(),
            Self::Late { .. } => format!("its log is {}", Path::new(STATE).join("engine/dockerd.log").display()),
        }
    }
}

/// What starting an engine came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// One answered already. It was not touched.
    Already,
    /// systemd was told to start it.
    Service,
    /// It was started by hand.
    Process {
        /// The process.
        pid: u32,
        /// Its log.
        log: PathBuf,
    },
}

/// What stopping the engine came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It ended.
    Stopped {
        /// The process it was.
        pid: u32,
    },
    /// Ferry has started no engine, or that one is gone: nothing was done.
    NotOurs,
}

/// What is remembered of a started engine: the labels of its process, which tell it apart from a later one with the same id.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    dockerd: BTreeMap<String, String>,
}

impl State {
    fn path(folder: &Path) -> PathBuf {
        folder.join("engine.json")
    }

    fn read(folder: &Path) -> Option<Owner> {
        let state: Self = serde_json::from_str(&fs_err::read_to_string(Self::path(folder)).ok()?).ok()?;
        Owner::from_labels(&HashMap::from_iter(state.dockerd))
    }
}

/// Starts the engine at the default socket, unless one answers.
///
/// `folder` keeps what is written for it: configuration, OCI runtime, log and state.
pub async fn start(folder: &Path) -> Result<Started, StartError> {
    let endpoint = crate::engine::endpoint_from_env();
    if endpoint != DEFAULT_ENDPOINT {
        return Err(StartError::OtherEndpoint { endpoint });
    }
    let source = match Engine::connect_to(DEFAULT_ENDPOINT).await {
        Ok(_) => return Ok(Started::Already),
        Err(error) => Box::new(error),
    };
    for (name, file) in PID_FILES {
        match named(file, name) {
            Some(pid) if name == "dockerd" => return Err(StartError::Running { pid, source }),
            // dockerd finds the containerd of one that was killed, and goes on with it.
            Some(_) => {}
            // It would wait in vain for a process that has the id by now, or that is dead but that nobody has reaped.
            None if Host.exists(file) => fs_err::remove_file(file)?,
            None => {}
        }
    }
    let lacking = CapabilitySet::lacking_here(&Host);
    let mut arguments = Vec::new();
    if !lacking.is_empty() {
        let runc = Host.program("runc").unwrap_or_else(|| "runc".into());
        runtime::write(folder, &runc, &lacking)?;
        let users = Host.exists(USERS_CONFIGURATION).then(|| Host.read(USERS_CONFIGURATION)).transpose()?;
        let configuration = runtime::configuration(folder, USERS_CONFIGURATION, users.as_deref())?.to_string();
        if systemd() {
            return Err(StartError::Service { lacking: lacking.join(", "), configuration });
        }
        let file = folder.join("daemon.json");
        fs_err::write(&file, configuration)?;
        arguments.extend(["--config-file".to_owned(), file.display().to_string()]);
    }
    if systemd() {
        start_service().await?;
        return wait(None, &|| "see journalctl -u docker".into()).await.map(|()| Started::Service);
    }
    let log = folder.join("dockerd.log");
    let mut child = launch(&arguments, &log)?;
    let pid = child.id();
    if let Some(process) = Owner::of(pid) {
        let state = State { dockerd: process.labels() };
        fs_err::write(State::path(folder), serde_json::to_string(&state).map_err(io::Error::from)?)?;
    }
    wait(Some(&mut child), &|| format!("the end of {}:\n{}", log.display(), tail(&log))).await?;
    Ok(Started::Process { pid, log })
}

/// Stops the engine that [`start`] started by hand: only that very process, and only when no container runs in it.
pub async fn stop(folder: &Path) -> Result<Stopped, StopError> {
    let Some(process) = State::read(folder).filter(|process| process.life() == Life::Alive) else {
        return Ok(Stopped::NotOurs);
    };
    if let Ok(engine) = Engine::connect_to(DEFAULT_ENDPOINT).await {
        let running = engine.docker.list_containers(None::<bollard::query_parameters::ListContainersOptions>).await;
        let count = running.map_or(0, |containers| containers.len());
        if count > 0 {
            return Err(StopError::Busy { count });
        }
    }
    let pid = process.pid;
    let raw = i32::try_from(pid).map_err(io::Error::other)?;
    kill(Pid::from_raw(raw), Signal::SIGTERM).map_err(io::Error::from)?;
    let since = Instant::now();
    while process.life() == Life::Alive {
        if since.elapsed() > STOP_DEADLINE {
            return Err(StopError::Late { pid });
        }
        sleep(POLL).await;
    }
    fs_err::remove_file(State::path(folder))?;
    Ok(Stopped::Stopped { pid })
}

fn systemd() -> bool {
    Host.exists("/run/systemd/system")
}

/// The process in a pid file, if it lives and has this name.
fn named(file: &str, name: &str) -> Option<u32> {
    let pid = Owner::of(Host.read(file).ok()?.trim().parse().ok()?)?.pid;
    let found = Host.read(&format!("/proc/{pid}/comm")).ok()?;
    (found.trim() == name).then_some(pid)
}

async fn start_service() -> Result<(), StartError> {
    let output = tokio::process::Command::new("systemctl").args(["start", "docker"]).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(StartError::Systemctl { status: output.status, message })
}

fn launch(arguments: &[String], log: &Path) -> Result<Child, io::Error> {
    let output = fs_err::File::create(log)?.into_parts().0;
    let errors = output.try_clone()?;
    let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new("bash")
        .args(["-c", include_str!("launch.bash"), "dockerd"])
        .args(arguments)
        .env_clear()
        .envs(kept)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
}

/// Waits until the engine answers, and gives up as soon as its process has ended.
async fn wait(mut child: Option<&mut Child>, log: &(dyn Fn() -> String + Sync)) -> Result<(), StartError> {
    let since = Instant::now();
    loop {
        let source = match Engine::connect_to(DEFAULT_ENDPOINT).await {
            Ok(_) => return Ok(()),
            Err(error) => Box::new(error),
        };
        if let Some(status) = child.as_mut().and_then(|child| child.try_wait().transpose()).transpose()? {
            return Err(StartError::Ended { status, log: log() });
        }
        if since.elapsed() > START_DEADLINE {
            return Err(StartError::Late { source, log: log() });
        }
        sleep(POLL).await;
    }
}

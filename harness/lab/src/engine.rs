//! The connection to a Docker Engine: where it is, what it is, and how it differs from the usual one.
//!
//! Nothing here starts or changes an engine; [`crate::doctor::provision`] does, where it is asked to.

mod error;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bollard::{Docker, models::SystemInfo};
use serde::Serialize;
use tokio::{net::UnixStream, time::timeout};

pub use self::error::EngineError;
use self::error::{from_client, from_io};
use crate::doctor::CapabilitySet;

/// Where an engine is sought when `DOCKER_HOST` is not set.
pub const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";

/// How long an engine may take to say who it is. An idle one needs 5 ms, one that unpacks images up to a second.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// The oldest API that has all that the lab uses: that of Docker 20.10 (Debian 12).
pub const LEAST_API: ApiVersion = ApiVersion(1, 41);

/// A reachable Docker Engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The API client, speaking the newest version that both sides know.
    pub docker: Docker,
    /// The version the engine gave (`20.10.24`).
    pub version: String,
    /// Where it was reached (`unix:///var/run/docker.sock`, `tcp://…`).
    pub endpoint: String,
    info: EngineInfo,
    quirks: Quirks,
}

/// What an engine says about itself and its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EngineInfo {
    /// The version of the engine.
    pub version: String,
    /// The newest API version it speaks.
    pub api: ApiVersion,
    /// The name of the machine it runs on.
    pub host: String,
    /// The operating system of that machine, as it calls itself.
    pub operating_system: String,
    /// Its kernel release.
    pub kernel: String,
    /// Its architecture, as `uname -m` says (`x86_64`, `aarch64`).
    pub architecture: String,
    /// 1 or 2. Engines before 20.10 do not say; they know only 1.
    pub cgroup_version: u8,
    /// `cgroupfs`, `systemd` or `none`.
    pub cgroup_driver: String,
    /// Whether the engine can limit the memory and the processes of a container.
    pub limits: bool,
    /// `overlay2`, `overlayfs`, …
    pub storage_driver: String,
    /// Where it keeps images and containers, on its own machine.
    pub data_root: PathBuf,
    /// Processors it may use.
    pub cpus: u32,
    /// All the memory of its machine, in bytes.
    pub memory_bytes: u64,
    /// The OCI runtime it uses when a container names none.
    pub default_runtime: String,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Its clock when it was asked, RFC 3339.
    pub system_time: String,
    /// Whether it shares this machine's kernel and host name. False for Docker Desktop, whose engine is in a virtual machine.
    pub local: bool,
}

/// What node creation has to allow for on this engine. All false on a usual one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Quirks {
    /// The machine has cgroup v1: kubelet needs `failCgroupV1: false`.
    pub cgroup_v1: bool,
    /// The engine puts containers into cgroups itself: kubelet needs `cgroupDriver: cgroupfs` on cgroup v1.
    pub cgroupfs: bool,
    /// Nobody on the machine has CAP_SYS_RESOURCE: kubelet needs the feature gate `KubeletInUserNamespace` and containerd
    /// `restrict_oom_score_adj`, as neither can lower an oom_score_adj.
    pub no_sys_resource: bool,
}

/// A version of the Docker Engine API, `major.minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct ApiVersion(pub u32, pub u32);

impl ApiVersion {
    /// Reads `1.41`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl From<ApiVersion> for String {
    fn from(version: ApiVersion) -> Self {
        version.to_string()
    }
}

impl Engine {
    /// Connects where `DOCKER_HOST` says, else to the default socket, and asks the engine who it is.
    ///
    /// # Errors
    /// Says precisely why no engine can be used, at the latest after [`ANSWER_DEADLINE`].
    pub async fn connect() -> Result<Self, EngineError> {
        Self::connect_to(&endpoint_from_env()).await
    }

    /// Connects to `endpoint`, a URL as in `DOCKER_HOST`.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub async fn connect_to(endpoint: &str) -> Result<Self, EngineError> {
        Self::connect_within(endpoint, ANSWER_DEADLINE).await
    }

    async fn connect_within(endpoint: &str, deadline: Duration) -> Result<Self, EngineError> {
        let silent = |_| EngineError::Silent { endpoint: endpoint.into(), after: deadline };
        timeout(deadline, Self::ask(endpoint)).await.map_err(silent)?
    }

    async fn ask(endpoint: &str) -> Result<Self, EngineError> {
        let daemon = match socket_path(endpoint) {
            Some(socket) => peer(endpoint, socket).await?,
            None => None,
        };
        let failed = |asked| move |source| from_client(endpoint, asked, source);
        let docker = Docker::connect_with_host(endpoint).map_err(failed("API"))?;
        let version = docker.version().await.map_err(failed("version"))?;
        let number = version.version.unwrap_or_default();
        let said = version.api_version.unwrap_or_default();
        let api = ApiVersion::parse(&said).filter(|api| *api >= LEAST_API).ok_or_else(|| EngineError::TooOld {
            endpoint: endpoint.into(),
            version: number.clone(),
            api: said,
        })?;
        let docker = docker.negotiate_version().await.map_err(failed("API version"))?;
        let system = docker.info().await.map_err(failed("facts"))?;
        let info = EngineInfo::new(system, number.clone(), api, endpoint, &ThisHost::read());
        let capabilities = info.local.then(|| CapabilitySet::bounding_of(daemon)).flatten();
        let quirks = Quirks::new(&info, capabilities);
        Ok(Self { docker, version: number, endpoint: endpoint.into(), info, quirks })
    }

    /// What the engine said about itself when it was connected to.
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// What node creation has to allow for here.
    pub fn quirks(&self) -> Quirks {
        self.quirks
    }
}

/// What `DOCKER_HOST` says, else [`DEFAULT_ENDPOINT`].
pub fn endpoint_from_env() -> String {
    std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()).unwrap_or_else(|| DEFAULT_ENDPOINT.into())
}

impl Quirks {
    /// `capabilities` is what a process on the engine's machine can have at most, where that is known.
    fn new(info: &EngineInfo, capabilities: Option<CapabilitySet>) -> Self {
        Self {
            cgroup_v1: info.cgroup_version == 1,
            cgroupfs: info.cgroup_driver == "cgroupfs",
            no_sys_resource: info.rootless || capabilities.is_some_and(|set| !set.has("CAP_SYS_RESOURCE")),
        }
    }
}

/// What tells this machine from another.
#[derive(Debug)]
struct ThisHost {
    name: String,
    kernel: String,
}

impl ThisHost {
    fn read() -> Self {
        let read = |path| fs_err::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self { name: read("/proc/sys/kernel/hostname"), kernel: read("/proc/sys/kernel/osrelease") }
    }
}

impl EngineInfo {
    fn new(system: SystemInfo, version: String, api: ApiVersion, endpoint: &str, here: &ThisHost) -> Self {
        let host = system.name.unwrap_or_default();
        let kernel = system.kernel_version.unwrap_or_default();
        let local = socket_path(endpoint).is_some() && !kernel.is_empty() && kernel == here.kernel && host == here.name;
        let said = |flag: Option<bool>| flag.unwrap_or(true);
        Self {
            version,
            api,
            local,
            host,
            kernel,
            operating_system: system.operating_system.unwrap_or_default(),
            architecture: system.architecture.unwrap_or_default(),
            cgroup_version: system.cgroup_version.and_then(|v| v.as_ref().parse().ok()).unwrap_or(1),
            cgroup_driver: system.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
            limits: said(system.memory_limit) && said(system.pids_limit),
            storage_driver: system.driver.unwrap_or_default(),
            data_root: system.docker_root_dir.unwrap_or_default().into(),
            cpus: system.ncpu.and_then(|n| n.try_into().ok()).unwrap_or_default(),
            memory_bytes: system.mem_total.and_then(|n| n.try_into().ok()).unwrap_or_default(),
            default_runtime: system.default_runtime.unwrap_or_default(),
            rootless: system.security_options.unwrap_or_default().iter().any(|option| option.contains("name=rootless")),
            system_time: system.system_time.unwrap_or_default(),
        }
    }
}

/// The socket's path, where the endpoint is one.
pub(crate) fn socket_path(endpoint: &str) -> Option<&Path> {
    endpoint.strip_prefix("unix://").map(Path::new)
}

/// Opens the socket once, for an error more precise than the client's, and gives the process that listens on it.
async fn peer(endpoint: &str, socket: &Path) -> Result<Option<i32>, EngineError> {
    match UnixStream::connect(socket).await {
        Ok(stream) => Ok(stream.peer_cred().ok().and_then(|peer| peer.pid()).filter(|pid| *pid > 0)),
        Err(error) => Err(from_io(endpoint, &error).unwrap_or_else(|| EngineError::Failed {
            endpoint: endpoint.into(),
            asked: "API",
            source: error.into(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;
    use tempfile::TempDir;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    use super::*;

    /// Answers each request on a socket with the JSON that stands for a part of its path.
    fn serve(socket: &Path, answers: &'static [(&'static str, &'static str)]) {
        let listener = UnixListener::bind(socket).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                if let Some((_, body)) = answers.iter().find(|(part, _)| path.contains(part)) {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
                    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
    }

    fn socket(folder: &TempDir) -> (std::path::PathBuf, String) {
        let path = folder.path().join("docker.sock");
        let endpoint = format!("unix://{}", path.display());
        (path, endpoint)
    }

    #[tokio::test]
    async fn an_engine_tells_its_facts() {
        let folder = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket(&folder);
        serve(
            &path,
            &[
                ("/version", r#"{"Version": "28.0.1", "ApiVersion": "1.48"}"#),
                (
                    "/info",
                    r#"{"Name": "far", "OperatingSystem": "Docker Desktop", "KernelVersion": "6.12-linuxkit",
                        "Architecture": "aarch64", "CgroupVersion": "2", "CgroupDriver": "cgroupfs", "Driver": "overlayfs",
                        "DockerRootDir": "/var/lib/docker", "NCPU": 8, "MemTotal": 8000000000, "DefaultRuntime": "runc",
                        "SystemTime": "2026-11-21T08:00:00Z", "SecurityOptions": ["name=seccomp", "name=cgroupns"]}"#,
                ),
            ],
        );
        let engine = Engine::connect_to(&endpoint).await.unwrap();
        insta::assert_json_snapshot!("facts", (engine.info(), engine.quirks()));
    }

    #[tokio::test]
    async fn an_old_engine_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket(&folder);
        serve(&path, &[("/version", r#"{"Version": "19.03.15", "ApiVersion": "1.40"}"#)]);
        let error = Engine::connect_to(&endpoint).await.unwrap_err();
        let expected =
            format!("the Docker Engine at {endpoint} is too old: version 19.03.15 speaks API 1.40, 1.41 is needed");
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn a_dead_socket_is_told_from_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket(&folder);
        assert!(matches!(Engine::connect_to(&endpoint).await, Err(EngineError::NoSocket { .. })));
        drop(UnixListener::bind(&path).unwrap());
        assert!(matches!(Engine::connect_to(&endpoint).await, Err(EngineError::Refused { .. })));
    }

    #[tokio::test]
    async fn a_silent_engine_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket(&folder);
        let _listener = UnixListener::bind(&path).unwrap();
        let error = Engine::connect_within(&endpoint, Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, EngineError::Silent { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = Engine::connect_to(&endpoint).await.unwrap_err();
        assert_eq!(error.to_string(), format!("no Docker Engine answers at {endpoint}: connection refused"));
    }

    #[rstest]
    #[case::ssh(
        "ssh://me@far",
        "cannot use DOCKER_HOST=ssh://me@far: ssh is not supported; forward the remote socket with ssh -L and name that"
    )]
    #[case::nonsense("docker.sock", "cannot use DOCKER_HOST=docker.sock: not a unix:// or tcp:// URL")]
    #[tokio::test]
    async fn an_unusable_docker_host_is_explained(#[case] endpoint: &str, #[case] expected: &str) {
        assert_eq!(Engine::connect_to(endpoint).await.unwrap_err().to_string(), expected);
    }

    #[rstest]
    #[case::usual(2, "systemd", false, Some("000001ffffffffff"), Quirks::default())]
    #[case::elsewhere(2, "systemd", false, None, Quirks::default())]
    #[case::lab(1, "cgroupfs", false, Some("000001fffeffffff"), Quirks { cgroup_v1: true, cgroupfs: true, no_sys_resource: true })]
    #[case::rootless(2, "systemd", true, None, Quirks { no_sys_resource: true, ..Quirks::default() })]
    fn quirks_follow_from_the_facts(
        #[case] cgroup_version: u8,
        #[case] driver: &str,
        #[case] rootless: bool,
        #[case] bounding: Option<&str>,
        #[case] expected: Quirks,
    ) {
        let system = SystemInfo::default();
        let here = ThisHost { name: "vm".into(), kernel: "6.1".into() };
        let info = EngineInfo {
            cgroup_version,
            cgroup_driver: driver.into(),
            rootless,
            ..EngineInfo::new(system, String::new(), LEAST_API, DEFAULT_ENDPOINT, &here)
        };
        let capabilities = bounding.and_then(|hex| CapabilitySet::bounding(&format!("CapBnd:\t{hex}\n")));
        assert_eq!(Quirks::new(&info, capabilities), expected);
    }

    #[rstest]
    #[case::here(DEFAULT_ENDPOINT, "vm", "6.1", true)]
    #[case::virtual_machine(DEFAULT_ENDPOINT, "docker-desktop", "6.12-linuxkit", false)]
    #[case::other_machine("tcp://vm:2375", "vm", "6.1", false)]
    #[case::another_container_of_this_kernel(DEFAULT_ENDPOINT, "host", "6.1", false)]
    fn an_engine_is_local_where_kernel_and_name_agree(
        #[case] endpoint: &str,
        #[case] name: &str,
        #[case] kernel: &str,
        #[case] expected: bool,
    ) {
        let system =
            SystemInfo { name: Some(name.into()), kernel_version: Some(kernel.into()), ..SystemInfo::default() };
        let here = ThisHost { name: "vm".into(), kernel: "6.1".into() };
        assert_eq!(EngineInfo::new(system, String::new(), LEAST_API, endpoint, &here).local, expected);
    }
}

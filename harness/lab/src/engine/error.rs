//! Why no engine can be used, and what to do about it.

use std::{error::Error as StdError, io, path::PathBuf, time::Duration};

use super::{DEFAULT_ENDPOINT, LEAST_API};

/// Why no engine could be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// `DOCKER_HOST` is nothing that can be connected to.
    #[error("cannot use DOCKER_HOST={endpoint}: {reason}")]
    Endpoint {
        /// What it says.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no socket.
    #[error("no Docker Engine at {endpoint}: the socket does not exist")]
    NoSocket {
        /// Where it was sought.
        endpoint: String,
        /// Sockets of other engines that do exist on this machine, as `DOCKER_HOST` would name them.
        elsewhere: Vec<String>,
    },
    /// The socket belongs to others.
    #[error("the Docker socket at {endpoint} may not be opened by this user: permission denied")]
    PermissionDenied {
        /// Where it is.
        endpoint: String,
    },
    /// The address is known, but nothing listens there.
    #[error("no Docker Engine answers at {endpoint}: connection refused")]
    Refused {
        /// Where it was sought.
        endpoint: String,
    },
    /// Something accepted the connection and then said nothing.
    #[error("the Docker Engine at {endpoint} accepted a connection but did not answer within {} s", .after.as_secs())]
    Silent {
        /// Where it was asked.
        endpoint: String,
        /// How long was waited.
        after: Duration,
    },
    /// It answered, in an API that is too old.
    #[error("the Docker Engine at {endpoint} is too old: version {version} speaks API {api}, {LEAST_API} is needed")]
    TooOld {
        /// Where it was reached.
        endpoint: String,
        /// Its version.
        version: String,
        /// The newest API it speaks.
        api: String,
    },
    /// Something else went wrong.
    #[error("the Docker Engine at {endpoint} could not be asked for its {asked}: {source}")]
    Failed {
        /// Where it was sought.
        endpoint: String,
        /// What was asked for.
        asked: &'static str,
        /// What came back.
        source: bollard::errors::Error,
    },
}

impl EngineError {
    /// What to do next, in words.
    pub fn hint(&self) -> String {
        match self {
            Self::Endpoint { .. } => {
                "set DOCKER_HOST to unix:///path or tcp://host:port, or unset it to use the default socket".into()
            }
            Self::NoSocket { endpoint, elsewhere } => match elsewhere.first() {
                Some(other) => format!("an engine has its socket at {other}; to use it: export DOCKER_HOST={other}"),
                None if endpoint == DEFAULT_ENDPOINT => "install Docker Engine, or start it if it is installed".into(),
                None => "start that engine, or correct DOCKER_HOST".into(),
            },
            Self::PermissionDenied { .. } => {
                "add this user to the group that owns the socket and log in again, or run as root".into()
            }
            Self::Refused { endpoint } if endpoint == DEFAULT_ENDPOINT => {
                "the engine that made the socket is gone; start it again".into()
            }
            Self::Refused { .. } => "start that engine, or correct DOCKER_HOST".into(),
            Self::Silent { .. } => "look at the engine's log; a hung engine has to be restarted".into(),
            Self::TooOld { .. } => "upgrade to Docker Engine 20.10 or newer".into(),
            Self::Failed { .. } => "look at the engine's log, and check that DOCKER_HOST names a Docker Engine".into(),
        }
    }

    /// Where the engine was sought.
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Endpoint { endpoint, .. }
            | Self::NoSocket { endpoint, .. }
            | Self::PermissionDenied { endpoint }
            | Self::Refused { endpoint }
            | Self::Silent { endpoint, .. }
            | Self::TooOld { endpoint, .. }
            | Self::Failed { endpoint, .. } => endpoint,
        }
    }
}

/// Finds the precise reason in an error of the client's.
pub(super) fn from_client(endpoint: &str, asked: &'static str, source: bollard::errors::Error) -> EngineError {
    use bollard::errors::Error;
    let unusable = |reason: String| EngineError::Endpoint { endpoint: endpoint.into(), reason };
    match &source {
        Error::UnsupportedURISchemeError { .. } if endpoint.starts_with("ssh://") => {
            return unusable("ssh is not supported; forward the remote socket with ssh -L and name that".into());
        }
        Error::UnsupportedURISchemeError { .. } => return unusable("not a unix:// or tcp:// URL".into()),
        Error::InvalidURIError { err } => return unusable(err.to_string()),
        _ => {}
    }
    let cause = io_cause(&source).and_then(|error| from_io(endpoint, error));
    cause.unwrap_or(EngineError::Failed { endpoint: endpoint.into(), asked, source })
}

/// The first I/O error in the chain of causes.
fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    error.downcast_ref().or_else(|| io_cause(error.source()?))
}

/// The precise reason, where it is one of those that the operating system tells.
pub(super) fn from_io(endpoint: &str, error: &io::Error) -> Option<EngineError> {
    let endpoint = endpoint.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => Some(EngineError::NoSocket { endpoint, elsewhere: other_sockets() }),
        io::ErrorKind::PermissionDenied => Some(EngineError::PermissionDenied { endpoint }),
        io::ErrorKind::ConnectionRefused => Some(EngineError::Refused { endpoint }),
        _ => None,
    }
}

/// Well-known places of engines that do not use the default socket. Only whether they exist is looked at.
fn other_sockets() -> Vec<String> {
    const UNDER_HOME: [&str; 5] = [
        ".docker/run/docker.sock",
        ".docker/desktop/docker.sock",
        ".colima/default/docker.sock",
        ".orbstack/run/docker.sock",
        ".rd/docker.sock",
    ];
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    home.iter()
        .flat_map(|home| UNDER_HOME.map(|socket| home.join(socket)))
        .chain(runtime.map(|runtime| runtime.join("docker.sock")))
        .filter(|socket| socket.exists())
        .map(|socket| format!("unix://{}", socket.display()))
        .collect()
}

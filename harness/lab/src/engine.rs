//! The connection to a Docker Engine.

use bollard::Docker;

/// A reachable Docker Engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The API client.
    pub docker: Docker,
    /// What the engine said about itself when it was first asked.
    pub version: String,
    /// Where it was reached (`unix:///var/run/docker.sock`, `tcp://…`).
    pub endpoint: String,
}

/// Why no engine could be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing answered.
    #[error("no Docker Engine answers at {endpoint}: {source}")]
    Unreachable {
        /// Where it was sought.
        endpoint: String,
        /// What came back.
        source: bollard::errors::Error,
    },
}

impl Engine {
    /// Connects where `DOCKER_HOST` says, else to the default socket, and asks the engine for its version.
    pub async fn connect() -> Result<Self, EngineError> {
        let endpoint = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
        let unreachable = |source| EngineError::Unreachable { endpoint: endpoint.clone(), source };
        let docker = Docker::connect_with_defaults().map_err(unreachable)?;
        let version = docker.version().await.map_err(unreachable)?;
        Ok(Self { docker, version: version.version.unwrap_or_default(), endpoint })
    }
}

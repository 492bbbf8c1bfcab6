//! The network of a run: cluster nodes, git server, registry and toolbox find each other on it by name.

use bollard::models::NetworkCreateRequest;

use crate::engine::Engine;
use crate::run::RunScope;

/// Why a run's network could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The engine refused.
    #[error("cannot make the network {name}: {source}")]
    Create {
        /// The network's name.
        name: String,
        /// What came back.
        source: bollard::errors::Error,
    },
    /// Every address range that the engine gives to networks is in use.
    #[error(
        "cannot make the network {name}: the engine's address ranges are all in use by other networks \
         (hint: `ferry gc` removes those of dead runs, `docker network prune` all that nothing uses)"
    )]
    NoAddresses {
        /// The network's name.
        name: String,
    },
}

/// A bridge network of one run.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its name, `ferry-RUN`.
    pub name: String,
}

impl Network {
    /// Makes the run's network.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn create(engine: &Engine, run: &RunScope) -> Result<Self, NetworkError> {
        let name = run.prefix();
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".into()),
            labels: Some(run.labels("network").into_iter().collect()),
            ..Default::default()
        };
        match engine.docker.create_network(request).await {
            Ok(_) => Ok(Self { name }),
            Err(bollard::errors::Error::DockerResponseServerError { message, .. })
                if message.contains("non-overlapping IPv4 address pool") || message.contains("fully subnetted") =>
            {
                Err(NetworkError::NoAddresses { name })
            }
            Err(source) => Err(NetworkError::Create { name, source }),
        }
    }
}

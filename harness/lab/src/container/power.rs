//! A container that loses its power and gets it back, with what it holds and where others look for it.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::query_parameters::InspectContainerOptions;

use super::{ContainerError, ContainerRef};

impl ContainerRef {
    /// Kills it, leaves it dead for `down`, and starts it again. Its files and its names stay by themselves; that its address
    /// did is checked, as others keep it for longer than a short outage takes. Published ports change by this.
    ///
    /// # Errors
    /// When the engine refuses, or gives it another address.
    pub async fn power_cycle(&self, down: Duration) -> Result<(), ContainerError> {
        let before = self.addresses().await?;
        self.kill().await?;
        // To start what has not ended yet does nothing, and is no error.
        self.exit_code().await?;
        tokio::time::sleep(down).await;
        self.start().await?;
        let after = self.addresses().await?;
        if before != after {
            return Err(ContainerError::Moved { container: self.name.clone(), before, after });
        }
        Ok(())
    }

    /// Its addresses, by network.
    async fn addresses(&self) -> Result<BTreeMap<String, String>, ContainerError> {
        let inspected = self.docker.inspect_container(&self.name, None::<InspectContainerOptions>).await;
        let settings = inspected.map_err(|source| self.error("inspect", source))?.network_settings;
        let networks = settings.and_then(|settings| settings.networks).unwrap_or_default();
        Ok(networks.into_iter().map(|(network, at)| (network, at.ip_address.unwrap_or_default())).collect())
    }
}

//! A cluster's nodes on the engine: found by label, removed within a deadline.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;

use super::{ClusterError, DELETE_DEADLINE, Node};
use crate::container::ContainerRef;
use crate::engine::Engine;

/// The labels by which a provider's nodes are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeLabels {
    /// Names the cluster.
    pub cluster: &'static str,
    /// `control-plane` or `worker`.
    pub role: &'static str,
}

impl NodeLabels {
    /// The nodes of a cluster, running or not, control plane first.
    pub async fn find(self, engine: &Engine, cluster: &str) -> Result<Vec<Node>, ClusterError> {
        let filters = HashMap::from([("label", vec![format!("{}={cluster}", self.cluster)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let containers = engine.docker.list_containers(Some(options)).await;
        let containers = containers.map_err(|source| ClusterError::List { cluster: cluster.into(), source })?;
        let mut nodes: Vec<_> = containers
            .into_iter()
            .filter_map(|container| {
                let name = container.names?.into_iter().next()?.trim_start_matches('/').to_owned();
                let role = container.labels?.remove(self.role).unwrap_or_default();
                Some(Node { container: ContainerRef::new(engine, name.as_str()), name, role })
            })
            .collect();
        // By role: `control-plane` comes before `worker`.
        nodes.sort_by(|one, other| (&one.role, &one.name).cmp(&(&other.role, &other.name)));
        Ok(nodes)
    }

    /// Removes all nodes of a cluster, made or half made, with their volumes.
    pub async fn remove(self, engine: &Engine, cluster: &str) -> Result<(), ClusterError> {
        let remove = async {
            let nodes = self.find(engine, cluster).await?;
            futures::future::try_join_all(nodes.iter().map(|node| node.container.remove())).await?;
            Ok::<_, ClusterError>(())
        };
        if let Ok(result) = tokio::time::timeout(DELETE_DEADLINE, remove).await {
            return result;
        }
        let left = self.find(engine, cluster).await?.into_iter().map(|node| node.name).collect();
        Err(ClusterError::Leaked { cluster: cluster.into(), left })
    }
}

//! A node's logs, for the run's folder: taken when something failed, so whatever can be had is kept.

use std::path::Path;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures::TryStreamExt;

use super::{ClusterError, Node};
use crate::container::ContainerError;
use crate::engine::Engine;

/// Where kubelet keeps the logs of pods, on a node.
const POD_LOGS: &str = "/var/log/pods";

/// Writes the journal, the container's own output and the logs of all pods of `node` to `to/NODE`. Returns what failed.
pub(super) async fn export(engine: &Engine, node: &Node, to: &Path) -> Vec<String> {
    let to = to.join(&node.name);
    let results = async {
        fs_err::tokio::create_dir_all(&to).await?;
        let (journal, pods, boot) = tokio::join!(journal(node, &to), pods(engine, node, &to), boot(node, &to));
        Ok::<_, ClusterError>([journal, pods, boot])
    };
    match results.await {
        Ok(results) => {
            results.into_iter().filter_map(|result| Some(format!("{}: {}", node.name, result.err()?))).collect()
        }
        Err(error) => vec![format!("{}: {error}", node.name)],
    }
}

async fn journal(node: &Node, to: &Path) -> Result<(), ClusterError> {
    let output = node.container.exec(["journalctl", "--no-pager", "--output=short-iso"]).succeed().await?;
    Ok(fs_err::tokio::write(to.join("journal.log"), output.stdout).await?)
}

async fn boot(node: &Node, to: &Path) -> Result<(), ClusterError> {
    let said = node.container.last_lines(1000).await?;
    Ok(fs_err::tokio::write(to.join("boot.log"), said).await?)
}

async fn pods(engine: &Engine, node: &Node, to: &Path) -> Result<(), ClusterError> {
    let options = DownloadFromContainerOptionsBuilder::new().path(POD_LOGS).build();
    let chunks: Vec<_> =
        engine.docker.download_from_container(&node.name, Some(options)).try_collect().await.map_err(|source| {
            ContainerError::Api { action: "copy pod logs from", container: node.name.clone(), source }
        })?;
    Ok(tar::Archive::new(chunks.concat().as_slice()).unpack(to)?)
}

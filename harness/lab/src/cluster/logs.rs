//! A node's logs, for the run's folder: taken when something failed, so whatever can be had is kept.

use std::path::Path;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures::TryStreamExt;

use super::{ClusterError, Node};
use crate::container::ContainerError;
use crate::engine::Engine;

/// Where kubelet keeps the logs of pods, on a node.
const POD_LOGS: &str = "/var/log/pods";

/// What runs on a node, and where it says what it does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Runtime {
    /// systemd: all is in its journal.
    Systemd,
    /// k3s: all but containerd's log is the container's own output.
    K3s,
}

/// Where k3s has containerd write.
const CONTAINERD_LOG: &str = "/var/lib/rancher/k3s/agent/containerd/containerd.log";

/// Writes the logs of all these nodes below `to`. Returns what could not be had.
pub(super) async fn export_all(
    engine: &Engine,
    nodes: Result<Vec<Node>, ClusterError>,
    runtime: Runtime,
    to: &Path,
) -> Vec<String> {
    match nodes {
        Ok(nodes) => {
            let exports = nodes.iter().map(|node| export(engine, node, runtime, to));
            futures::future::join_all(exports).await.concat()
        }
        Err(error) => vec![error.to_string()],
    }
}

/// Writes what the node's runtime says, the container's own output and the logs of all pods of `node` to `to/NODE`.
async fn export(engine: &Engine, node: &Node, runtime: Runtime, to: &Path) -> Vec<String> {
    let to = to.join(&node.name);
    let results = async {
        fs_err::tokio::create_dir_all(&to).await?;
        let (own, pods, boot) =
            tokio::join!(own(node, runtime, &to), pods(engine, node, &to), boot(node, runtime, &to));
        Ok::<_, ClusterError>([own, pods, boot])
    };
    match results.await {
        Ok(results) => {
            results.into_iter().filter_map(|result| Some(format!("{}: {}", node.name, result.err()?))).collect()
        }
        Err(error) => vec![format!("{}: {error}", node.name)],
    }
}

async fn own(node: &Node, runtime: Runtime, to: &Path) -> Result<(), ClusterError> {
    match runtime {
        Runtime::Systemd => {
            let output = node.container.exec(["journalctl", "--no-pager", "--output=short-iso"]).succeed().await?;
            fs_err::tokio::write(to.join("journal.log"), output.stdout).await?
        }
        // A copy, as a node that has ended runs no command.
        Runtime::K3s => {
            let log = node.container.download(CONTAINERD_LOG).await?;
            fs_err::tokio::write(to.join("containerd.log"), log).await?
        }
    }
    Ok(())
}

async fn boot(node: &Node, runtime: Runtime, to: &Path) -> Result<(), ClusterError> {
    let (lines, file) = match runtime {
        Runtime::Systemd => (1000, "boot.log"),
        Runtime::K3s => (100_000, "k3s.log"),
    };
    let said = node.container.last_lines(lines).await?;
    Ok(fs_err::tokio::write(to.join(file), said).await?)
}

async fn pods(engine: &Engine, node: &Node, to: &Path) -> Result<(), ClusterError> {
    let options = DownloadFromContainerOptionsBuilder::new().path(POD_LOGS).build();
    let chunks: Vec<_> =
        engine.docker.download_from_container(&node.name, Some(options)).try_collect().await.map_err(|source| {
            ContainerError::Api { action: "copy pod logs from", container: node.name.clone(), source }
        })?;
    Ok(tar::Archive::new(chunks.concat().as_slice()).unpack(to)?)
}

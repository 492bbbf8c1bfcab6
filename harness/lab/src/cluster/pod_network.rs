//! A pod network that the profile names, in place of the provider's own.

use std::time::Duration;

use super::Node;
use crate::container::ExecError;

/// Where nodes with a pod network of their own have its manifests.
const MANIFESTS: &str = "/kind/manifests/pod-network.yaml";

/// How long the API server may take to take them: 60 s, where 2 s is usual.
const DEADLINE: Duration = Duration::from_secs(60);

/// Has the network installed by the control plane's own kubectl. Nodes become ready when its agents run, which is awaited with
/// everything else that makes a cluster usable.
pub(super) async fn install(control_plane: &Node) -> Result<(), ExecError> {
    let apply = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "apply", "--filename", MANIFESTS];
    control_plane.container.exec(apply).deadline(DEADLINE).succeed().await?;
    Ok(())
}

//! `probe-snat`: kubelet's probes from a mesh's address, on every node.

use ferry_lab::cluster::mesh;

use super::{Context, StepError};

pub(super) async fn execute(cx: &Context<'_>) -> Result<(), StepError> {
    for node in &cx.stage.cluster().nodes {
        let object = cx.cluster.get("node", None, &node.name).await?;
        let pods = object.as_ref().and_then(|node| node.pointer("/spec/podCIDR")?.as_str());
        let pods = pods.ok_or_else(|| {
            let hint = "it is told by `podCIDR`: use a cluster whose nodes have one".to_string();
            StepError::mismatch(format!("node {} does not say which addresses its pods have", node.name), hint)
        })?;
        mesh::rewrite_probes(&node.container, pods).await?;
        cx.said(&format!("probe-snat: what {} sends to pods in {pods} comes from {}", node.name, mesh::SOURCE));
    }
    Ok(())
}

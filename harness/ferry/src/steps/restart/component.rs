//! A part of the control plane, killed in its node, and its successor awaited.

use std::collections::BTreeSet;

use ferry_lab::cluster::Node;
use ferry_scenario::steps::ControlPlane;

use super::super::{Context, StepError};
use super::{LOOK, look};
use crate::wait::{Check, polled};

/// How a cluster's lab calls nodes of the control plane.
const CONTROL_PLANE: &str = "control-plane";

pub(super) async fn restart(component: ControlPlane, cx: &Context<'_>) -> Result<(), StepError> {
    let process = component.process();
    let nodes: Vec<&Node> = cx.stage.cluster().nodes.iter().filter(|node| node.role == CONTROL_PLANE).collect();
    let mut killed = Vec::new();
    for node in nodes {
        let processes = processes(node, process).await?;
        if processes.is_empty() {
            let what = format!("no process on node {} is called {process}", node.name);
            return Err(StepError::mismatch(what, "`restart` kills what runs".to_string()));
        }
        cx.said(&format!("restart: kill {process} on {}", node.name));
        node.container.exec(["pkill", "--signal", "KILL", "--exact", process]).succeed().await?;
        killed.push((node, processes));
    }
    let looks = polled(LOOK, || {
        look(async {
            for (node, old) in &killed {
                if let Some(reason) = missing(node, process, old).await {
                    return Ok(Check::NotYet(reason));
                }
            }
            Ok(Check::Met("it answers".into()))
        })
    });
    cx.until(format!("{process} back"), looks).await?;
    Ok(())
}

/// Why a node's component is not back yet. Asked on the node, so that each node's own API server answers.
async fn missing(node: &Node, process: &str, old: &BTreeSet<String>) -> Option<String> {
    let now = processes(node, process).await.unwrap_or_default();
    if now.is_empty() || now.iter().any(|id| old.contains(id)) {
        return Some(format!("{} has no new {process}", node.name));
    }
    let ask = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "--raw", "/readyz"];
    match node.container.exec(ask).run().await {
        Ok(answer) if answer.exit_code == 0 => None,
        Ok(answer) => Some(format!("{} on {} is not ready: {}", process, node.name, answer.last_words())),
        Err(error) => Some(crate::edge::chain(&error)),
    }
}

/// The ids of a node's processes of that name.
async fn processes(node: &Node, name: &str) -> Result<BTreeSet<String>, StepError> {
    // One that finds nothing ends with 1.
    let found = node.container.exec(["pgrep", "--exact", name]).run().await?;
    Ok(found.stdout.split_whitespace().map(str::to_owned).collect())
}

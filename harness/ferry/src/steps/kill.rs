//! `kill`: a fault in the harness itself.

use ferry_scenario::steps::{Agents, Kill};

use super::{Context, StepError};
use crate::agent::Agent;

pub(super) async fn execute(kill: &Kill, cx: &Context<'_>) -> Result<(), StepError> {
    let sampling = cx.probing.map(|probing| probing.agents()).unwrap_or_default();
    if sampling.is_empty() {
        let hint = "agents sample for probes `from: [inside]`, after the first phase".to_string();
        return Err(StepError::mismatch("no agent samples", hint));
    }
    let killed: Vec<&Agent> = match kill.agents() {
        Agents::All => sampling.iter().collect(),
        Agents::Of(node) => {
            let asked = &cx.stage.cluster().node(node.as_str())?.name;
            sampling.iter().filter(|agent| agent.node() == asked).collect()
        }
    };
    if killed.is_empty() {
        let nodes: Vec<&str> = sampling.iter().map(Agent::node).collect();
        let hint = format!("agents sample on {}; `agents: every-node` makes all do so", nodes.join(", "));
        return Err(StepError::mismatch(format!("no {} samples", kill.agents()), hint));
    }
    let kills = killed.into_iter().map(|agent| agent.kill(cx.stage.cluster()));
    futures::future::try_join_all(kills).await.map_err(|e| StepError::Agent(Box::new(e)))?;
    Ok(())
}

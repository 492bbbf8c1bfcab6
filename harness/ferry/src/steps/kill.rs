//! `kill`: a fault in the harness itself.

use ferry_scenario::steps::{Agents, Kill};

use super::{Context, StepError};

pub(super) async fn execute(kill: &Kill, cx: &Context<'_>) -> Result<(), StepError> {
    let agent = cx.probing.and_then(|probing| probing.agent());
    let agent = agent.ok_or_else(|| {
        let hint = "agents sample for probes `from: [inside]`, after the first phase".to_string();
        StepError::mismatch("no agent samples", hint)
    })?;
    if let Agents::Of(node) = kill.agents() {
        let asked = &cx.stage.cluster().node(node.as_str())?.name;
        if asked != agent.node() {
            let hint = format!("the agent that samples is on {}", agent.node());
            return Err(StepError::mismatch(format!("no agent samples on {node}"), hint));
        }
    }
    agent.kill(cx.stage.cluster()).await.map_err(|e| StepError::Agent(Box::new(e)))
}

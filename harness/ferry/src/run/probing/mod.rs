//! Probing: from the scenario's probes to samplers, on this host and in the cluster.

mod aim;
mod kubeconfig;
mod preflight;
mod specs;

use std::time::Duration;

use ferry_probe::{Clock, ProbeSpec, Sampler, SamplerHandle};
use ferry_record::EventKind;
use ferry_scenario::Spanned;
use ferry_scenario::model::Agents;
use ferry_scenario::probes::Probe;

use crate::agent::{self, Agent};
use crate::edge;
use crate::run::recorder::Recorder;
use crate::steps::{Context, StepError};
use aim::Aimer;

pub use preflight::{AGAIN, answers};

/// How long all targets may take to answer once, after the first phase has brought them up. A Service's endpoints reach
/// the nodes' rules within a second or two.
pub const TARGET_DEADLINE: Duration = Duration::from_secs(60);

/// All samplers of a run at work.
#[derive(Debug)]
pub struct Probing {
    outside: Option<SamplerHandle>,
    agents: Vec<Agent>,
    aimers: Vec<Aimer>,
}

/// Where probes ask, and which do so there.
pub type Asked<'a> = (Context<'a>, Vec<&'a Spanned<Probe>>);

/// Waits for the workloads and for each target's first answer, in every cluster, then starts sampling.
pub async fn start(places: &[Asked<'_>]) -> Result<Probing, StepError> {
    let mut from_here = vec![];
    let (mut agents, mut aimers) = (vec![], vec![]);
    for (cx, probes) in places {
        for workload in &cx.scenario.workloads {
            cx.ready(&workload.kind, workload.namespace.as_deref(), &workload.name).await?;
        }
        let specs::Specs { outside, inside, sources } = specs::all(probes, cx).await?;
        preflight::outside(&outside, cx).await?;
        from_here.extend(outside);
        for (node, inside) in views(inside, cx)? {
            let broken = |e: agent::AgentError| StepError::Agent(Box::new(e));
            let mut link = agent::Connected::to(cx.cluster, &node, cx.recorder).await.map_err(broken)?;
            preflight::inside(&mut link, &inside, cx).await?;
            let agent = link.start(&inside).await.map_err(broken)?;
            let aimed = sources.iter().filter_map(|(spec, source)| Some((inside.get(*spec)?.id(), source.clone())));
            aimers.extend(aimed.map(|source| Aimer::start(source, cx.cluster, &agent, cx.recorder)));
            agents.push(agent);
        }
    }
    let outside = match (from_here.is_empty(), places.first()) {
        (false, Some((cx, _))) => Some(sampler(cx.recorder.clock(), from_here, cx.recorder)?),
        _ => None,
    };
    Ok(Probing { outside, agents, aimers })
}

/// The nodes whose agents ask, and what: the first, as a run needs one view from inside, or all.
fn views(inside: Vec<ProbeSpec>, cx: &Context<'_>) -> Result<Vec<(String, Vec<ProbeSpec>)>, StepError> {
    if inside.is_empty() {
        return Ok(vec![]);
    }
    let cluster = cx.stage.cluster();
    let nodes: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
    match (cx.scenario.agents(), nodes.as_slice()) {
        (_, []) => Err(StepError::mismatch("the cluster has no node", None)),
        (Agents::FirstNode, [first, ..]) => Ok(vec![((*first).to_owned(), inside)]),
        (Agents::EveryNode, nodes) => {
            // Nodes are called after their cluster, and that after the run: what is left is the same in every run.
            let short = |node: &str| node.strip_prefix(&format!("{}-", cluster.name)).unwrap_or(node).to_owned();
            Ok(nodes.iter().map(|node| ((*node).to_owned(), specs::of_node(&inside, &short(node)))).collect())
        }
    }
}

fn sampler(clock: &Clock, specs: Vec<ProbeSpec>, recorder: &Recorder) -> Result<SamplerHandle, StepError> {
    let recorder = recorder.clone();
    Sampler::start(*clock, specs, move |event| recorder.emit(event)).map_err(not_started)
}

fn not_started(error: ferry_probe::SamplerError) -> StepError {
    StepError::mismatch(format!("the sampler cannot start: {}", edge::chain(&error)), error.hint().to_string())
}

impl Probing {
    /// Blocks this host's sampler for `time`, as a starved host would.
    pub fn stall(&self, time: Duration) {
        if let Some(sampler) = &self.outside {
            sampler.stall(time);
        }
    }

    /// The agents that sample.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Ends all sampling, and returns when the last of it is in the record. What goes wrong is the lab's trouble.
    pub async fn stop(self, recorder: &Recorder) {
        drop(self.aimers);
        let outside = async {
            let Some(sampler) = self.outside else { return };
            if let Err(error) = sampler.stop().await {
                let hint = Some(error.hint().to_string());
                let error = edge::chain(&error);
                recorder.emit(EventKind::Infra { what: "the sampler did not end".into(), error, hint });
            }
        };
        let inside = async {
            futures::future::join_all(self.agents.into_iter().map(Agent::stop)).await;
        };
        tokio::join!(outside, inside);
    }
}

//! What a run costs in memory and time, from what runs were measured to cost on 2 cores.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Needs, PlannedPhase};
use crate::cell::Cell;
use crate::deadlines::as_text;
use crate::folders::{Files, profile};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::steps::{Condition, Step};
use crate::text::HumanDuration;

/// A cluster of one node with four controllers, the operator and the workload. Measured: memory in use beyond the host's own.
const ONE_NODE_MIB: u64 = 1331;

/// A further node: kubelet, containerd, kube-proxy and the pod network. Not measured: an assumption on the safe side.
const FURTHER_NODE_MIB: u64 = 300;

/// A controller beyond the four of `flux bootstrap`: the memory that Flux's own manifests request for each.
const FURTHER_CONTROLLER_MIB: u64 = 64;

/// `kind create cluster` with one node whose image holds all images: measured 14 s with their import, which takes 6 s.
const BOOT: Duration = Duration::from_secs(8);

/// A node that joins. Not measured: kubeadm join waits for what booting the first node waits for, without its control plane.
const JOIN: Duration = Duration::from_secs(8);

/// `flux bootstrap git`, measured with images present.
const BOOTSTRAP: Duration = Duration::from_secs(6);

/// From applying a FluxInstance to its being ready, measured with images present.
const TAKE_OVER: Duration = Duration::from_secs(31);

/// From a commit to its being applied everywhere; measured for the removal of `flux-system/`.
const SYNC: Duration = Duration::from_secs(12);

/// Anything else: requests to an API server on the same machine, and waits for what is almost there.
const REQUEST: Duration = Duration::from_secs(1);

/// What a run costs once its images are in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Estimate {
    /// Nodes of the cluster.
    pub nodes: u64,
    /// Memory in use while it runs, in MiB, beyond the host's own.
    pub memory_mib: u64,
    /// From the cluster's start to the verdict, if all goes well.
    #[serde(serialize_with = "as_text")]
    pub expected: Duration,
    /// The sum of what is slept for on purpose, which is in `expected`.
    #[serde(serialize_with = "as_text")]
    pub slept: Duration,
    /// The sum of all deadlines of the phases' steps, without rollbacks: they cannot take longer.
    #[serde(serialize_with = "as_text")]
    pub steps_at_most: Duration,
}

impl Estimate {
    /// Of a planned scenario.
    pub(super) fn of(
        scenario: &Scenario,
        cell: &Cell,
        needs: &Needs,
        phases: &[PlannedPhase],
        files: &dyn Files,
    ) -> Estimate {
        let nodes = 1 + workers(scenario, cell, files);
        let controllers = needs.flux.values().map(|components| components.len() as u64).max().unwrap_or(0);
        let mut time = Time { working: BOOT + JOIN * (nodes - 1) as u32, ..Time::default() };
        let mut taken_over = false;
        for step in scenario.phases.iter().flat_map(|phase| &phase.steps) {
            time = time.then(cost(&step.value, &mut taken_over));
        }
        time = time.then(Time::slept(scenario.proof.quiet.get() + scenario.proof.soak.get()));
        let steps = phases.iter().flat_map(|phase| &phase.steps);
        Estimate {
            nodes,
            memory_mib: ONE_NODE_MIB
                + FURTHER_NODE_MIB * (nodes - 1)
                + FURTHER_CONTROLLER_MIB * controllers.saturating_sub(4),
            expected: time.working + time.slept,
            slept: time.slept,
            steps_at_most: steps.map(|step| step.deadline.limit).sum(),
        }
    }
}

/// What steps take.
#[derive(Debug, Clone, Copy, Default)]
struct Time {
    working: Duration,
    slept: Duration,
}

impl Time {
    fn working(working: Duration) -> Time {
        Time { working, slept: Duration::ZERO }
    }

    fn slept(slept: Duration) -> Time {
        Time { working: Duration::ZERO, slept }
    }

    fn then(self, other: Time) -> Time {
        Time { working: self.working + other.working, slept: self.slept + other.slept }
    }
}

/// What a step takes, with those within it.
fn cost(step: &Step, taken_over: &mut bool) -> Time {
    let mut all =
        |steps: &[Spanned<Step>]| -> Vec<Time> { steps.iter().map(|step| cost(&step.value, taken_over)).collect() };
    match step {
        Step::Bootstrap(_) => Time::working(BOOTSTRAP),
        Step::Sleep(sleep) => Time::slept(sleep.r#for.get()),
        Step::StallSampler(stall) => Time::slept(stall.r#for.get()),
        Step::Cut(cut) => Time { working: REQUEST, slept: cut.r#for.get() },
        Step::Wait(wait) => Time::working(match &wait.until {
            Condition::Ready(object) if object.kind == "fluxinstance" && !*taken_over => {
                *taken_over = true;
                TAKE_OVER
            }
            Condition::Revision(_) => SYNC,
            _ => REQUEST,
        }),
        Step::Parallel(parallel) => {
            all(&parallel.0).into_iter().max_by_key(|time| time.working + time.slept).unwrap_or_default()
        }
        Step::Repeat(repeat) => {
            let once = all(&repeat.steps).into_iter().fold(Time::default(), Time::then);
            let times = repeat.times.value;
            Time { working: once.working.saturating_mul(times), slept: once.slept.saturating_mul(times) }
        }
        Step::Include(_) | Step::On(_) | Step::ExpectFailure(_) => {
            all(step.action().nested()).into_iter().fold(Time::default(), Time::then)
        }
        _ => Time::working(REQUEST),
    }
}

/// Nodes beyond the first, as the cluster's profile says.
fn workers(scenario: &Scenario, cell: &Cell, files: &dyn Files) -> u64 {
    // More than a machine could hold is a mistake that the profile's own reader reports.
    profile(scenario, cell, files).and_then(|profile| profile["workers"].as_u64()).unwrap_or(0).min(100)
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = if self.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", self.nodes) };
        writeln!(f, "  memory  about {:.1} GiB, {nodes}", self.memory_mib as f64 / 1024.0)?;
        let slept = match self.slept {
            Duration::ZERO => String::new(),
            slept => format!(", {} of it slept", HumanDuration::from(slept)),
        };
        writeln!(f, "  time    about {}{slept}, once images are cached", HumanDuration::from(self.expected))?;
        writeln!(f, "  steps   at most {}, the sum of their deadlines", HumanDuration::from(self.steps_at_most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folders::tests::Memory;
    use crate::parse::tests::example;

    fn estimate(sections: &str, files: &[(&'static str, &'static str)]) -> String {
        let scenario = crate::parse("area/example.yaml", &example(sections)).unwrap();
        let files = Memory(files.iter().copied().collect());
        crate::plan(&scenario, &Cell::default(), &files).estimate.to_string()
    }

    #[test]
    fn the_smallest() {
        insta::assert_snapshot!(estimate("", &[]), @"
        memory  about 1.3 GiB, 1 node
        time    about 35s, 21s of it slept, once images are cached
        steps   at most 3m1s, the sum of their deadlines
        ");
    }

    #[test]
    fn more_nodes_more_controllers_and_a_soak() {
        let profile = [("../kind-configs/kind-three-node.yaml", "workers: 2\n")];
        let sections = "\
cluster: three-node
flux: {version: 2.9.2, components: [source-controller, kustomize-controller, helm-controller, notification-controller, image-reflector-controller, image-automation-controller]}
- wait: {ready: fluxinstance/flux-system/flux}
- wait: {revision: head}
- wait: {ready: fluxinstance/flux-system/flux}
- sleep: {for: 10m, reason: soak}";
        insta::assert_snapshot!(estimate(sections, &profile), @"
        memory  about 2.0 GiB, 3 nodes
        time    about 11m34s, 10m20s of it slept, once images are cached
        steps   at most 28m, the sum of their deadlines
        ");
    }
}

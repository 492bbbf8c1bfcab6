//! `images`: where a step failed while a registry did not answer, the lab is to blame and not the migration.

use super::Invariant;
use crate::cluster::{Notice, facts};
use crate::event::Nanos;
use crate::fold::{RunState, Step};
use crate::verdict::{Evidence, Finding, Verdict};

/// The rule.
#[derive(Debug)]
pub struct Images;

/// Why a pod's container waits when its image cannot be had (kubelet's words).
const WAITING: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"];

/// What containerd says when nobody answered, or the one who did could not serve: the lab's trouble. An answer such as "not
/// found" or "unauthorized" is of the migration's making, and not listed.
const NO_ANSWER: [&str; 15] = [
    "connection refused",
    "connection reset",
    "no such host",
    "server misbehaving",
    "i/o timeout",
    "no route to host",
    "network is unreachable",
    "deadline exceeded",
    "tls: ",
    "EOF",
    "no space left on device",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "502 Bad Gateway",
    "503 Service Unavailable",
];

impl Invariant for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn demands(&self) -> &'static str {
        "no step fails for an image that no registry gave an answer about"
    }

    fn always(&self, run: &RunState) -> bool {
        refused(run).is_some()
    }

    fn judge(&self, run: &RunState) -> Finding {
        let Some((step, pod, at, notice)) = refused(run) else {
            return Finding::new(self.name(), Verdict::Inconclusive, "no step failed while an image was missing");
        };
        let message = format!("step {} failed while {pod} had no image: {}", step.index + 1, notice.message.trim());
        let mut finding = Finding::new(self.name(), Verdict::Infra, message);
        finding.details.push("hint: is the registry up, and does the cluster reach it? `--keep on-failure` keeps both".into());
        finding.evidence = vec![Evidence::Step(step.index), Evidence::At(at)];
        finding
    }
}

/// A step that failed, with a pod that had no image at its end and what was last said about that.
fn refused(run: &RunState) -> Option<(&Step, &str, Nanos, &Notice)> {
    let failed = run.own_steps().filter(|step| step.outcome.as_ref().is_some_and(|outcome| outcome.error().is_some()));
    failed.filter_map(|step| Some((step, step.ended?))).find_map(|(step, end)| {
        let pods = run.cluster.present_at(end).filter(|seen| {
            let waits = seen.facts.get(facts::WAITING);
            seen.object.starts_with("pod/") && waits.is_some_and(|why| WAITING.iter().any(|known| why.contains(known)))
        });
        pods.into_iter().find_map(|pod| {
            let said = run.cluster.notices.items.iter().rev();
            let of_it = said.filter(|(at, notice)| *at <= end && notice.object == pod.object);
            let (at, notice) = of_it.into_iter().find(|(_, n)| NO_ANSWER.iter().any(|words| n.message.contains(words)))?;
            Some((step, pod.object.as_str(), *at, notice))
        })
    })
}

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

    fn of_each_cluster(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let Some((step, pod, at, notice)) = refused(run) else {
            return Finding::new(self.name(), Verdict::Inconclusive, "no step failed while an image was missing");
        };
        let message = format!("step {} failed while {pod} had no image: {}", step.index + 1, notice.message.trim());
        let mut finding = Finding::new(self.name(), Verdict::Infra, message);
        finding
            .details
            .push("hint: is the registry up, and does the cluster reach it? `--keep on-failure` keeps both".into());
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
            let (at, notice) =
                of_it.into_iter().find(|(_, n)| NO_ANSWER.iter().any(|words| n.message.contains(words)))?;
            Some((step, pod.object.as_str(), *at, notice))
        })
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::event::{EventKind, Outcome};
    use crate::testing::{Record, SECOND};

    /// A step fails at 19.5 s while a pod waits, of which the kubelet says something.
    fn record(waiting: &str, said: &str) -> Record {
        let notice = Notice {
            object: "pod/apps/web-1".into(),
            warning: true,
            reason: "Failed".into(),
            message: format!("Failed to pull image \"registry.ferry:5001/web\": {said}"),
            count: 1,
            reporter: "kubelet".into(),
        };
        Record::good()
            .watched()
            .object(12 * SECOND, "pod/apps/web-1", |pod| pod.set(facts::WAITING, waiting))
            .with(13 * SECOND, EventKind::Notice(Box::new(notice)))
            .outcome(Outcome::Failed { error: "not ready".into(), hint: None })
    }

    const REFUSED: &str = "dial tcp 172.18.0.3:5001: connect: connection refused";

    #[rstest]
    #[case::nobody_answered(record("ImagePullBackOff", REFUSED), Verdict::Infra)]
    #[case::an_answer(record("ImagePullBackOff", "registry.ferry:5000/web:v9: not found"), Verdict::Inconclusive)]
    #[case::another_trouble(record("CrashLoopBackOff", REFUSED), Verdict::Inconclusive)]
    #[case::no_step_failed(record("ErrImagePull", REFUSED).outcome(Outcome::Done), Verdict::Inconclusive)]
    fn a_registry_that_does_not_answer_is_the_labs(#[case] record: Record, #[case] expected: Verdict) {
        let run = record.fold();
        assert_eq!((Images.judge(&run).verdict, Images.always(&run)), (expected, expected == Verdict::Infra));
    }

    #[test]
    fn says_what_was_said() {
        insta::assert_snapshot!(Images.judge(&record("ErrImagePull", REFUSED).fold()).message, @r#"step 3 failed while pod/apps/web-1 had no image: Failed to pull image "registry.ferry:5001/web": dial tcp 172.18.0.3:5001: connect: connection refused"#);
    }
}

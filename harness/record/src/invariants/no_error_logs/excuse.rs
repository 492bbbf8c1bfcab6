//! Errors of Flux' controllers that are known to be harmless, each with the reason why.

use crate::cluster::{ErrorLine, Parts};
use crate::event::Nanos;
use crate::fold::RunState;

/// How long after a pod of Flux began or ended errors may be those of its replacement: a new controller waits for the lease
/// of the old one for at most 35 s (Flux' `--leader-election-lease-duration`).
pub const REPLACING: Nanos = 35_000_000_000;

/// Why an error is no failure.
#[derive(Debug)]
pub struct Excuse {
    /// Texts that the error must have in it, all of them.
    texts: &'static [&'static str],
    /// Only while a pod of Flux is being replaced: at any other time it is an error like others.
    replacing: bool,
    /// In words.
    pub reason: &'static str,
}

const STOPPED: &str = "a controller that is being replaced dropped what it did, and its successor does it again";
const SERVER: &str = "the controller that was asked is being replaced, and is asked again";

/// Every excuse there is; the first that fits counts.
static EXCUSES: &[Excuse] = &[
    Excuse {
        texts: &["the object has been modified"],
        replacing: false,
        reason: "two wrote the same object at once, and the later one tries again",
    },
    Excuse {
        texts: &["Precondition failed: UID in precondition"],
        replacing: false,
        reason: "the object was deleted while it was being written",
    },
    Excuse {
        texts: &["pod metrics collection failed, the Metrics API is unavailable"],
        replacing: false,
        reason: "the cluster has no metrics-server, without which the operator's report has no figures of load",
    },
    Excuse {
        texts: &["falling back to extracting images from manifests", "unsupported registry"],
        replacing: false,
        reason: "the operator has no digests for registries other than upstream's, and takes images by their tags",
    },
    Excuse { texts: &["context canceled"], replacing: true, reason: STOPPED },
    Excuse { texts: &["leader election lost"], replacing: true, reason: STOPPED },
    Excuse { texts: &["failed waiting for all runnables to end"], replacing: true, reason: STOPPED },
    Excuse { texts: &["connection refused", "source-controller."], replacing: true, reason: SERVER },
    Excuse { texts: &["connection refused", "notification-controller."], replacing: true, reason: SERVER },
    Excuse { texts: &["connection refused", "source-watcher."], replacing: true, reason: SERVER },
];

/// Why an error that was logged at a moment is harmless, if it is.
pub fn excuse(run: &RunState, at: Nanos, line: &ErrorLine) -> Option<&'static Excuse> {
    let fits = |excuse: &&Excuse| excuse.texts.iter().all(|text| line.message.contains(text));
    EXCUSES.iter().filter(fits).find(|excuse| !excuse.replacing || is_replacing(run, at))
}

/// Whether a pod of Flux began or ended shortly before, or ended right after.
fn is_replacing(run: &RunState, t: Nanos) -> bool {
    /// What a controller logs while it stops is recorded before its pod is.
    const STOPPING: Nanos = 5_000_000_000;
    let recent = |at: Nanos| at <= t.saturating_add(STOPPING) && t <= at.saturating_add(REPLACING);
    let pods = run.cluster.objects().filter(|(object, _)| {
        let parts = Parts::of(object);
        parts.kind == "pod" && parts.namespace == Some(run.flux_namespace())
    });
    pods.flat_map(|(_, life)| {
        let states = life.states();
        let began = states.first().map(|state| state.at);
        let ended = states.iter().filter(|state| state.seen.as_ref().is_none_or(|seen| seen.deleting.is_some()));
        began.into_iter().chain(ended.map(|state| state.at))
    })
    .any(recent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const POD: &str = "pod/flux-system/source-controller-1";

    /// A pod of Flux is there from 1 s, and goes at 60 s.
    #[rstest]
    #[case::always("the object has been modified; please apply your changes", 200, true)]
    #[case::deleted("StorageError: invalid object, Code: 4, Precondition failed: UID in precondition: 1", 200, true)]
    #[case::stopping("Reconciler error: context canceled", 56, true)]
    #[case::long_before("Reconciler error: context canceled", 50, false)]
    #[case::starting("Reconciler error: context canceled", 95, true)]
    #[case::long_after("Reconciler error: context canceled", 96, false)]
    #[case::asked("GET http://source-controller.flux-system.svc/x: dial tcp: connection refused", 61, true)]
    #[case::asked_another("GET http://registry.example.com/x: dial tcp: connection refused", 61, false)]
    #[case::an_error("kustomize build failed", 61, false)]
    fn excused(#[case] message: &str, #[case] at: u64, #[case] expected: bool) {
        let run = Record::good().object(SECOND, POD, |_| {}).gone(60 * SECOND, POD).fold();
        let line = ErrorLine {
            pod: POD.into(),
            controller: "source-controller".into(),
            logged: String::new(),
            message: message.into(),
            object: None,
        };
        assert_eq!(excuse(&run, at * SECOND, &line).is_some(), expected);
    }

    #[test]
    fn a_pod_elsewhere_excuses_nothing() {
        let run = Record::good().object(60 * SECOND, "pod/apps/web-1", |_| {}).fold();
        assert!(!is_replacing(&run, 61 * SECOND));
    }
}

//! The cluster, folded: what was watched, every object's life, and what was said, logged and done on the way.

mod history;

use std::collections::BTreeMap;

use crate::cluster::{ErrorLine, Notice, ObjectSeen};
use crate::event::{Event, EventKind, Nanos};
use crate::intervals::Interval;

pub use history::{History, State};

/// Kubernetes events kept; the record has them all.
const MAX_NOTICES: usize = 5_000;

/// Error lines kept; the record has them all.
const MAX_ERRORS: usize = 2_000;

/// Times that an agent's clock was looked at, kept.
const MAX_CLOCKS: usize = 5_000;

/// Everything that the watches, and those who did something, told of the cluster.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClusterState {
    /// Watches by resource, e.g. `deployments.apps`.
    pub watches: BTreeMap<String, Watch>,
    /// Kubernetes events.
    pub notices: Latest<Notice>,
    /// Lines that controllers logged with level error.
    pub errors: Latest<ErrorLine>,
    /// Logs that were read, by pod.
    pub logs: BTreeMap<String, LogRead>,
    /// Revisions that were pushed, as Flux writes them.
    pub commits: Vec<(Nanos, String)>,
    /// Faults that were injected on purpose.
    pub faults: Vec<Fault>,
    /// What the probes were put to the test with.
    pub self_proofs: Vec<SelfProof>,
    /// How the agents' clocks stand to the run's.
    pub clocks: Latest<AgentClock>,
    objects: BTreeMap<String, History>,
    names: BTreeMap<String, String>,
}

/// The latest of a kind of message, bounded.
#[derive(Debug, Clone)]
pub struct Latest<T> {
    /// With the time of each, in order.
    pub items: Vec<(Nanos, T)>,
    /// Earlier ones, too many to keep.
    pub dropped: u64,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { items: Vec::new(), dropped: 0 }
    }
}

impl<T> Latest<T> {
    fn push(&mut self, t: Nanos, item: T, max: usize) {
        let before = self.items.len();
        super::push_bounded(&mut self.items, (t, item), max);
        self.dropped += (before + 1 - self.items.len()) as u64;
    }
}

/// The watch of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watch {
    /// From when on every object of it is known; `None` if it never was.
    pub started: Option<Nanos>,
    /// Times in which objects could come and go unseen.
    pub gaps: Vec<Gap>,
    /// When it ended and why, unless it was taken up again.
    pub ended: Option<(Nanos, String)>,
}

/// A time in which a watch saw nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// When.
    pub span: Interval,
    /// What broke the watch.
    pub reason: String,
    /// Every object was still there after it, under its UID, and no other had come.
    pub kept: bool,
}

/// How far a pod's log was read.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRead {
    /// When this was said last.
    pub at: Nanos,
    /// The controller.
    pub controller: String,
    /// Lines read.
    pub lines: u64,
    /// Those with level error.
    pub errors: u64,
    /// Why a part of it could not be read, if that was ever so.
    pub broken: Option<String>,
}

/// A fault that was injected on purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What kind, e.g. `cut`.
    pub fault: String,
    /// What was hit.
    pub target: String,
    /// When it was in effect for certain.
    pub span: Interval,
    /// How much earlier it may have begun, and later ended.
    pub margin: Nanos,
}

/// What the probes were put to the test with.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfProof {
    /// When it was known.
    pub at: Nanos,
    /// `rollout` or `outage`.
    pub check: String,
    /// Whether the probes said what was true.
    pub passed: bool,
    /// What was done, and what the probes said.
    pub message: String,
}

/// How the clock of an agent stood to the run's.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentClock {
    /// The agent.
    pub agent: String,
    /// The agent's clock minus the run's, in nanoseconds.
    pub offset: i64,
    /// How wrong the offset can be.
    pub uncertainty: Nanos,
}

impl ClusterState {
    /// Whether any resource was watched.
    pub fn is_watched(&self) -> bool {
        self.watches.values().any(|watch| watch.started.is_some())
    }

    /// Every object that was ever seen, by name.
    pub fn objects(&self) -> impl Iterator<Item = (&str, &History)> {
        self.objects.iter().map(|(object, history)| (object.as_str(), history))
    }

    /// The life of an object.
    pub fn history(&self, object: &str) -> Option<&History> {
        self.objects.get(object)
    }

    /// An object as it is now; `None` when it is gone or was never seen.
    pub fn get(&self, object: &str) -> Option<&ObjectSeen> {
        self.history(object)?.now()
    }

    /// An object as it was at a moment; `None` when it was not there, or not known of yet.
    pub fn at(&self, object: &str, t: Nanos) -> Option<&ObjectSeen> {
        self.history(object)?.at(t)
    }

    /// All objects that are there now.
    pub fn present(&self) -> impl Iterator<Item = &ObjectSeen> {
        self.objects.values().filter_map(History::now)
    }

    /// All objects that were there at a moment.
    pub fn present_at(&self, t: Nanos) -> impl Iterator<Item = &ObjectSeen> {
        self.objects.values().filter_map(move |history| history.at(t))
    }

    /// The object that has or had a UID, as it was last.
    pub fn by_uid(&self, uid: &str) -> Option<&ObjectSeen> {
        let states = self.history(self.names.get(uid)?)?.states();
        states.iter().rev().filter_map(|state| state.seen.as_ref()).find(|seen| seen.uid == uid)
    }

    /// The chain of owners of an object, its controller first, as far as they were seen.
    pub fn owners<'a>(&'a self, seen: &'a ObjectSeen) -> impl Iterator<Item = &'a ObjectSeen> {
        /// Pods of a Job of a CronJob of something else: nobody needs more, and a ring ends.
        const MAX_DEPTH: usize = 8;
        std::iter::successors(Some(seen), move |seen| seen.owners.iter().find_map(|owner| self.by_uid(&owner.uid)))
            .skip(1)
            .take(MAX_DEPTH)
    }

    pub(super) fn apply(&mut self, event: &Event) {
        let t = event.t;
        match &event.kind {
            EventKind::WatchStarted { resource } => {
                let watch = self.watches.entry(resource.clone()).or_default();
                watch.started.get_or_insert(t);
                if let Some((ended, reason)) = watch.ended.take() {
                    watch.gaps.push(Gap { span: Interval::new(ended, t), reason, kept: false });
                }
            }
            EventKind::WatchGap { resource, from, to, reason, kept } => {
                let gap = Gap { span: Interval::new(*from, *to), reason: reason.clone(), kept: *kept };
                self.watches.entry(resource.clone()).or_default().gaps.push(gap);
            }
            EventKind::WatchEnded { resource, reason } => {
                self.watches.entry(resource.clone()).or_default().ended = Some((t, reason.clone()));
            }
            EventKind::Object(seen) => {
                if !self.names.contains_key(&seen.uid) {
                    self.names.insert(seen.uid.clone(), seen.object.clone());
                }
                match self.objects.get_mut(&seen.object) {
                    Some(history) => history.see(t, seen),
                    None => self.objects.entry(seen.object.clone()).or_default().see(t, seen),
                }
            }
            EventKind::ObjectGone { object, uid, late } => {
                if let Some(history) = self.objects.get_mut(object) {
                    history.gone(t, uid, *late);
                }
            }
            EventKind::Notice(notice) => self.notices.push(t, notice.as_ref().clone(), MAX_NOTICES),
            EventKind::ErrorLogged(line) => self.errors.push(t, line.as_ref().clone(), MAX_ERRORS),
            EventKind::LogRead { pod, controller, lines, errors, broken } => {
                let before = self.logs.remove(pod).and_then(|read| read.broken);
                let (controller, broken) = (controller.clone(), before.or_else(|| broken.clone()));
                self.logs.insert(pod.clone(), LogRead { at: t, controller, lines: *lines, errors: *errors, broken });
            }
            EventKind::Committed { revision } => self.commits.push((t, revision.clone())),
            EventKind::Fault { fault, target, from, to, margin } => self.faults.push(Fault {
                fault: fault.clone(),
                target: target.clone(),
                span: Interval::new(*from, *to),
                margin: *margin,
            }),
            EventKind::SelfProof { check, passed, message } => self.self_proofs.push(SelfProof {
                at: t,
                check: check.clone(),
                passed: *passed,
                message: message.clone(),
            }),
            EventKind::AgentClock { agent, offset, uncertainty } => {
                let clock = AgentClock { agent: agent.clone(), offset: *offset, uncertainty: *uncertainty };
                self.clocks.push(t, clock, MAX_CLOCKS);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};

    #[test]
    fn a_watch_that_is_taken_up_again_has_a_gap() {
        let ended = EventKind::WatchEnded { resource: "pods".into(), reason: "forbidden".into() };
        let started = EventKind::WatchStarted { resource: "pods".into() };
        let run = Record::good().watched().with(10 * SECOND, ended).with(11 * SECOND, started).fold();
        let gap = Gap { span: Interval::new(10 * SECOND, 11 * SECOND), reason: "forbidden".into(), kept: false };
        assert_eq!(run.cluster.watches["pods"], Watch { started: Some(3 * SECOND), gaps: vec![gap], ended: None });
    }

    #[test]
    fn objects_are_found_by_name_time_and_uid() {
        let run = Record::good()
            .object(5 * SECOND, "deployment/apps/web", |_| {})
            .gone(12 * SECOND, "deployment/apps/web")
            .object(14 * SECOND, "deployment/apps/web", |_| {})
            .fold();
        let uid = |t| run.cluster.at("deployment/apps/web", t).map(|seen| seen.uid.as_str());
        assert_eq!(
            [4, 5, 12, 14].map(|s| uid(s * SECOND)),
            [None, Some("deployment/apps/web#1"), None, Some("deployment/apps/web#2")]
        );
        assert_eq!(run.cluster.by_uid("deployment/apps/web#1").unwrap().uid, "deployment/apps/web#1");
        assert_eq!(run.cluster.present().count(), 1);
        assert_eq!(run.cluster.present_at(13 * SECOND).count(), 0);
    }

    #[test]
    fn owners_are_followed_and_rings_end() {
        let run = Record::good()
            .object(5 * SECOND, "deployment/apps/web", |_| {})
            .object(5 * SECOND, "replicaset/apps/web-1", |o| o.owned_by("deployment/apps/web"))
            .object(5 * SECOND, "pod/apps/web-1-a", |o| o.owned_by("replicaset/apps/web-1"))
            .object(5 * SECOND, "pod/apps/ring", |o| o.owned_by("pod/apps/ring"))
            .fold();
        let owners = |object| {
            let seen = run.cluster.get(object).unwrap();
            run.cluster.owners(seen).map(|seen| seen.object.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(owners("pod/apps/web-1-a"), ["replicaset/apps/web-1", "deployment/apps/web"]);
        assert_eq!(owners("pod/apps/ring").len(), 8);
    }

    #[test]
    fn messages_are_bounded_and_the_rest_is_counted() {
        let mut cluster = ClusterState::default();
        let line = ErrorLine {
            pod: "pod/flux-system/source-controller-1".into(),
            controller: "source-controller".into(),
            logged: String::new(),
            message: "no".into(),
            object: None,
        };
        for t in 0..2_500 {
            cluster.apply(&Event { t, kind: EventKind::ErrorLogged(Box::new(line.clone())) });
        }
        assert!(cluster.errors.items.len() <= MAX_ERRORS);
        assert_eq!(cluster.errors.items.len() as u64 + cluster.errors.dropped, 2_500);
        assert_eq!(cluster.errors.items.last().map(|(t, _)| *t), Some(2_499));
    }

    #[test]
    fn a_log_that_was_once_broken_stays_so() {
        let read = |lines, broken: Option<&str>| EventKind::LogRead {
            pod: "pod/flux-system/a".into(),
            controller: "a".into(),
            lines,
            errors: 0,
            broken: broken.map(str::to_owned),
        };
        let run = Record::good().with(1, read(10, Some("timeout"))).with(2, read(20, None)).fold();
        let log = &run.cluster.logs["pod/flux-system/a"];
        assert_eq!((log.lines, log.broken.as_deref()), (20, Some("timeout")));
    }

    /// What the tear-down removes is not the migration's doing.
    #[test]
    fn nothing_counts_after_the_verdict() {
        let object = "deployment/apps/web";
        let mut run = Record::good().object(5 * SECOND, object, |_| {}).without_end().fold();
        let judgement = crate::verdict::judge_live(&run);
        let uid = run.cluster.get(object).unwrap().uid.clone();
        let gone = EventKind::ObjectGone { object: object.into(), uid, late: false };
        for kind in [EventKind::Verdict(judgement), gone] {
            run.apply(&Event { t: 21 * SECOND, kind });
        }
        assert!(run.cluster.get(object).is_some());
    }
}

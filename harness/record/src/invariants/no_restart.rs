//! `no-restart`: pods go on running.

use std::collections::BTreeMap;

use super::Invariant;
use super::observed::{Observed, finding, window};
use crate::cluster::{ObjectSeen, Parts, facts};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::{History, RunState};
use crate::verdict::{Finding, Verdict};

/// The rule.
#[derive(Debug)]
pub struct NoRestart;

impl Invariant for NoRestart {
    fn name(&self) -> &'static str {
        "no-restart"
    }

    fn demands(&self) -> &'static str {
        "no pod of the fleet is replaced, and none of their containers restarts"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let span = match window(self, run) {
            Ok(span) => span,
            Err(finding) => return finding,
        };
        let mut running = 0;
        let mut observed = Vec::new();
        for (object, history) in run.cluster.objects() {
            if Parts::of(object).kind != "pod" || !run.is_fleet(object) {
                continue;
            }
            let mut judged = None;
            if let Some(first) = history.at(span.from).filter(|pod| goes_on(pod)) {
                running += 1;
                judged = replaced(run, history, first);
            }
            // Pods that came later may come for a reason, but they do not restart for it.
            judged = judged.or_else(|| restarted(run, history, span.from));
            observed.extend(judged);
        }
        if running == 0 {
            let message = "no pod of the fleet was running when the migration began";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        finding(
            self,
            run,
            observed,
            |n| {
                format!(
                    "{} restarted or replaced, {} when the migration began",
                    fmt::count(n, "pod"),
                    fmt::number(running)
                )
            },
            format!("none of {} restarted or was replaced", fmt::count(running, "pod")),
        )
    }
}

/// Pods of Jobs, and those that are done or on their way out, end as they should.
fn goes_on(pod: &ObjectSeen) -> bool {
    let done = matches!(pod.fact(facts::PHASE), Some("Succeeded" | "Failed"));
    !done && pod.deleting.is_none() && !pod.owners.iter().any(|owner| owner.object.starts_with("job/"))
}

fn replaced(run: &RunState, history: &History, first: &ObjectSeen) -> Option<Observed> {
    let at = history.end_of(&first.uid).filter(|at| !run.meant(&first.object, *at))?;
    let what = match history.last() {
        Some(last) if last.uid != first.uid => format!("UID {} → {}", first.uid, last.uid),
        _ => format!("UID {} was deleted", first.uid),
    };
    Some(Observed::new(&first.object, at, what))
}

/// The first restart of one of a pod's containers.
fn restarted(run: &RunState, history: &History, from: Nanos) -> Option<Observed> {
    let mut before = history.at(from).map(Containers::of).unwrap_or_default();
    for state in history.after(from) {
        let Some(pod) = &state.seen else { continue };
        let now = Containers::of(pod);
        let what = before.restart(&now);
        before.take(now);
        if let Some(what) = what
            && !run.meant(&pod.object, state.at)
        {
            return Some(Observed::new(&pod.object, state.at, what));
        }
    }
    None
}

/// What tells that a container is not the one it was.
#[derive(Default)]
struct Containers<'a> {
    uid: &'a str,
    restarts: u64,
    started: BTreeMap<&'a str, &'a str>,
}

impl<'a> Containers<'a> {
    fn of(pod: &'a ObjectSeen) -> Self {
        let started = pod.fact(facts::STARTED).unwrap_or_default();
        Self {
            uid: &pod.uid,
            restarts: pod.fact(facts::RESTARTS).and_then(|n| n.parse().ok()).unwrap_or_default(),
            started: started.split(',').filter_map(|one| one.split_once('=')).collect(),
        }
    }

    fn restart(&self, now: &Self) -> Option<String> {
        if self.uid != now.uid {
            return None;
        }
        if self.restarts < now.restarts {
            return Some(format!("restarts {} → {}", self.restarts, now.restarts));
        }
        now.started.iter().find_map(|(container, time)| {
            let before = self.started.get(container).filter(|before| *before != time)?;
            Some(format!("container {container} started {before} → {time}"))
        })
    }

    /// A container that is down for the moment has no time of its start: the last one stays.
    fn take(&mut self, now: Self) {
        if self.uid != now.uid {
            *self = now;
            return;
        }
        self.restarts = now.restarts;
        self.started.extend(now.started);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const POD: &str = "pod/apps/web-1-a";

    fn started(time: &str) -> impl FnOnce(&mut ObjectSeen) {
        move |o| o.set(facts::STARTED, time)
    }

    fn restarts(record: Record, n: u32) -> Record {
        record.object(14 * SECOND, POD, |o| o.set(facts::RESTARTS, n))
    }

    #[rstest]
    #[case::runs_on(Record::migrated(), Verdict::Pass, "none of 1 pod restarted or was replaced")]
    #[case::changes_otherwise(Record::migrated().object(14 * SECOND, POD, |o| o.set(facts::READY, false)), Verdict::Pass,
        "none of 1 pod restarted or was replaced")]
    #[case::restarts(
        restarts(Record::migrated(), 1),
        Verdict::Fail,
        "1 pod restarted or replaced, 1 when the migration began"
    )]
    #[case::started_anew(Record::migrated().object(14 * SECOND, POD, started("")).object(15 * SECOND, POD, started("web=2026-11-21T12:00:15Z")),
        Verdict::Fail, "1 pod restarted or replaced, 1 when the migration began")]
    #[case::replaced(Record::migrated().gone(14 * SECOND, POD), Verdict::Fail, "1 pod restarted or replaced, 1 when the migration began")]
    #[case::a_later_one_restarts(
        Record::migrated().object(12 * SECOND, "pod/apps/web-1-b", |o| o.set(facts::RESTARTS, 0))
            .object(14 * SECOND, "pod/apps/web-1-b", |o| o.set(facts::RESTARTS, 1)),
        Verdict::Fail, "1 pod restarted or replaced, 1 when the migration began")]
    #[case::replaced_as_meant(Record::migrated().gone(14 * SECOND, POD).changes(1, &["deployment/apps/web"]), Verdict::Pass,
        "none of 1 pod restarted or was replaced")]
    #[case::anothers_change(restarts(Record::migrated(), 1).changes(1, &["deployment/apps/db"]), Verdict::Fail,
        "1 pod restarted or replaced, 1 when the migration began")]
    #[case::fluxs_own(Record::migrated().object(5 * SECOND, "pod/flux-system/a", |_| {}).gone(14 * SECOND, "pod/flux-system/a"), Verdict::Pass,
        "none of 1 pod restarted or was replaced")]
    #[case::jobs_end(Record::migrated().object(5 * SECOND, "pod/apps/job", |o| o.owned_by("job/apps/job")).gone(14 * SECOND, "pod/apps/job"),
        Verdict::Pass, "none of 1 pod restarted or was replaced")]
    #[case::no_pods(Record::good().watched(), Verdict::Inconclusive, "no pod of the fleet was running when the migration began")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = NoRestart.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[rstest]
    #[case::restarts(
        restarts(Record::migrated(), 2),
        "restarts 0 → 2 at 12:00:14.000 (+0:14.000); phase take over, step 3 (wait it)"
    )]
    #[case::started(Record::migrated().object(14 * SECOND, POD, started("web=2026-11-21T12:00:14Z")),
        "container web started 2026-11-21T12:00:08Z → 2026-11-21T12:00:14Z at 12:00:14.000 (+0:14.000); phase take over, step 3 (wait it)")]
    #[case::deleted(Record::migrated().object(13 * SECOND, POD, |o| o.deleting = Some("now".into())).gone(19 * SECOND, POD),
        "UID pod/apps/web-1-a#1 was deleted at 12:00:13.000 (+0:13.000); phase take over, step 3 (wait it)")]
    #[case::of_the_same_name(Record::migrated().gone(14 * SECOND, POD).object(15 * SECOND, POD, |_| {}),
        "UID pod/apps/web-1-a#1 → pod/apps/web-1-a#2 at 12:00:14.000 (+0:14.000); phase take over, step 3 (wait it)")]
    fn details(#[case] record: Record, #[case] expected: &str) {
        assert_eq!(NoRestart.judge(&record.fold()).details, [format!("{POD}: {expected}")]);
    }
}

//! `one-owner`: objects change hands once, and come to rest.

use super::Invariant;
use super::observed::{Observed, finding, window};
use super::same_uid::lasts;
use crate::cluster::ObjectSeen;
use crate::event::Nanos;
use crate::fmt;
use crate::fold::{History, RunState};
use crate::intervals::Interval;
use crate::verdict::{Finding, Verdict};

/// Returns of an earlier owner that make a fight: one is a hand-over that was taken back, as a rollback does.
const FIGHT: usize = 2;

/// How long before the end everything has to be at rest.
const REST: Nanos = 10_000_000_000;

/// Changes of the spec within [`REST`] that are no rest.
const RESTLESS_CHANGES: usize = 3;

/// Writes of any kind within [`REST`] that are no rest: a controller that retries every second writes less.
const RESTLESS_WRITES: usize = 50;

/// Turns of a fight that are told.
const MAX_TURNS: usize = 6;

/// The rule.
#[derive(Debug)]
pub struct OneOwner;

impl Invariant for OneOwner {
    fn name(&self) -> &'static str {
        "one-owner"
    }

    fn demands(&self) -> &'static str {
        "no two owners take an object from each other again and again, and all objects come to rest"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let (span, busy) = match (window(self, run), run.watched_window()) {
            (Err(finding), _) => return finding,
            (Ok(span), busy) => (span, busy.unwrap_or(span)),
        };
        let mut judged = 0;
        let mut observed = Vec::new();
        for (object, history) in run.cluster.objects() {
            if !history.last().is_some_and(|seen| is_judged(run, seen)) {
                continue;
            }
            judged += 1;
            observed.extend(fight(run, object, span).or_else(|| restless(run, object, history, busy)));
        }
        if judged == 0 {
            let message = "no object of the fleet or of Flux was ever seen";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        let of = fmt::count(judged, "object");
        finding(
            self,
            run,
            observed,
            |n| format!("{n} of {of} fought over or not at rest"),
            format!("{of} at rest, each with its owner"),
        )
    }
}

fn is_judged(run: &RunState, seen: &ObjectSeen) -> bool {
    let of_somebody = seen.is_flux() || seen.is_flux_component() || run.is_fleet(&seen.object);
    of_somebody && lasts(seen)
}

/// Owners, writers or values that come back again and again.
fn fight(run: &RunState, object: &str, span: Interval) -> Option<Observed> {
    let ownership = run.ownership(object, span);
    let owners: Vec<_> = ownership.owners.iter().map(|(at, owner)| (*at, or_nobody(owner))).collect();
    let writers = ownership.writers();
    let told = |what: &str, turns: &[(Nanos, &str)]| {
        let turns: Vec<_> = turns.iter().map(|(_, turn)| *turn).collect();
        let left_out = if turns.len() > MAX_TURNS { "… → " } else { "" };
        format!("{what} {left_out}{}", turns[turns.len().saturating_sub(MAX_TURNS)..].join(" → "))
    };
    if let Some(at) = nth_return(&owners) {
        return Some(Observed::new(object, at, told("labelled as owned by", &owners)));
    }
    if let Some(at) = nth_return(&writers) {
        return Some(Observed::new(object, at, told("written by", &writers)));
    }
    // One writer alone may change its mind, as an autoscaler does; who is not known may be two.
    let alone = writers.len() == 1 && ownership.changes.iter().all(|change| change.writer.is_some());
    let values = ownership.values();
    let at = nth_return(&values).filter(|_| !alone)?;
    Some(Observed::new(object, at, format!("changed back and forth {} times", values.len() - 1)))
}

fn or_nobody(owner: &str) -> &str {
    if owner.is_empty() { "nobody" } else { owner }
}

/// When somebody who had had his turn before came back for the [`FIGHT`]th time.
fn nth_return(turns: &[(Nanos, &str)]) -> Option<Nanos> {
    let again =
        turns.iter().enumerate().filter(|(i, (_, turn))| turns[..*i].iter().any(|(_, earlier)| earlier == turn));
    again.map(|(_, (at, _))| *at).nth(FIGHT - 1)
}

/// Changes up to the very end of the last phase.
fn restless(run: &RunState, object: &str, history: &History, busy: Interval) -> Option<Observed> {
    let rest = Interval::new(busy.to.saturating_sub(REST).max(busy.from), busy.to.saturating_add(1));
    let changes = run.ownership(object, rest).changes.iter().filter(|change| change.at > rest.from).count();
    if changes >= RESTLESS_CHANGES {
        let what = format!("still changed {changes} times in the last {}", fmt::duration(rest.len()));
        return Some(Observed::new(object, history.states().last()?.at, what));
    }
    let writes: Vec<_> = history.writes().filter(|at| rest.contains(*at) && !run.meant(object, *at)).collect();
    let last = *writes.last().filter(|_| writes.len() >= RESTLESS_WRITES)?;
    let what = format!("still written {} times in the last {}", writes.len(), fmt::duration(rest.len()));
    Some(Observed::new(object, last, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts;
    use crate::testing::{MS, Record, SECOND, adopted};
    use rstest::rstest;

    const CONTROLLER: &str = "deployment/flux-system/source-controller";
    const WEB: &str = "deployment/apps/web";
    const AT_REST: &str = "12 objects at rest, each with its owner";

    /// Kustomization and FluxInstance in turn, every 400 ms from 14 s on.
    fn labels(turns: u64) -> Record {
        (0..turns).fold(Record::migrated(), |record, i| {
            record.object(14 * SECOND + i * 400 * MS, CONTROLLER, |o| match i % 2 {
                0 => o.applied_by("flux-system"),
                _ => adopted(o),
            })
        })
    }

    /// One field, written by the writers in turn from 14 s on, each with a time of its own.
    fn written(by: &[&str], every: u64) -> Record {
        (0..).zip(by).fold(Record::migrated(), |record, (i, manager)| {
            record.object(14 * SECOND + i * every, WEB, |o| {
                o.set(facts::SPEC, manager);
                o.managed(manager, "Apply");
                o.managers[0].time = format!("2026-11-21T12:00:{:02}Z", 14 + i);
            })
        })
    }

    /// Values in turn, with nothing that tells who writes.
    fn values(values: &[&str], writer: &str) -> Record {
        (0..).zip(values).fold(Record::migrated(), |record, (i, value)| {
            record.object((10 + i) * SECOND, WEB, |o| {
                o.set(facts::SPEC, value);
                o.managed(writer, "Apply");
                o.managers[0].fields = if writer.is_empty() { "f1".into() } else { format!("f{i}") };
            })
        })
    }

    #[rstest]
    #[case::one_hand_over(Record::migrated(), Verdict::Pass, AT_REST)]
    #[case::taken_back_once(labels(2), Verdict::Pass, AT_REST)]
    #[case::labels_in_turn(labels(4), Verdict::Fail, "1 of 12 objects fought over or not at rest")]
    #[case::another_writer(written(&["helm-controller"], SECOND), Verdict::Pass, AT_REST)]
    #[case::writers_in_turn(written(&["kubectl", "kustomize-controller", "kubectl"], SECOND), Verdict::Fail,
        "1 of 12 objects fought over or not at rest")]
    #[case::writers_in_turn_as_meant(written(&["kubectl", "kustomize-controller", "kubectl"], SECOND).changes(1, &[WEB]), Verdict::Pass, AT_REST)]
    #[case::values_in_turn(values(&["b", "s1", "b"], ""), Verdict::Fail, "1 of 12 objects fought over or not at rest")]
    #[case::one_writer_in_two_minds(values(&["b", "c"], "kustomize-controller"), Verdict::Pass, AT_REST)]
    #[case::nothing_there(Record::good().watched(), Verdict::Inconclusive, "no object of the fleet or of Flux was ever seen")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = OneOwner.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message), "{:#?}", finding.details);
    }

    #[rstest]
    #[case::labels(
        labels(4),
        "labelled as owned by kustomization/flux-system/flux-system → fluxinstance/flux-system/flux → \
        kustomization/flux-system/flux-system + fluxinstance/flux-system/flux → fluxinstance/flux-system/flux → \
        kustomization/flux-system/flux-system + fluxinstance/flux-system/flux → fluxinstance/flux-system/flux \
        at 12:00:14.800 (+0:14.800)"
    )]
    #[case::writers(written(&["kubectl", "kustomize-controller", "kubectl", "kustomize-controller"], SECOND),
        "written by kustomize-controller → kubectl → kustomize-controller → kubectl → kustomize-controller at 12:00:16.000 (+0:16.000)")]
    #[case::many(written(&["a", "b", "a", "b", "a", "b", "a"], 100 * MS),
        "written by … → b → a → b → a → b → a at 12:00:14.300 (+0:14.300)")]
    #[case::values(values(&["b", "s1", "b"], ""), "changed back and forth 3 times at 12:00:12.000 (+0:12.000)")]
    fn details(#[case] record: Record, #[case] expected: &str) {
        let finding = OneOwner.judge(&record.fold());
        assert!(finding.details[0].contains(&format!(": {expected};")), "{}", finding.details[0]);
    }

    #[rstest]
    #[case::changes((0..3).fold(Record::migrated(), |record, i| record.object((15 + i) * SECOND, WEB, |o| o.set(facts::SPEC, i))),
        "still changed 3 times in the last 10.0 s")]
    #[case::writes((0..60).fold(Record::migrated(), |record, i| record.object(15 * SECOND + i * 50 * MS, WEB, |_| {})),
        "still written 60 times in the last 10.0 s")]
    fn no_rest(#[case] record: Record, #[case] expected: &str) {
        let finding = OneOwner.judge(&record.fold());
        assert!(finding.details[0].contains(expected), "{}", finding.details[0]);
        assert_eq!(OneOwner.judge(&record.changes(1, &[WEB]).fold()).verdict, Verdict::Pass);
    }
}

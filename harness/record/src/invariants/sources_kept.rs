//! `sources-kept`: Flux' sources stay the same, and what they give is never away for long.

use super::Invariant;
use super::observed::{Observed, finding, window};
use crate::cluster::{ObjectSeen, facts};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::{RunState, State};
use crate::verdict::{Finding, Verdict};

/// The API group of all of Flux' sources.
const SOURCES: &str = "source.toolkit.fluxcd.io";

/// How long a source may be without its artifact: source-controller keeps artifacts in its pod unless it has a volume, and a
/// new pod fetches them again, one after the other. What was applied from them stays meanwhile.
pub const REFETCHED: Nanos = 60_000_000_000;

/// The rule.
#[derive(Debug)]
pub struct SourcesKept;

impl Invariant for SourcesKept {
    fn name(&self) -> &'static str {
        "sources-kept"
    }

    fn demands(&self) -> &'static str {
        "no source of Flux is deleted or made anew, or is without its artifact for more than a minute"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let span = match window(self, run) {
            Ok(span) => span,
            Err(finding) => return finding,
        };
        let sources: Vec<_> = run.cluster.present_at(span.from).filter(|seen| seen.group() == SOURCES).collect();
        if sources.is_empty() {
            let message = "no source of Flux was there when the migration began";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        let observed = sources.iter().filter_map(|seen| lost(run, seen, span.from)).collect();
        let of = fmt::count(sources.len() as u64, "source");
        finding(
            self,
            run,
            observed,
            |n| format!("{n} of {of} or what they give lost"),
            format!("{of} kept, with their artifacts"),
        )
    }
}

/// The first loss of a source.
fn lost(run: &RunState, first: &ObjectSeen, from: Nanos) -> Option<Observed> {
    let mut artifact = first.fact(facts::ARTIFACT);
    let later = run.cluster.history(&first.object)?.after(from);
    for (i, state) in later.iter().enumerate() {
        let what = match &state.seen {
            None => Some(format!("UID {} was deleted", first.uid)),
            Some(seen) if seen.uid != first.uid => Some(format!("UID {} → {}", first.uid, seen.uid)),
            Some(seen) => {
                let before = std::mem::replace(&mut artifact, seen.fact(facts::ARTIFACT));
                let lost = before.filter(|_| artifact.is_none() && !comes_back(run, state.at, &later[i + 1..]));
                lost.map(|before| format!("artifact {before} → none"))
            }
        };
        // Once another has been put in its place on purpose, that one is not the source of the baseline any more.
        let meant = run.meant(&first.object, state.at);
        match what {
            Some(what) if !meant => return Some(Observed::new(&first.object, state.at, what)),
            Some(_) if state.seen.as_ref().is_none_or(|seen| seen.uid != first.uid) => return None,
            _ => {}
        }
    }
    None
}

/// Whether an artifact that was lost at a moment is there again in time.
fn comes_back(run: &RunState, lost: Nanos, later: &[State]) -> bool {
    let has = |state: &&State| state.seen.as_ref().is_some_and(|seen| seen.fact(facts::ARTIFACT).is_some());
    let back = later.iter().find(has).map_or(Nanos::MAX, |state| state.at);
    back <= run.known_until() && back.saturating_sub(lost) <= REFETCHED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const GIT: &str = "gitrepository/flux-system/flux-system";

    fn without_artifact(at: u64) -> Record {
        Record::migrated().object(at * SECOND, GIT, |o| _ = o.facts.remove(facts::ARTIFACT))
    }

    #[rstest]
    #[case::kept(Record::migrated(), Verdict::Pass, "1 source kept, with their artifacts")]
    #[case::another_artifact(Record::migrated().object(14 * SECOND, GIT, |o| o.set(facts::ARTIFACT, "http://b")), Verdict::Pass,
        "1 source kept, with their artifacts")]
    #[case::fetched_again(without_artifact(14).object(15 * SECOND, GIT, |o| o.set(facts::ARTIFACT, "http://b")), Verdict::Pass,
        "1 source kept, with their artifacts")]
    #[case::no_artifact(without_artifact(14), Verdict::Fail, "1 of 1 source or what they give lost")]
    #[case::deleted(Record::migrated().gone(14 * SECOND, GIT), Verdict::Fail, "1 of 1 source or what they give lost")]
    #[case::anew(Record::migrated().gone(14 * SECOND, GIT).object(15 * SECOND, GIT, |_| {}), Verdict::Fail,
        "1 of 1 source or what they give lost")]
    #[case::meant(Record::migrated().gone(14 * SECOND, GIT).object(15 * SECOND, GIT, |_| {}).changes(1, &[GIT]), Verdict::Pass,
        "1 source kept, with their artifacts")]
    #[case::never_had_one(
        Record::migrated().object(5 * SECOND, "helmrepository/apps/charts", |_| {})
            .object(14 * SECOND, "helmrepository/apps/charts", |o| o.set(facts::SPEC, "b")),
        Verdict::Pass, "2 sources kept, with their artifacts")]
    #[case::no_sources(Record::good().watched(), Verdict::Inconclusive, "no source of Flux was there when the migration began")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = SourcesKept.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn a_lost_artifact_is_named() {
        let finding = SourcesKept.judge(&without_artifact(14).fold());
        insta::assert_snapshot!(finding.details.join("\n"), @"gitrepository/flux-system/flux-system: artifact http://source-controller/flux-system.tar.gz → none at 12:00:14.000 (+0:14.000); phase take over, step 3 (wait it)");
    }
}

//! `reconciles`: what is committed is applied, before, during and after the migration.

use super::Invariant;
use super::observed::window;
use crate::event::Nanos;
use crate::fmt;
use crate::fold::{Commit, RunState};
use crate::verdict::{Evidence, Finding, Verdict};

/// How long a commit may take until someone has applied it: three minutes.
///
/// A source that `flux bootstrap` made asks every minute, its Kustomization is told at once, and what is applied has to
/// become ready; a third minute is for a controller that is being replaced just then.
pub const BOUND: Nanos = 180_000_000_000;

/// The rule.
#[derive(Debug)]
pub struct Reconciles;

impl Invariant for Reconciles {
    fn name(&self) -> &'static str {
        "reconciles"
    }

    fn demands(&self) -> &'static str {
        "each commit in the migration is applied within 3 minutes"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let window = match window(self, run) {
            Ok(window) => window,
            Err(finding) => return finding,
        };
        let commits: Vec<Commit> = run.commits().into_iter().filter(|commit| commit.at >= window.from).collect();
        let mut finding = Finding::new(self.name(), Verdict::Pass, "");
        let (mut late, mut open, mut slowest) = (0, 0, 0);
        for commit in &commits {
            finding.details.push(describe(run, commit));
            finding.evidence.push(match commit.applied.first() {
                Some(first) => Evidence::Object { object: first.object.clone(), at: first.at },
                None => Evidence::At(commit.at),
            });
            match commit.took() {
                Some(took) if took <= BOUND => slowest = slowest.max(took),
                // Whoever is judged before the time is up may still come to it.
                None if window.to.saturating_sub(commit.at) < BOUND => open += 1,
                Some(_) | None => late += 1,
            }
        }
        let all = commits.len() as u64;
        (finding.verdict, finding.message) = if late > 0 {
            let bound = fmt::duration(BOUND);
            (
                Verdict::Fail,
                format!("{} of {} not applied within {bound}", fmt::number(late), fmt::count(all, "commit")),
            )
        } else if open > 0 {
            let of = fmt::count(all, "commit");
            (Verdict::Inconclusive, format!("{} of {of} not applied yet when the run was judged", fmt::number(open)))
        } else if all == 0 {
            (Verdict::Inconclusive, "nothing was committed: nothing shows that Flux still applies commits".into())
        } else {
            (
                Verdict::Pass,
                format!("{} applied, the slowest after {}", fmt::count(all, "commit"), fmt::duration(slowest)),
            )
        };
        finding
    }
}

/// A commit in a line: when it was pushed, and how long it took until who had applied it.
fn describe(run: &RunState, commit: &Commit) -> String {
    let pushed = format!("{} pushed at {}", commit.revision, run.when(commit.at));
    match commit.took() {
        Some(took) => format!("{pushed}: applied after {} by {}", fmt::precise(took), describe_applied(commit)),
        None => format!("{pushed}: not applied"),
    }
}

/// Who had applied a commit; empty when nobody had.
pub(crate) fn describe_applied(commit: &Commit) -> String {
    let Some(first) = commit.applied.first() else { return String::new() };
    let others = match commit.applied.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let later = if commit.with_later { ", with a later commit" } else { "" };
    format!("{}{others}{later}", first.object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const APPS: &str = "kustomization/flux-system/apps";

    fn committed(at: u64) -> Record {
        let applied = |o: &mut crate::cluster::ObjectSeen| o.set(facts::APPLIED, "main@sha1:000");
        Record::good().watched().object(5 * SECOND, APPS, applied).commit(at * SECOND, "main@sha1:4d1f0a2")
    }

    fn applied(record: Record, at: u64) -> Record {
        record.object(at * SECOND, APPS, |o| o.set(facts::APPLIED, "main@sha1:4d1f0a2"))
    }

    /// The run is judged much later.
    fn later(record: Record) -> Record {
        record.with(300 * SECOND, crate::EventKind::Unknown)
    }

    #[rstest]
    #[case::applied(applied(committed(12), 15), Verdict::Pass, "1 commit applied, the slowest after 3.0 s")]
    #[case::too_late(later(applied(committed(12), 193)), Verdict::Fail, "1 of 1 commit not applied within 3m00s")]
    #[case::never(later(committed(12)), Verdict::Fail, "1 of 1 commit not applied within 3m00s")]
    #[case::not_yet(committed(12), Verdict::Inconclusive, "1 of 1 commit not applied yet when the run was judged")]
    #[case::one_of_two(later(applied(committed(12), 15).commit(16 * SECOND, "main@sha1:9c3b7e1")), Verdict::Fail,
        "1 of 2 commits not applied within 3m00s")]
    #[case::before_the_migration(
        applied(committed(6), 8),
        Verdict::Inconclusive,
        "nothing was committed: nothing shows that Flux still applies commits"
    )]
    #[case::not_watched(Record::good().commit(12 * SECOND, "main@sha1:1"), Verdict::Inconclusive,
        "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = Reconciles.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn each_commit_is_dated() {
        let finding = Reconciles.judge(&applied(committed(12), 15).commit(16 * SECOND, "main@sha1:9c3b7e1").fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        main@sha1:4d1f0a2 pushed at 12:00:12.000 (+0:12.000): applied after 3.000 s by kustomization/flux-system/apps
        main@sha1:9c3b7e1 pushed at 12:00:16.000 (+0:16.000): not applied
        ");
    }
}

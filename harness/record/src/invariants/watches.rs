//! `watches`: the cluster was watched from before the migration to its end without a gap.

use super::Invariant;
use super::observed::{going_on, window};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::{Gap, RunState};
use crate::intervals::{Interval, IntervalSet};
use crate::verdict::{Evidence, Finding, Verdict};

/// Resources that have to be watched from before the migration on; those that Flux defines come with it.
pub(crate) const WATCHED: [&str; 8] = [
    "namespaces",
    "pods",
    "services",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "replicasets.apps",
    "customresourcedefinitions.apiextensions.k8s.io",
];

/// How long after its definition the watch of a custom resource may start: the API server has to serve it first.
const DEFINED: Nanos = 5_000_000_000;

/// The longest gap that hides nothing that is judged, if every object was still there after it: what rules judge by (UIDs,
/// generations, restarts, definitions) shows afterwards, and what went back and forth in so short a time does so again. The
/// API server makes such gaps itself: it forgets a custom resource's past when the definition changes, as in every upgrade. A
/// resource of which nothing is heard gives a sign of life every 5 s, and a gap begins at the last: two of them, and what the list
/// takes on a busy machine (10.1 s was seen).
pub const BRIDGED: Nanos = 15_000_000_000;

/// The rule.
#[derive(Debug)]
pub struct Watches;

impl Invariant for Watches {
    fn name(&self) -> &'static str {
        "watches"
    }

    fn demands(&self) -> &'static str {
        "the objects of the fleet and of Flux are watched throughout the migration without a gap"
    }

    /// It is evidence for others: what they saw is all there was.
    fn always(&self, run: &RunState) -> bool {
        let asked = super::TABLE.iter().any(|rule| rule.reads_watches() && super::is_asked(run, rule.name()));
        asked || super::own_rules::read_watches(run)
    }

    fn of_each_cluster(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        if let Err(finding) = window(self, run) {
            return finding;
        }
        let Some(span) = run.watched_window() else {
            return Finding::new(self.name(), Verdict::Inconclusive, "there was nothing to watch");
        };
        let mut blind = not_watched(run, span);
        blind.extend(gaps(run, span));
        blind.extend(forgotten(run));

        let watched = run.cluster.watches.values().filter(|watch| watch.started.is_some()).count();
        let mut finding = Finding::new(
            self.name(),
            Verdict::Pass,
            format!("{} watched throughout without a gap", fmt::count(watched as u64, "resource")),
        );
        if let Some((_, first)) = blind.first() {
            finding.verdict = Verdict::Inconclusive;
            finding.message = match blind.len() {
                1 => first.clone(),
                2 => format!("{first}, and one more thing was not seen"),
                n => format!("{first}, and {} more things were not seen", n - 1),
            };
        }
        for (at, line) in blind {
            finding.details.push(line + &going_on(run, at));
            finding.evidence.push(Evidence::At(at));
        }
        finding
    }
}

/// Resources that matter and were not watched from the start to the end.
fn not_watched(run: &RunState, span: Interval) -> Vec<(Nanos, String)> {
    let core = WATCHED.iter().map(|resource| ((*resource).to_owned(), span.from));
    let custom =
        run.cluster.objects().filter(|(object, _)| run.is_flux_definition(object)).filter_map(|(object, life)| {
            let first = life.states().first()?.at;
            // Late is in time for a resource that did not exist before.
            Some((object.split_once('/')?.1.to_owned(), span.from.max(first.saturating_add(DEFINED))))
        });
    let mut blind = Vec::new();
    for (resource, from) in core.chain(custom) {
        let watch = run.cluster.watches.get(&resource);
        match watch.and_then(|watch| watch.started) {
            None => blind.push((span.from, format!("{resource} were not watched"))),
            Some(started) if started > from => {
                blind.push((from, format!("{resource} were not watched before {}", run.when(started))));
            }
            Some(_) => {}
        }
    }
    for (resource, watch) in &run.cluster.watches {
        let undefined =
            run.cluster.history(&format!("customresourcedefinition/{resource}")).is_some_and(|d| d.now().is_none());
        if let Some((ended, reason)) = &watch.ended
            && *ended < span.to
            && !undefined
        {
            blind.push((*ended, format!("{resource} were not watched after {}: {reason}", run.when(*ended))));
        }
    }
    blind
}

/// As a fault names the API server, which is killed wherever it runs.
const API_SERVER: &str = "kube-apiserver";

/// How much of a gap there was no API server: nothing can come, go or change then.
fn nobody_wrote(run: &RunState, gap: &Interval) -> Nanos {
    let mut down = IntervalSet::default();
    for fault in run.cluster.faults.iter().filter(|fault| fault.fault == "kill" && fault.target == API_SERVER) {
        down.insert(Interval::new(fault.span.from.max(gap.from), fault.span.to.min(gap.to)));
    }
    down.total()
}

fn gaps(run: &RunState, span: Interval) -> impl Iterator<Item = (Nanos, String)> {
    run.cluster.watches.iter().flat_map(move |(resource, watch)| {
        let blind = move |gap: &&Gap| {
            let bridged = gap.kept && gap.span.len() - nobody_wrote(run, &gap.span) <= BRIDGED;
            gap.span.overlaps(&span) && !bridged && !undefined(run, resource, gap)
        };
        watch.gaps.iter().filter(blind).map(move |gap| {
            let (length, from) = (fmt::precise(gap.span.len()), run.when(gap.span.from));
            (gap.span.from, format!("{resource} were not seen for {length} from {from}: {}", gap.reason))
        })
    })
}

/// Whether a gap is the time without the resource's definition: then there are no objects to see.
fn undefined(run: &RunState, resource: &str, gap: &Gap) -> bool {
    let definition = run.cluster.history(&format!("customresourcedefinition/{resource}"));
    let gone = |at: Nanos| at.saturating_add(DEFINED) >= gap.span.from && at <= gap.span.to;
    definition.is_some_and(|life| life.states().iter().any(|state| state.seen.is_none() && gone(state.at)))
}

/// Objects that changed more often than is kept.
fn forgotten(run: &RunState) -> impl Iterator<Item = (Nanos, String)> {
    run.cluster
        .objects()
        .filter(|(object, life)| life.forgotten() > 0 && (run.is_fleet(object) || run.is_flux(object)))
        .filter_map(|(object, life)| {
            let at = life.states().last()?.at;
            Some((
                at,
                format!(
                    "{object} changed too often: {} in between were not kept",
                    fmt::count(life.forgotten(), "state")
                ),
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const PODS: &str = "pods";
    const KUSTOMIZATIONS: &str = "kustomizations.kustomize.toolkit.fluxcd.io";

    fn gap(from: u64, to: u64) -> EventKind {
        let (from, to) = (from * SECOND, to * SECOND);
        EventKind::WatchGap { resource: PODS.into(), from, to, reason: "410 Gone".into(), kept: false }
    }

    /// A gap after which every object was still there.
    fn kept(from: u64, to: u64) -> EventKind {
        match gap(from, to) {
            EventKind::WatchGap { resource, from, to, reason, .. } => {
                EventKind::WatchGap { resource, from, to, reason, kept: true }
            }
            other => other,
        }
    }

    fn killed(target: &str, from: u64, to: u64) -> EventKind {
        let (fault, target) = ("kill".to_owned(), target.to_owned());
        EventKind::Fault { fault, target, from: from * SECOND, to: to * SECOND, margin: 0 }
    }

    fn ended(resource: &str) -> EventKind {
        EventKind::WatchEnded { resource: resource.into(), reason: "not found".into() }
    }

    fn defined(at: u64) -> Record {
        Record::good().watched().object(at * SECOND, &format!("customresourcedefinition/{KUSTOMIZATIONS}"), |_| {})
    }

    #[rstest]
    #[case::throughout(Record::good().watched(), Verdict::Pass, "8 resources watched throughout without a gap")]
    #[case::not_at_all(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    #[case::one_alone(Record::good().watch(1, PODS), Verdict::Inconclusive, "namespaces were not watched, and 6 more things were not seen")]
    #[case::gap_before(Record::good().watched().with(9 * SECOND, gap(7, 9)), Verdict::Pass, "8 resources watched throughout without a gap")]
    #[case::gap(Record::good().watched().with(14 * SECOND, gap(12, 14)), Verdict::Inconclusive,
        "pods were not seen for 2.000 s from 12:00:12.000 (+0:12.000): 410 Gone")]
    #[case::bridged(Record::good().watched().with(14 * SECOND, kept(12, 14)), Verdict::Pass, "8 resources watched throughout without a gap")]
    #[case::too_long_to_bridge(Record::good().watched().with(28 * SECOND, kept(12, 28)), Verdict::Inconclusive,
        "pods were not seen for 16.000 s from 12:00:12.000 (+0:12.000): 410 Gone")]
    #[case::without_an_api_server(
        Record::good().watched().with(16 * SECOND, killed("kube-apiserver", 13, 16)).with(28 * SECOND, kept(12, 28)),
        Verdict::Pass, "8 resources watched throughout without a gap")]
    #[case::without_something_else(
        Record::good().watched().with(16 * SECOND, killed("git", 13, 16)).with(28 * SECOND, kept(12, 28)), Verdict::Inconclusive,
        "pods were not seen for 16.000 s from 12:00:12.000 (+0:12.000): 410 Gone")]
    #[case::broken(Record::good().watched().with(15 * SECOND, ended(PODS)), Verdict::Inconclusive,
        "pods were not watched after 12:00:15.000 (+0:15.000): not found")]
    #[case::put_away(Record::good().watched().with(20 * SECOND, ended(PODS)), Verdict::Pass, "8 resources watched throughout without a gap")]
    #[case::custom(defined(5).watch(6 * SECOND, KUSTOMIZATIONS), Verdict::Pass, "9 resources watched throughout without a gap")]
    #[case::custom_not(
        defined(5),
        Verdict::Inconclusive,
        "kustomizations.kustomize.toolkit.fluxcd.io were not watched"
    )]
    #[case::custom_late(defined(3).watch(12 * SECOND, KUSTOMIZATIONS), Verdict::Inconclusive,
        "kustomizations.kustomize.toolkit.fluxcd.io were not watched before 12:00:12.000 (+0:12.000)")]
    #[case::defined_later(defined(12).watch(13 * SECOND, KUSTOMIZATIONS), Verdict::Pass, "9 resources watched throughout without a gap")]
    #[case::defined_anew(
        defined(5).watch(6 * SECOND, KUSTOMIZATIONS).gone(12 * SECOND, &format!("customresourcedefinition/{KUSTOMIZATIONS}"))
            .with(12 * SECOND, ended(KUSTOMIZATIONS))
            .object(15 * SECOND, &format!("customresourcedefinition/{KUSTOMIZATIONS}"), |_| {}).watch(16 * SECOND, KUSTOMIZATIONS),
        Verdict::Pass, "9 resources watched throughout without a gap")]
    #[case::no_longer_defined(
        defined(5).watch(6 * SECOND, KUSTOMIZATIONS).gone(12 * SECOND, &format!("customresourcedefinition/{KUSTOMIZATIONS}"))
            .with(12 * SECOND, ended(KUSTOMIZATIONS)),
        Verdict::Pass, "9 resources watched throughout without a gap")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = Watches.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn gaps_are_named_with_what_was_going_on() {
        let finding = Watches.judge(&Record::good().watched().with(14 * SECOND, gap(12, 14)).fold());
        insta::assert_snapshot!(finding.details.join("\n"), @"pods were not seen for 2.000 s from 12:00:12.000 (+0:12.000): 410 Gone; phase take over, step 3 (wait it)");
        assert_eq!(finding.evidence, [Evidence::At(12 * SECOND)]);
    }

    #[test]
    fn what_was_not_kept_was_not_seen() {
        let record = (0..300u64).fold(Record::good().watched(), |record, i| {
            record.object(10 * SECOND + i, "deployment/apps/web", |o| o.set("spec", i))
        });
        let finding = Watches.judge(&record.fold());
        assert_eq!(finding.message, "deployment/apps/web changed too often: 100 states in between were not kept");
    }
}

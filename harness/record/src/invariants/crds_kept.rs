//! `crds-kept`: Flux' definitions stay, and so do the custom resources of every kind.

use std::collections::BTreeMap;

use super::Invariant;
use super::observed::{Observed, finding, window};
use crate::cluster::{ObjectSeen, Parts};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::RunState;
use crate::verdict::{Finding, Verdict};

/// The rule.
#[derive(Debug)]
pub struct CrdsKept;

impl Invariant for CrdsKept {
    fn name(&self) -> &'static str {
        "crds-kept"
    }

    fn demands(&self) -> &'static str {
        "Flux' custom resource definitions stay the same, and of no Flux kind there are ever fewer objects"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let span = match window(self, run) {
            Ok(span) => span,
            Err(finding) => return finding,
        };
        let definitions: Vec<&ObjectSeen> =
            run.cluster.present_at(span.from).filter(|seen| run.is_flux_definition(&seen.object)).collect();
        if definitions.is_empty() {
            let message = "Flux was not defined when the migration began";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        let mut observed: Vec<_> = definitions.iter().filter_map(|seen| lost(run, seen)).collect();
        observed.extend(fewer(run, span.from));
        let of = format!(
            "{} and {}",
            fmt::count(definitions.len() as u64, "definition"),
            fmt::count(
                run.cluster.present_at(span.from).filter(|seen| is_counted(seen)).count() as u64,
                "custom resource"
            )
        );
        finding(self, run, observed, |n| format!("{n} of Flux' {of} lost"), format!("Flux' {of} were kept"))
    }
}

/// A definition that is deleted, with everything that it defines.
fn lost(run: &RunState, first: &ObjectSeen) -> Option<Observed> {
    let history = run.cluster.history(&first.object)?;
    let at = history.end_of(&first.uid).filter(|at| !run.meant(&first.object, *at))?;
    let what = match history.last() {
        Some(last) if last.uid != first.uid => format!("UID {} → {}", first.uid, last.uid),
        _ => format!("UID {} was deleted", first.uid),
    };
    Some(Observed::new(&first.object, at, what))
}

/// The kinds that bootstrap brings; the operator's own may go with it.
fn is_counted(seen: &ObjectSeen) -> bool {
    seen.group().ends_with(".toolkit.fluxcd.io")
}

/// Custom resources that went, with how many there were of their kind.
fn fewer(run: &RunState, from: Nanos) -> Vec<Observed> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    let mut changes: Vec<(Nanos, &str, i64)> = Vec::new();
    for (object, history) in run.cluster.objects() {
        if !history.last().is_some_and(is_counted) {
            continue;
        }
        let mut there = history.at(from).is_some();
        *counts.entry(Parts::of(object).kind).or_default() += i64::from(there);
        for state in history.after(from) {
            if state.seen.is_some() != there {
                there = state.seen.is_some();
                changes.push((state.at, object, if there { 1 } else { -1 }));
            }
        }
    }
    changes.sort_unstable();
    let mut observed = Vec::new();
    for (at, object, change) in changes {
        let kind = Parts::of(object).kind;
        let count = counts.entry(kind).or_default();
        let before = *count;
        *count += change;
        let history = run.cluster.history(object);
        let asked = history.and_then(|h| h.end_of(&h.last_at(at)?.uid)).unwrap_or(at);
        if change < 0 && !run.meant(object, asked) {
            observed.push(Observed::new(object, at, format!("deleted, {before} → {count} of its kind")));
        }
    }
    observed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const CRD: &str = "customresourcedefinition/gitrepositories.source.toolkit.fluxcd.io";
    const APPS: &str = "kustomization/flux-system/apps";
    const KEPT: &str = "Flux' 2 definitions and 3 custom resources were kept";

    #[rstest]
    #[case::kept(Record::migrated(), Verdict::Pass, KEPT)]
    #[case::more(Record::migrated().object(14 * SECOND, "kustomization/apps/more", |_| {}), Verdict::Pass, KEPT)]
    #[case::deleted(Record::migrated().gone(14 * SECOND, CRD), Verdict::Fail, "1 of Flux' 2 definitions and 3 custom resources lost")]
    #[case::in_deletion(Record::migrated().object(14 * SECOND, CRD, |o| o.deleting = Some("now".into())), Verdict::Fail,
        "1 of Flux' 2 definitions and 3 custom resources lost")]
    #[case::anew(Record::migrated().gone(14 * SECOND, CRD).object(15 * SECOND, CRD, |_| {}), Verdict::Fail,
        "1 of Flux' 2 definitions and 3 custom resources lost")]
    #[case::fewer(Record::migrated().gone(14 * SECOND, APPS), Verdict::Fail, "1 of Flux' 2 definitions and 3 custom resources lost")]
    #[case::renamed(
        Record::migrated().object(13 * SECOND, "kustomization/flux-system/apps-2", |_| {}).gone(14 * SECOND, APPS), Verdict::Fail,
        "1 of Flux' 2 definitions and 3 custom resources lost")]
    #[case::fewer_as_meant(Record::migrated().gone(14 * SECOND, APPS).changes(1, &["kustomization/*/*"]), Verdict::Pass, KEPT)]
    #[case::the_operators_own(Record::migrated().gone(14 * SECOND, "fluxinstance/flux-system/flux"), Verdict::Pass, KEPT)]
    #[case::no_flux(Record::good().watched(), Verdict::Inconclusive, "Flux was not defined when the migration began")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = CrdsKept.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn what_is_lost_is_named_in_order() {
        let finding = CrdsKept.judge(&Record::migrated().gone(14 * SECOND, APPS).gone(13 * SECOND, CRD).fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        customresourcedefinition/gitrepositories.source.toolkit.fluxcd.io: UID customresourcedefinition/gitrepositories.source.toolkit.fluxcd.io#1 was deleted at 12:00:13.000 (+0:13.000); phase take over, step 3 (wait it)
        kustomization/flux-system/apps: deleted, 2 → 1 of its kind at 12:00:14.000 (+0:14.000); phase take over, step 3 (wait it)
        ");
    }
}

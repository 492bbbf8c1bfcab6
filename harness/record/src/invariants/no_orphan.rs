//! `no-orphan`: in the end every object has the owner that it names, and none is stuck in its deletion.

use std::collections::BTreeSet;

use super::Invariant;
use super::observed::{Observed, add, finding, window};
use crate::cluster::{ObjectSeen, Parts};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::{RunState, owners};
use crate::verdict::{Finding, Verdict};

/// How long a deletion with finalizers, or the garbage collection after an owner's, may take.
const PATIENCE: Nanos = 10_000_000_000;

/// By this annotation, Flux leaves an object behind when it deletes what applied it.
const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";

/// The rule.
#[derive(Debug)]
pub struct NoOrphan;

impl Invariant for NoOrphan {
    fn name(&self) -> &'static str {
        "no-orphan"
    }

    fn demands(&self) -> &'static str {
        "in the end the owners that objects name are there, and no deletion is stuck"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let span = match window(self, run) {
            Ok(span) => span,
            Err(finding) => return finding,
        };
        let kinds: BTreeSet<&str> = run.cluster.objects().map(|(object, _)| Parts::of(object).kind).collect();
        let (mut judged, mut observed, mut undecided) = (0, Vec::new(), Vec::new());
        for seen in run.cluster.present().filter(|seen| is_judged(run, seen)) {
            judged += 1;
            let state = match seen.deleting {
                Some(_) => stuck(run, seen, span.to),
                None => orphaned(run, seen, &kinds, span.from, span.to),
            };
            // What is meant to be left behind, or to be deleted, is nobody's oversight.
            match state.filter(|(since, _)| !run.meant(&seen.object, *since)) {
                Some((since, what)) if since.saturating_add(PATIENCE) <= span.to => {
                    observed.push(Observed::new(&seen.object, since, what));
                }
                Some((since, what)) => undecided.push(Observed::new(&seen.object, since, what)),
                None => {}
            }
        }
        if judged == 0 {
            let message = "no object of the fleet or of Flux was there in the end";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        let of = fmt::count(judged, "object");
        let mut finding = finding(
            self,
            run,
            observed,
            |n| format!("{n} of {of} orphaned or stuck"),
            format!("none of {of} is orphaned or stuck"),
        );
        if finding.verdict == Verdict::Pass && !undecided.is_empty() {
            finding.verdict = Verdict::Inconclusive;
            finding.message = format!(
                "{} of {of} orphaned or in deletion for less than {}: too early to say",
                undecided.len(),
                fmt::duration(PATIENCE)
            );
        }
        add(&mut finding, run, &undecided);
        finding
    }
}

fn is_judged(run: &RunState, seen: &ObjectSeen) -> bool {
    let in_flux = Parts::of(&seen.object).namespace == Some(run.flux_namespace());
    in_flux
        || seen.is_flux()
        || seen.is_flux_component()
        || run.is_fleet(&seen.object)
        || run.is_flux_definition(&seen.object)
}

/// Since when an object waits for its finalizers. Without them it is only taking its time.
fn stuck(run: &RunState, seen: &ObjectSeen, to: Nanos) -> Option<(Nanos, String)> {
    if seen.finalizers.is_empty() {
        return None;
    }
    let since = run.cluster.history(&seen.object).and_then(|history| history.end_of(&seen.uid)).unwrap_or(to);
    Some((since, format!("in deletion, held by {}", seen.finalizers.join(", "))))
}

/// Since when an object's owner is not there, and who that was. One that had none before the migration is not its doing.
fn orphaned(
    run: &RunState,
    seen: &ObjectSeen,
    kinds: &BTreeSet<&str>,
    from: Nanos,
    to: Nanos,
) -> Option<(Nanos, String)> {
    let known = run.cluster.at(&seen.object, from).filter(|before| before.uid == seen.uid);
    let first = run.cluster.history(&seen.object).and_then(|history| history.states().first()).map_or(to, |s| s.at);

    for owner in &seen.owners {
        // A kind that nobody ever saw is not watched: nothing is known of its objects.
        if !kinds.contains(Parts::of(&owner.object).kind) {
            continue;
        }
        let of = run.cluster.by_uid(&owner.uid);
        let went = match of.and_then(|of| run.cluster.history(&of.object)) {
            Some(history) if history.now().is_some_and(|now| now.uid == owner.uid) => continue,
            Some(history) => history.end_of(&owner.uid).unwrap_or(to),
            None => first,
        };
        if known.is_none() || went > from {
            return Some((went.max(first), format!("its owner {} (UID {}) is gone", owner.object, owner.uid)));
        }
    }

    if seen.annotation(PRUNE).is_some_and(|value| value.eq_ignore_ascii_case("disabled")) {
        return None;
    }
    // What is left of a FluxInstance that went is residue, and for that rule to say.
    let appliers = owners(seen).into_iter().filter(|owner| Parts::of(owner).kind != "fluxinstance");
    for owner in appliers.filter(|owner| kinds.contains(Parts::of(owner).kind)) {
        let history = run.cluster.history(&owner);
        let went = match history.and_then(|history| history.states().last()) {
            Some(state) if state.seen.is_some() => continue,
            Some(state) => state.at,
            None => first,
        };
        if known.is_none_or(|known| !owners(known).contains(&owner)) || went > from {
            return Some((went.max(first), format!("{owner}, which applied it, is gone")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const NONE: &str = "none of 17 objects is orphaned or stuck";
    const WEB: &str = "deployment/apps/web";
    const APPS: &str = "kustomization/flux-system/apps";
    const ORPHAN: &str = "1 of 18 objects orphaned or stuck";

    fn with(object: &str, at: u64, change: impl FnOnce(&mut ObjectSeen)) -> Record {
        Record::migrated().object(at * SECOND, object, change)
    }

    fn deleting(at: u64, finalizers: &[&str]) -> Record {
        with(APPS, at, |o| {
            o.deleting = Some("now".into());
            o.finalizers = finalizers.iter().map(|f| (*f).to_owned()).collect();
        })
    }

    #[rstest]
    #[case::none(Record::migrated(), Verdict::Pass, NONE)]
    #[case::owner_never_there(with("replicaset/apps/x", 10, |o| o.owned_by("deployment/apps/x")), Verdict::Fail, ORPHAN)]
    #[case::owner_gone(
        with("deployment/apps/x", 5, |_| {}).object(6 * SECOND, "replicaset/apps/x", |o| o.owned_by("deployment/apps/x"))
            .gone(10 * SECOND, "deployment/apps/x"),
        Verdict::Fail, ORPHAN)]
    #[case::owner_gone_before(
        with("deployment/apps/x", 5, |_| {}).object(6 * SECOND, "replicaset/apps/x", |o| o.owned_by("deployment/apps/x"))
            .gone(7 * SECOND, "deployment/apps/x"),
        Verdict::Pass, "none of 18 objects is orphaned or stuck")]
    #[case::owner_just_gone(
        with("deployment/apps/x", 5, |_| {}).object(6 * SECOND, "replicaset/apps/x", |o| o.owned_by("deployment/apps/x"))
            .gone(15 * SECOND, "deployment/apps/x"),
        Verdict::Inconclusive, "1 of 18 objects orphaned or in deletion for less than 10.0 s: too early to say")]
    #[case::owner_of_a_kind_not_watched(with("pod/apps/x", 10, |o| o.owned_by("rollout/apps/x")), Verdict::Pass,
        "none of 18 objects is orphaned or stuck")]
    #[case::applier_gone(with("configmap/apps/x", 10, |o| o.applied_by("nobody")), Verdict::Fail, ORPHAN)]
    #[case::left_behind_on_purpose(
        with("configmap/apps/x", 10, |o| {
            o.applied_by("nobody");
            o.annotations.insert(PRUNE.into(), "disabled".into());
        }),
        Verdict::Pass, "none of 18 objects is orphaned or stuck")]
    #[case::left_behind_as_meant(
        with("configmap/apps/x", 10, |o| o.applied_by("nobody")).changes(1, &["configmap/apps/*"]), Verdict::Pass,
        "none of 18 objects is orphaned or stuck")]
    #[case::stuck(deleting(10, &["finalizers.fluxcd.io"]), Verdict::Fail, "1 of 17 objects orphaned or stuck")]
    #[case::deleting(deleting(15, &["finalizers.fluxcd.io"]), Verdict::Inconclusive,
        "1 of 17 objects orphaned or in deletion for less than 10.0 s: too early to say")]
    #[case::takes_its_time(deleting(10, &[]), Verdict::Pass, NONE)]
    #[case::nothing_there(Record::good().watched(), Verdict::Inconclusive, "no object of the fleet or of Flux was there in the end")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = NoOrphan.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message), "{:#?}", finding.details);
    }

    #[test]
    fn owners_and_finalizers_are_named() {
        let record = deleting(10, &["finalizers.fluxcd.io"]).gone(9_800 * crate::testing::MS, WEB);
        insta::assert_snapshot!(NoOrphan.judge(&record.fold()).details.join("\n"), @r"
        replicaset/apps/web-1: its owner deployment/web (UID deployment/apps/web#1) is gone at 12:00:09.800 (+0:09.800); phase take over, step 2 (install-operator it)
        kustomization/flux-system/apps: in deletion, held by finalizers.fluxcd.io at 12:00:10.000 (+0:10.000); phase take over, step 2 (install-operator it)
        ");
    }
}

//! `same-uid`: objects stay the objects they were.

use super::Invariant;
use super::observed::{Observed, add, finding, window};
use crate::cluster::{ObjectSeen, Parts};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::{RunState, State};
use crate::verdict::{Finding, Verdict};

/// The rule.
#[derive(Debug)]
pub struct SameUid;

impl Invariant for SameUid {
    fn name(&self) -> &'static str {
        "same-uid"
    }

    fn demands(&self) -> &'static str {
        "no object of the fleet is deleted, and none of it or of Flux is made anew"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let span = match window(self, run) {
            Ok(span) => span,
            Err(finding) => return finding,
        };
        let (mut fleet, mut flux) = (0u64, 0u64);
        let (mut observed, mut gone) = (Vec::new(), Vec::new());
        for seen in run.cluster.present_at(span.from) {
            let of_fleet = run.is_fleet(&seen.object) && lasts(seen);
            match (seen.is_flux(), of_fleet) {
                (true, _) => flux += 1,
                (false, true) => fleet += 1,
                (false, false) => continue,
            }
            let Some(history) = run.cluster.history(&seen.object) else { continue };
            let made_anew = anew(run, seen, history.after(span.from));
            if made_anew.is_empty()
                && history.now().is_none()
                && let Some(at) = history.end_of(&seen.uid)
                && !run.meant(&seen.object, at)
            {
                let list = if of_fleet { &mut observed } else { &mut gone };
                list.push(Observed::new(&seen.object, at, format!("UID {} is gone", seen.uid)));
            }
            observed.extend(made_anew);
        }
        if fleet + flux == 0 {
            let message = "no object of the fleet or of Flux was there when the migration began";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        let of = format!("{} of the fleet and {} of Flux", fmt::count(fleet, "object"), fmt::number(flux));
        let mut finding = finding(
            self,
            run,
            observed,
            |n| format!("{} of {of} did not stay", fmt::number(n)),
            format!("{of} kept their UIDs"),
        );
        // Whether Flux may lose an object is for the rules about its kinds to say.
        add(&mut finding, run, &gone);
        finding
    }
}

/// Whether nobody but people and Flux make and delete it: other kinds come and go with what they belong to.
pub(super) fn lasts(seen: &ObjectSeen) -> bool {
    const PASSING: [&str; 9] = [
        "pod",
        "replicaset",
        "controllerrevision",
        "endpoints",
        "endpointslice",
        "event",
        "lease",
        "podmetrics",
        "helmchart",
    ];
    let Parts { kind, name, .. } = Parts::of(&seen.object);
    // Helm keeps a release's latest revisions in Secrets, and a CronJob its latest Jobs.
    let kept_latest = name.starts_with("sh.helm.release.v1.") || (kind == "job" && !seen.owners.is_empty());
    !PASSING.contains(&kind) && !kept_latest
}

/// States in which another object has the name.
fn anew(run: &RunState, first: &ObjectSeen, after: &[State]) -> Vec<Observed> {
    let mut uid = first.uid.as_str();
    let mut went: Option<Nanos> = None;
    let mut observed = Vec::new();
    for state in after {
        match &state.seen {
            None => went = went.or(Some(state.at)),
            Some(seen) if seen.uid != uid => {
                // It is meant when its end was: what comes back may come later.
                let ended = went.unwrap_or(state.at);
                if !run.meant(&first.object, ended) && !run.meant(&first.object, state.at) {
                    observed.push(Observed::new(&first.object, state.at, format!("UID {uid} → {}", seen.uid)));
                }
                uid = &seen.uid;
                went = None;
            }
            Some(seen) if seen.deleting.is_some() => went = went.or(Some(state.at)),
            Some(_) => {}
        }
    }
    observed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const WEB: &str = "deployment/apps/web";
    const APPS: &str = "kustomization/flux-system/apps";

    fn made_anew(object: &str) -> Record {
        Record::migrated().gone(14 * SECOND, object).object(15 * SECOND, object, |_| {})
    }

    #[rstest]
    #[case::kept(Record::migrated(), Verdict::Pass, "3 objects of the fleet and 3 of Flux kept their UIDs")]
    #[case::anew(made_anew(WEB), Verdict::Fail, "1 of 3 objects of the fleet and 3 of Flux did not stay")]
    #[case::flux_anew(made_anew(APPS), Verdict::Fail, "1 of 3 objects of the fleet and 3 of Flux did not stay")]
    #[case::gone(Record::migrated().gone(14 * SECOND, WEB), Verdict::Fail, "1 of 3 objects of the fleet and 3 of Flux did not stay")]
    #[case::flux_gone(Record::migrated().gone(14 * SECOND, APPS), Verdict::Pass, "3 objects of the fleet and 3 of Flux kept their UIDs")]
    #[case::pods_come_and_go(
        made_anew("pod/apps/web-1-a"),
        Verdict::Pass,
        "3 objects of the fleet and 3 of Flux kept their UIDs"
    )]
    #[case::meant(made_anew(WEB).changes(1, &[WEB]), Verdict::Pass, "3 objects of the fleet and 3 of Flux kept their UIDs")]
    #[case::gone_as_meant(Record::migrated().gone(14 * SECOND, WEB).changes(1, &[WEB]), Verdict::Pass,
        "3 objects of the fleet and 3 of Flux kept their UIDs")]
    #[case::nothing_there(Record::good().watched(), Verdict::Inconclusive,
        "no object of the fleet or of Flux was there when the migration began")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = SameUid.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn objects_are_named_before_and_after() {
        let finding = SameUid.judge(&made_anew(WEB).gone(16 * SECOND, APPS).fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        deployment/apps/web: UID deployment/apps/web#1 → deployment/apps/web#2 at 12:00:15.000 (+0:15.000); phase take over, step 3 (wait it)
        kustomization/flux-system/apps: UID kustomization/flux-system/apps#1 is gone at 12:00:16.000 (+0:16.000); phase take over, step 3 (wait it)
        ");
        assert_eq!(finding.evidence.len(), 2);
    }
}

//! `no-rollout`: nothing gives the fleet's workloads a new pod template.

use super::Invariant;
use super::observed::{Observed, finding, window};
use crate::cluster::{ObjectSeen, Parts, facts};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::RunState;
use crate::verdict::{Finding, Verdict};

/// The rule.
#[derive(Debug)]
pub struct NoRollout;

impl Invariant for NoRollout {
    fn name(&self) -> &'static str {
        "no-rollout"
    }

    fn demands(&self) -> &'static str {
        "the pod templates of the fleet's Deployments, StatefulSets and DaemonSets do not change"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let span = match window(self, run) {
            Ok(span) => span,
            Err(finding) => return finding,
        };
        let workloads: Vec<(&ObjectSeen, &str)> = run
            .cluster
            .present_at(span.from)
            .filter(|seen| matches!(Parts::of(&seen.object).kind, "deployment" | "statefulset" | "daemonset"))
            .filter(|seen| run.is_fleet(&seen.object))
            .filter_map(|seen| Some((seen, seen.fact(facts::TEMPLATE)?)))
            .collect();
        if workloads.is_empty() {
            let message = "no workload of the fleet was there when the migration began";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        let mut observed = Vec::new();
        for (seen, template) in &workloads {
            let templates = templates(run, seen, template, span.from);
            if templates.is_empty() {
                observed.extend(revisions(run, seen, span.from));
            }
            observed.extend(templates);
        }
        let of = fmt::count(workloads.len() as u64, "workload");
        finding(self, run, observed, |n| format!("{n} of {of} rolled out"), format!("none of {of} rolled out"))
    }
}

/// Changes of a workload's template.
fn templates(run: &RunState, first: &ObjectSeen, template: &str, from: Nanos) -> Vec<Observed> {
    let mut before = template;
    let mut observed = Vec::new();
    let after = run.cluster.history(&first.object).map_or(&[][..], |history| history.after(from));
    for state in after {
        let Some(now) = state.seen.as_ref().and_then(|seen| seen.fact(facts::TEMPLATE)) else { continue };
        if now != before && !run.meant(&first.object, state.at) {
            observed.push(Observed::new(&first.object, state.at, format!("pod template {before} → {now}")));
        }
        before = now;
    }
    observed
}

/// ReplicaSets that a Deployment made since: they tell of a template that was there too shortly to be seen.
fn revisions<'a>(run: &'a RunState, deployment: &'a ObjectSeen, from: Nanos) -> impl Iterator<Item = Observed> {
    run.cluster.objects().filter_map(move |(object, history)| {
        let state = history.states().first().filter(|state| state.at > from)?;
        let seen = state.seen.as_ref()?;
        let of_it = Parts::of(object).kind == "replicaset" && seen.owners.iter().any(|o| o.uid == deployment.uid);
        let hash = seen.fact(facts::TEMPLATE_HASH).unwrap_or("of a template not seen");
        let what = format!("new ReplicaSet {hash}");
        (of_it && !run.meant(object, state.at)).then(|| Observed::new(&deployment.object, state.at, what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const WEB: &str = "deployment/apps/web";

    fn template(record: Record, at: u64, template: &str) -> Record {
        record.object(at * SECOND, WEB, |o| o.set(facts::TEMPLATE, template))
    }

    fn replica_set() -> Record {
        Record::migrated().object(15 * SECOND, "replicaset/apps/web-2", |o| {
            o.owned_by(WEB);
            o.set(facts::TEMPLATE_HASH, "2");
        })
    }

    #[rstest]
    #[case::same(Record::migrated(), Verdict::Pass, "none of 1 workload rolled out")]
    #[case::scaled(Record::migrated().object(14 * SECOND, WEB, |o| o.set(facts::SPEC, "s2")), Verdict::Pass, "none of 1 workload rolled out")]
    #[case::changed(template(Record::migrated(), 14, "t2"), Verdict::Fail, "1 of 1 workload rolled out")]
    #[case::and_back(
        template(template(Record::migrated(), 14, "t2"), 15, "t1"),
        Verdict::Fail,
        "1 of 1 workload rolled out"
    )]
    #[case::seen_by_its_replica_set(replica_set(), Verdict::Fail, "1 of 1 workload rolled out")]
    #[case::meant(template(replica_set(), 14, "t2").changes(1, &[WEB]), Verdict::Pass, "none of 1 workload rolled out")]
    #[case::before_the_window(template(Record::migrated(), 9, "t2"), Verdict::Pass, "none of 1 workload rolled out")]
    #[case::nothing_there(Record::good().watched(), Verdict::Inconclusive, "no workload of the fleet was there when the migration began")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = NoRollout.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn workloads_are_named_with_both_templates() {
        let finding = NoRollout.judge(&template(template(Record::migrated(), 14, "t2"), 15, "t1").fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        deployment/apps/web: pod template t1 → t2 at 12:00:14.000 (+0:14.000); phase take over, step 3 (wait it)
        deployment/apps/web: pod template t2 → t1 at 12:00:15.000 (+0:15.000); phase take over, step 3 (wait it)
        ");
        let finding = NoRollout.judge(&replica_set().fold());
        assert!(finding.details[0].starts_with("deployment/apps/web: new ReplicaSet 2 at"), "{:?}", finding.details);
    }
}

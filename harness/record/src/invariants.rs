//! Rules over the whole record, each in a file of its own, all in one table.

mod budget;
mod crds_kept;
mod each_cluster;
mod evidence;
mod faults_seen;
mod images;
mod latency;
mod managed_by;
mod no_error_logs;
mod no_lost_request;
mod no_orphan;
mod no_residue;
mod no_restart;
mod no_rollout;
mod observed;
mod one_owner;
pub mod own_rules;
mod policy_enforced;
mod reconciles;
mod same_uid;
mod self_proof;
mod sources_kept;
mod steps;
mod watches;

use crate::fold::RunState;
use crate::verdict::{Finding, Verdict};

pub(crate) use no_error_logs::{excuse, shown};
pub(crate) use reconciles::describe_applied;
#[cfg(test)]
pub(crate) use watches::WATCHED;

/// A rule over a run.
///
/// It must never pass for want of evidence: what it has nothing to judge by is [`Verdict::Inconclusive`].
pub trait Invariant: Sync {
    /// Its name in scenarios and reports.
    fn name(&self) -> &'static str;

    /// What it demands, in one sentence.
    fn demands(&self) -> &'static str;

    /// Whether it is judged although the scenario does not name it.
    fn always(&self, _run: &RunState) -> bool {
        false
    }

    /// Whether it judges by what the watches saw: then they must have seen everything.
    fn reads_watches(&self) -> bool {
        false
    }

    /// Whether it is judged for each cluster of the run, and not once for all of them.
    fn of_each_cluster(&self) -> bool {
        self.reads_watches()
    }

    /// What it says about a run.
    fn judge(&self, run: &RunState) -> Finding;
}

/// Every rule there is, in the order of reports.
pub static TABLE: &[&dyn Invariant] = &[
    &no_lost_request::NoLostRequest,
    &latency::Latency,
    &no_restart::NoRestart,
    &same_uid::SameUid,
    &no_rollout::NoRollout,
    &one_owner::OneOwner,
    &no_orphan::NoOrphan,
    &no_residue::NoResidue,
    &crds_kept::CrdsKept,
    &sources_kept::SourcesKept,
    &reconciles::Reconciles,
    &no_error_logs::NoErrorLogs,
    &policy_enforced::PolicyEnforced,
    &managed_by::ManagedBy,
    &faults_seen::FaultsSeen,
    &budget::Budgets,
    &steps::Steps,
    &evidence::SufficientEvidence,
    &self_proof::ProbesProven,
    &watches::Watches,
    &images::Images,
];

/// Names that a scenario may use under `invariants:`.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|rule| rule.name())
}

/// Judges the rules that the scenario names or expects to hold, those that always hold, and its own. A name that this ferry
/// does not know is not passed over: it makes the run inconclusive.
pub fn judge(run: &RunState) -> Vec<Finding> {
    let own = run.started.as_ref().map_or(&[][..], |s| &s.rules);
    let views = run.views();
    let known = TABLE.iter().filter(|rule| rule.always(run) || is_asked(run, rule.name())).map(|rule| {
        match rule.of_each_cluster() {
            true => each_cluster::judge(&views, |run| rule.judge(run)),
            false => rule.judge(run),
        }
    });
    let is_known = |name: &str| names().any(|known| known == name) || own.iter().any(|rule| rule.name == name);
    let mut unknown: Vec<&str> = asked(run).filter(|name| !is_known(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let unknown = unknown.into_iter().map(|name| {
        let mut finding = Finding::new(name, Verdict::Inconclusive, "this ferry does not know the rule");
        finding.details.push(format!("known rules: {}", names().collect::<Vec<_>>().join(", ")));
        finding
    });
    known.chain(own_rules::judge(run, &views, own)).chain(unknown).collect()
}

/// Names of the rules that the scenario asks for, or expects to hold whatever the verdict.
fn asked(run: &RunState) -> impl Iterator<Item = &str> {
    let started = run.started.iter();
    started.flat_map(|s| s.invariants.iter().chain(s.expect.iter().flat_map(|e| &e.holds))).map(String::as_str)
}

/// Whether the scenario asks for a rule.
fn is_asked(run: &RunState, rule: &str) -> bool {
    asked(run).any(|name| name == rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Record;

    #[test]
    fn names_are_unique_and_every_rule_says_what_it_demands() {
        let mut all: Vec<_> = names().collect();
        assert_eq!(
            all.join(" "),
            "no-lost-request latency no-restart same-uid no-rollout one-owner no-orphan no-residue crds-kept \
             sources-kept reconciles no-error-logs policy-enforced managed-by faults-seen \
             budget steps evidence self-proof watches images"
        );
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), TABLE.len());
        assert!(TABLE.iter().all(|rule| !rule.demands().is_empty()));
    }

    #[test]
    fn steps_and_evidence_are_judged_unasked() {
        let rules = |r: Record| judge(&r.fold()).into_iter().map(|f| f.rule).collect::<Vec<_>>();
        assert_eq!(rules(Record::good().invariants(&[])), ["steps", "evidence"]);
        assert_eq!(rules(Record::good().invariants(&[]).budget(1, 2, 0)), ["budget", "steps", "evidence"]);
        assert_eq!(rules(Record::good().invariants(&["no-lost-requests"])), ["steps", "evidence", "no-lost-requests"]);
    }

    /// About objects, and what they need to be judged.
    const OBJECTS: [&str; 10] = [
        "no-restart",
        "same-uid",
        "no-rollout",
        "one-owner",
        "no-orphan",
        "no-residue",
        "crds-kept",
        "sources-kept",
        "managed-by",
        "watches",
    ];

    #[test]
    fn a_good_migration_passes() {
        let run = Record::migrated().invariants(&OBJECTS).fold();
        let findings: Vec<_> = judge(&run).into_iter().filter(|f| OBJECTS.contains(&f.rule.as_str())).collect();
        assert_eq!(findings.len(), OBJECTS.len());
        assert!(findings.iter().all(|f| f.verdict == Verdict::Pass), "{findings:#?}");
    }

    /// The last event before the verdict is the same for both, however long the judging takes.
    #[test]
    fn who_judges_later_finds_the_same() {
        let live = Record::migrated().invariants(&OBJECTS).without_end().fold();
        let judgement = crate::verdict::judge_live(&live);
        let mut later = live;
        later
            .apply(&crate::Event { t: later.now + 60_000_000_000, kind: crate::EventKind::Verdict(judgement.clone()) });
        assert_eq!(crate::verdict::judge(&later), judgement);
    }

    #[test]
    fn watches_are_judged_with_those_who_read_them() {
        let asked = |rule| judge(&Record::good().invariants(&[rule]).fold()).into_iter().any(|f| f.rule == "watches");
        assert!(asked("same-uid"));
        assert!(!asked("no-lost-request"));
    }

    #[test]
    fn no_rule_passes_on_an_empty_record() {
        let run = RunState::default();
        for rule in TABLE {
            assert_eq!(rule.judge(&run).verdict, Verdict::Inconclusive, "{}", rule.name());
        }
    }
}

//! `self-proof`: before they were trusted, the probes said what was true.

use super::Invariant;
use crate::fold::RunState;
use crate::verdict::{Evidence, Finding, Verdict};

/// What the probes are put to the test with: a rollout of a demo workload that loses nothing, an outage of known length.
pub const CHECKS: [&str; 2] = ["rollout", "outage"];

/// The rule.
#[derive(Debug)]
pub struct ProbesProven;

impl Invariant for ProbesProven {
    fn name(&self) -> &'static str {
        "self-proof"
    }

    fn demands(&self) -> &'static str {
        "probes lose nothing in a rollout that loses nothing, and see a short outage that was made for them"
    }

    /// A run that announces it means it.
    fn always(&self, run: &RunState) -> bool {
        run.started.as_ref().is_some_and(|started| started.self_proof)
    }

    /// Probes that failed it say nothing about the migration, so that it never is the migration's failure.
    fn judge(&self, run: &RunState) -> Finding {
        let proofs = &run.cluster.self_proofs;
        let failed: Vec<&str> = proofs.iter().filter(|proof| !proof.passed).map(|proof| proof.check.as_str()).collect();
        let missing: Vec<&str> =
            CHECKS.into_iter().filter(|check| proofs.iter().all(|proof| proof.check != *check)).collect();
        let (verdict, message) = if !failed.is_empty() {
            (Verdict::Inconclusive, format!("the probes failed their own test: {}", failed.join(", ")))
        } else if !missing.is_empty() {
            (Verdict::Inconclusive, format!("the probes were not put to the test: no {}", missing.join(", no ")))
        } else {
            (Verdict::Pass, format!("the probes said what was true: {}", CHECKS.join(", ")))
        };
        let mut finding = Finding::new(self.name(), verdict, message);
        for proof in proofs {
            let passed = if proof.passed { "passed" } else { "failed" };
            finding.details.push(format!("{} {passed} at {}: {}", proof.check, run.when(proof.at), proof.message));
            finding.evidence.push(Evidence::At(proof.at));
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    fn proof(check: &str, passed: bool) -> EventKind {
        EventKind::SelfProof { check: check.into(), passed, message: "40 samples".into() }
    }

    fn proven(checks: &[(&str, bool)]) -> Record {
        checks.iter().fold(Record::good(), |r, (check, passed)| r.with(6 * SECOND, proof(check, *passed)))
    }

    #[rstest]
    #[case::both(&[("rollout", true), ("outage", true)], Verdict::Pass,
        "the probes said what was true: rollout, outage")]
    #[case::blind(&[("rollout", true), ("outage", false)], Verdict::Inconclusive,
        "the probes failed their own test: outage")]
    #[case::second_try(&[("rollout", true), ("outage", false), ("outage", true)], Verdict::Inconclusive,
        "the probes failed their own test: outage")]
    #[case::half(&[("rollout", true)], Verdict::Inconclusive, "the probes were not put to the test: no outage")]
    #[case::nothing(&[], Verdict::Inconclusive, "the probes were not put to the test: no rollout, no outage")]
    #[case::something_else(&[("colour", true)], Verdict::Inconclusive,
        "the probes were not put to the test: no rollout, no outage")]
    fn judged(#[case] checks: &[(&str, bool)], #[case] verdict: Verdict, #[case] message: &str) {
        let finding = ProbesProven.judge(&proven(checks).fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn judged_when_it_was_announced() {
        let rules = |record: Record| crate::invariants::judge(&record.fold()).len();
        assert_eq!(rules(Record::good().proving()), rules(Record::good()) + 1);
        let finding = ProbesProven.judge(&proven(&[("outage", false)]).fold());
        assert_eq!(finding.details, ["outage failed at 12:00:06.000 (+0:06.000): 40 samples"]);
    }
}

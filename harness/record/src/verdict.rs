//! The judgement over a record.

use serde::{Deserialize, Serialize};

use crate::event::Nanos;
use crate::fold::RunState;
use crate::{expectation, invariants};

/// What a run amounts to. The order is the priority when several apply: the first that applies wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The user or the system ended the run.
    Cancelled,
    /// The lab broke; nothing is said about the migration.
    Infra,
    /// A rule was violated.
    Fail,
    /// The evidence is too thin to say.
    Inconclusive,
    /// Every rule was judged on sufficient evidence and holds.
    Pass,
}

impl Verdict {
    /// As it is written in records and scenarios.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Infra => "infra",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether this is how the scenario says that it must end.
    pub as_expected: bool,
    /// One finding for each rule that was judged, and for each reason outside the rules.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// Exit code of the process: 0 when the run ended as its scenario says, else 1 fail (also a pass where a failure was
    /// expected), 3 infra, 4 inconclusive, 130 cancelled. 2 is for usage and lint, which have no judgement.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            _ if self.as_expected => 0,
            Verdict::Pass | Verdict::Fail => 1,
            Verdict::Infra => 3,
            Verdict::Inconclusive => 4,
            Verdict::Cancelled => 130,
        }
    }

    /// The findings that made the verdict; for a pass, all.
    pub fn deciding(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.verdict == self.verdict)
    }
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name (`no-lost-request`, `steps`, `evidence`, …).
    pub rule: String,
    /// Its own verdict.
    pub verdict: Verdict,
    /// What was observed, in one sentence; shown as `rule — message`.
    pub message: String,
    /// The single observations behind it, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// References into the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// A finding without details.
    pub fn new(rule: &str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { rule: rule.into(), verdict, message: message.into(), details: Vec::new(), evidence: Vec::new() }
    }
}

/// A reference into the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// An outage of a probe.
    Outage {
        /// The probe.
        probe: String,
        /// Intended time of the first failed sample.
        from: Nanos,
        /// Intended time of the next good one.
        to: Nanos,
        /// Samples that failed.
        failed: u64,
    },
    /// A step by its number.
    Step(usize),
    /// A moment of the record's clock.
    At(Nanos),
    /// An object as the watches saw it.
    Object {
        /// [`ObjectSeen::object`](crate::cluster::ObjectSeen::object).
        object: String,
        /// When.
        at: Nanos,
    },
    /// Samples of a probe.
    Samples {
        /// The probe.
        probe: String,
        /// Taken, and on time.
        taken: u64,
        /// Planned.
        planned: u64,
    },
}

/// Judges a record read from disk. One that ends before its run did was killed: `cancelled`.
pub fn judge(run: &RunState) -> Judgement {
    judged(run, run.ended || run.recorded.is_some())
}

/// Judges a run that is about to write its verdict and its last line.
pub fn judge_live(run: &RunState) -> Judgement {
    judged(run, true)
}

fn judged(run: &RunState, complete: bool) -> Judgement {
    let mut findings = Vec::new();
    if let Some(cancelled) = &run.cancelled {
        let mut finding = Finding::new(
            "cancelled",
            Verdict::Cancelled,
            format!("the run was ended by {} at {}", cancelled.by, run.when(cancelled.at)),
        );
        finding.evidence.push(Evidence::At(cancelled.at));
        findings.push(finding);
    } else if !complete {
        let mut finding = Finding::new(
            "record",
            Verdict::Cancelled,
            format!("the record stops at {} without an end: the run was killed", run.when(run.now)),
        );
        finding.evidence.push(Evidence::At(run.now));
        findings.push(finding);
    }
    findings.extend(run.infra.iter().filter(|trouble| !trouble.after_verdict).map(|trouble| {
        let mut finding = Finding::new("infra", Verdict::Infra, format!("{}: {}", trouble.what, trouble.error));
        finding.details.extend(trouble.hint.iter().map(|hint| format!("hint: {hint}")));
        finding.evidence.push(Evidence::At(trouble.at));
        finding
    }));
    findings.extend(invariants::judge(run));

    // `steps` and `evidence` are always judged, so there is always a finding; without any nothing would be known.
    let verdict = findings.iter().map(|f| f.verdict).min().unwrap_or(Verdict::Inconclusive);
    let expected = run.started.as_ref().and_then(|s| s.expect.as_ref());
    let as_expected = match expected {
        None => verdict == Verdict::Pass,
        Some(expected) => expectation::is_met(expected, verdict, &findings),
    };
    findings.sort_by_key(|f| f.verdict);
    Judgement { verdict, as_expected, findings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Expectation, Failure, Outcome};
    use crate::testing::Record;
    use rstest::rstest;

    fn expectation(verdict: Verdict, rule: Option<&str>) -> Option<Expectation> {
        Some(Expectation { verdict, rule: rule.map(str::to_owned), holds: vec![] })
    }

    /// Expects the loss of a request, and that the rules hold nevertheless.
    fn holding(rules: &[&str]) -> Option<Expectation> {
        let holds = rules.iter().map(|rule| (*rule).to_owned()).collect();
        Some(Expectation { verdict: Verdict::Fail, rule: Some("no-lost-request".into()), holds })
    }

    #[rstest]
    #[case::all_good(Record::good(), Verdict::Pass, 0)]
    #[case::lost_request(Record::good().fail(3, Failure::Refused), Verdict::Fail, 1)]
    #[case::failed_step(Record::good().outcome(Outcome::Failed { error: "no".into(), hint: None }), Verdict::Fail, 1)]
    #[case::too_few_samples(Record::good().planned(1000), Verdict::Inconclusive, 4)]
    #[case::infra_over_fail(Record::good().fail(3, Failure::Refused).infra("engine"), Verdict::Infra, 3)]
    #[case::cancelled_over_infra(Record::good().infra("engine").cancelled("SIGINT"), Verdict::Cancelled, 130)]
    #[case::fail_over_inconclusive(Record::good().fail(3, Failure::Refused).planned(1000), Verdict::Fail, 1)]
    #[case::killed(Record::good().without_end(), Verdict::Cancelled, 130)]
    #[case::unknown_rule(Record::good().invariants(&["no-such-rule"]), Verdict::Inconclusive, 4)]
    #[case::expected_fail(
        Record::good().fail(3, Failure::Refused).expect(expectation(Verdict::Fail, Some("no-lost-request"))), Verdict::Fail, 0)]
    #[case::expected_fail_by_another_rule(
        Record::good().fail(3, Failure::Refused).expect(expectation(Verdict::Fail, Some("steps"))), Verdict::Fail, 1)]
    #[case::pass_where_a_fail_was_expected(Record::good().expect(expectation(Verdict::Fail, None)), Verdict::Pass, 1)]
    #[case::expected_fail_while_another_rule_holds(
        Record::good().fail(3, Failure::Refused).expect(holding(&["steps", "evidence"])), Verdict::Fail, 0)]
    #[case::expected_fail_but_another_rule_does_not_hold(
        Record::good().fail(3, Failure::Refused).planned(1000).expect(holding(&["evidence"])), Verdict::Fail, 1)]
    #[case::a_rule_that_must_hold_is_judged_unasked(
        Record::good().fail(3, Failure::Refused).expect(holding(&["budget"])), Verdict::Fail, 0)]
    #[case::a_rule_that_must_hold_is_unknown(
        Record::good().fail(3, Failure::Refused).expect(holding(&["no-such-rule"])), Verdict::Fail, 1)]
    #[case::expected_inconclusive(
        Record::good().planned(1000).expect(expectation(Verdict::Inconclusive, Some("evidence"))), Verdict::Inconclusive, 0)]
    fn the_first_that_applies_wins(#[case] record: Record, #[case] verdict: Verdict, #[case] code: u8) {
        let judgement = judge(&record.fold());
        assert_eq!((judgement.verdict, judgement.exit_code()), (verdict, code), "{:#?}", judgement.findings);
    }

    #[test]
    fn nothing_at_all_is_no_pass() {
        assert_eq!(judge_live(&RunState::default()).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&RunState::default()).verdict, Verdict::Cancelled);
    }

    #[test]
    fn live_and_later_agree_whatever_happens_while_tearing_down() {
        for record in [Record::good(), Record::good().fail(3, Failure::Timeout), Record::good().planned(500)] {
            let mut events = record.events();
            assert_eq!(events.pop().unwrap().kind, EventKind::RunEnded);
            let mut live: RunState = events.iter().collect();
            let judgement = judge_live(&live);
            let trouble = EventKind::Infra { what: "remove a network".into(), error: "in use".into(), hint: None };
            let interrupt = EventKind::Cancelled { by: "SIGINT".into() };
            for kind in [EventKind::Verdict(judgement.clone()), trouble, interrupt, EventKind::RunEnded] {
                live.apply(&crate::Event { t: live.now, kind });
            }
            assert_eq!(judge(&live), judgement);
            assert_eq!(live.recorded.as_ref(), Some(&judgement));
        }
    }
}

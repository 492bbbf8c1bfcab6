//! How a judgement comes about: everything that the rules say, and what outranks them.

use super::{Evidence, Finding, Judgement, Verdict};
use crate::fold::RunState;
use crate::{expectation, invariants};

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

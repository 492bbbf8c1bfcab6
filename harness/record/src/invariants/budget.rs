//! `budget`: each phase kept the disruption that it was given.

use super::Invariant;
use super::no_lost_request::{budget, failures_by_phase, is_request, requests};
use crate::fmt;
use crate::fold::RunState;
use crate::verdict::{Evidence, Finding, Verdict};

/// The rule.
#[derive(Debug)]
pub struct Budgets;

impl Invariant for Budgets {
    fn name(&self) -> &'static str {
        "budget"
    }

    fn demands(&self) -> &'static str {
        "in each phase, failed samples and the longest outage stay within the phase's budget"
    }

    /// A scenario that gives a phase a budget means it.
    fn always(&self, run: &RunState) -> bool {
        run.phases.iter().any(|p| !p.info.budget.is_zero())
    }

    fn judge(&self, run: &RunState) -> Finding {
        if requests(run).all(|(_, probe)| probe.total.taken == 0) {
            return Finding::new(self.name(), Verdict::Inconclusive, "no sample was taken");
        }
        let failures = failures_by_phase(run);
        let outages: Vec<_> = run.outages().into_iter().filter(|(probe, _)| is_request(run, probe)).collect();
        let mut finding = Finding::new(self.name(), Verdict::Pass, "");
        let (mut over, mut doubtful, mut judged) = (Vec::new(), Vec::new(), 0);
        for (index, phase) in run.phases.iter().enumerate().filter(|(_, p)| p.started.is_some()) {
            let name = &phase.info.name;
            let allowed = budget(run, Some(index));
            let (failed, in_doubt) = failures.get(&Some(index)).map_or((0, 0), |f| (f.failed, f.doubtful));
            let limit = allowed.failed_limit();
            let too_many = limit.is_some_and(|limit| failed - in_doubt > limit);
            let perhaps = limit.is_some_and(|limit| failed > limit);

            // An outage belongs to the phase in which it began.
            let own =
                || outages.iter().filter(|(_, o)| run.phase_at(o.span.from).is_some_and(|p| std::ptr::eq(p, phase)));
            let longest = own().max_by_key(|(_, o)| o.span.len());
            let too_long = longest.filter(|(_, o)| allowed.longest_limit().is_some_and(|limit| o.span.len() > limit));

            judged += 1;
            if failed > 0 || !allowed.is_zero() {
                finding.details.push(format!(
                    "{name}: {} failed (allowed: {}), longest outage {} (allowed: {})",
                    fmt::number(failed),
                    limit.map_or("any".into(), fmt::number),
                    longest.map_or("none".into(), |(_, o)| fmt::precise(o.span.len())),
                    allowed.longest_limit().map_or("any".into(), fmt::precise),
                ));
            }
            if let Some((probe, outage)) = too_long {
                let (from, to, failed) = (outage.span.from, outage.span.to, outage.failed);
                finding.evidence.push(Evidence::Outage { probe: (*probe).to_owned(), from, to, failed });
            }
            if too_many || (too_long.is_some() && failed > in_doubt) {
                over.push(name.as_str());
            } else if perhaps || too_long.is_some() {
                doubtful.push(name.as_str());
            }
        }
        (finding.verdict, finding.message) = if !over.is_empty() {
            (Verdict::Fail, format!("over budget: {}", over.join(", ")))
        } else if !doubtful.is_empty() {
            (
                Verdict::Inconclusive,
                format!("over budget only while the sampler itself was out: {}", doubtful.join(", ")),
            )
        } else if judged == 0 {
            (Verdict::Inconclusive, "no phase was started".into())
        } else {
            (Verdict::Pass, format!("{} within budget", fmt::count(judged, "phase")))
        };
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::testing::Record;
    use rstest::rstest;

    fn three_failed() -> Record {
        (200..203).fold(Record::good(), |r, i| r.fail(i, Failure::Refused))
    }

    #[rstest]
    #[case::nothing_failed(Record::good(), Verdict::Pass, "2 phases within budget")]
    #[case::nothing_allowed(three_failed(), Verdict::Fail, "over budget: take over")]
    #[case::enough_allowed(three_failed().budget(1, 3, 0), Verdict::Pass, "2 phases within budget")]
    #[case::one_too_many(three_failed().budget(1, 2, 0), Verdict::Fail, "over budget: take over")]
    #[case::exactly_as_long(three_failed().budget(1, 0, 150), Verdict::Pass, "2 phases within budget")]
    #[case::too_long(three_failed().budget(1, 0, 149), Verdict::Fail, "over budget: take over")]
    #[case::both_set_one_broken(three_failed().budget(1, 9, 100), Verdict::Fail, "over budget: take over")]
    #[case::sampler_late(Record::good().late(200, 90).fail(200, Failure::Timeout), Verdict::Inconclusive,
        "over budget only while the sampler itself was out: take over")]
    #[case::no_samples(Record::good().without_samples(), Verdict::Inconclusive, "no sample was taken")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = Budgets.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn phases_with_a_budget_or_a_failure_are_accounted_for() {
        let finding = Budgets.judge(&three_failed().budget(1, 2, 0).fold());
        assert_eq!(finding.details, ["take over: 3 failed (allowed: 2), longest outage 150 ms (allowed: any)"]);
    }
}

//! `no-lost-request`: the workload answered every sample, beyond what a phase's budget allows.

use std::collections::BTreeMap;

use super::Invariant;
use super::observed::going_on;
use super::policy_enforced::is_canary;
use crate::attribution::Causes;
use crate::event::Budget;
use crate::fmt;
use crate::fold::{ProbeState, RunState};
use crate::intervals::Outage;
use crate::verdict::{Evidence, Finding, Verdict};

/// Outages listed one by one in a finding; the rest is counted.
const MAX_LISTED: usize = 20;

/// The rule.
#[derive(Debug)]
pub struct NoLostRequest;

impl Invariant for NoLostRequest {
    fn name(&self) -> &'static str {
        "no-lost-request"
    }

    fn demands(&self) -> &'static str {
        "no sample of any probe fails, beyond the budget of its phase"
    }

    fn judge(&self, run: &RunState) -> Finding {
        let (taken, failed) = requests(run)
            .fold((0, 0), |(taken, failed), (_, probe)| (taken + probe.total.taken, failed + probe.total.failed));
        if taken == 0 {
            return Finding::new(self.name(), Verdict::Inconclusive, "no sample was taken");
        }
        let phases = failures_by_phase(run);
        let beyond = |count: fn(&Failures) -> u64| {
            phases
                .iter()
                .filter_map(|(phase, failures)| {
                    Some(count(failures).saturating_sub(budget(run, *phase).failed_limit()?))
                })
                .sum::<u64>()
        };
        let certain = beyond(|f| f.failed - f.doubtful);
        let with_doubtful = beyond(|f| f.failed);

        let samples = fmt::count(taken, "sample");
        let (verdict, message) = if certain > 0 {
            let allowed = if certain < failed {
                format!(", {} beyond what was allowed", fmt::number(certain))
            } else {
                String::new()
            };
            (Verdict::Fail, format!("{} of {samples} failed{allowed}", fmt::number(failed)))
        } else if with_doubtful > 0 {
            let failed = fmt::number(failed);
            (
                Verdict::Inconclusive,
                format!(
                    "{failed} of {samples} failed while the sampler itself was out: not the workload's fault for certain"
                ),
            )
        } else if failed > 0 {
            (
                Verdict::Pass,
                format!("{} of {samples} failed, as the budgets of their phases allow", fmt::number(failed)),
            )
        } else {
            (Verdict::Pass, format!("none of {samples} failed"))
        };

        let mut finding = Finding::new(self.name(), verdict, message);
        let outages: Vec<_> = run.outages().into_iter().filter(|(probe, _)| is_request(run, probe)).collect();
        let causes = Causes::new(run);
        for (probe, outage) in outages.iter().take(MAX_LISTED) {
            finding.details.push(describe(run, probe, outage));
            finding.details.extend(causes.line(run, probe, outage).map(|line| format!("  {line}")));
            finding.evidence.push(Evidence::Outage {
                probe: (*probe).to_owned(),
                from: outage.span.from,
                to: outage.span.to,
                failed: outage.failed,
            });
        }
        let dropped: u64 = requests(run).map(|(_, probe)| probe.outages_dropped).sum();
        let more = outages.len().saturating_sub(MAX_LISTED) as u64 + dropped;
        if more > 0 {
            finding.details.push(format!("and {}", fmt::count(more, "more outage")));
        }
        finding
    }
}

/// Probes whose samples are requests that must not be lost. Canaries are not: they ask whether a policy is enforced, and
/// `policy-enforced` judges them.
pub(super) fn requests(run: &RunState) -> impl Iterator<Item = (&str, &ProbeState)> {
    run.probes.iter().map(|(name, probe)| (name.as_str(), probe)).filter(|(_, probe)| !is_canary(probe))
}

/// Whether a probe of that name is one of [`requests`].
pub(super) fn is_request(run: &RunState, probe: &str) -> bool {
    run.probes.get(probe).is_none_or(|probe| !is_canary(probe))
}

/// Failed samples of a phase, over all requests.
#[derive(Default)]
pub(super) struct Failures {
    pub failed: u64,
    pub doubtful: u64,
}

/// Failed samples by the phase of their intended time; `None` between phases.
pub(super) fn failures_by_phase(run: &RunState) -> BTreeMap<Option<usize>, Failures> {
    let mut phases: BTreeMap<Option<usize>, Failures> = BTreeMap::new();
    for (name, probe) in requests(run) {
        for (phase, stats) in &probe.by_phase {
            phases.entry(*phase).or_default().failed += stats.failed;
        }
        for failure in run.doubtful(name) {
            phases.entry(failure.phase).or_default().doubtful += 1;
        }
    }
    phases
}

/// The budget of a phase; nothing may fail between phases.
pub(super) fn budget(run: &RunState, phase: Option<usize>) -> Budget {
    phase.and_then(|i| run.phases.get(i)).map(|p| p.info.budget).unwrap_or_default()
}

/// One outage in a line: what, when, how, and what was going on.
pub(super) fn describe(run: &RunState, probe: &str, outage: &Outage) -> String {
    let kinds: Vec<_> = outage.kinds.iter().map(|(kind, n)| format!("{kind} ×{}", fmt::number(*n))).collect();
    let until = match outage.open {
        true => format!("{}, the end of the samples", run.when(outage.span.to)),
        false => run.when(outage.span.to),
    };
    format!(
        "{probe} out for {} from {} to {until}: {}{}",
        fmt::precise(outage.span.len()),
        run.when(outage.span.from),
        kinds.join(", "),
        going_on(run, outage.span.from),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::testing::{MS, Record, SECOND};
    use rstest::rstest;

    // Sample 100 is due in bootstrap, 200 to 389 in take over, 10 before either.
    #[rstest]
    #[case::none(Record::good(), Verdict::Pass, "none of 400 samples failed")]
    #[case::one(Record::good().fail(200, Failure::Refused), Verdict::Fail, "1 of 400 samples failed")]
    #[case::between_phases(Record::good().budget(0, 9, 0).fail(10, Failure::Refused), Verdict::Fail, "1 of 400 samples failed")]
    #[case::in_budget(
        Record::good().budget(1, 2, 0).fail(200, Failure::Refused).fail(300, Failure::Timeout), Verdict::Pass,
        "2 of 400 samples failed, as the budgets of their phases allow")]
    #[case::beyond_budget(
        Record::good().budget(1, 1, 0).fail(200, Failure::Refused).fail(201, Failure::Reset), Verdict::Fail,
        "2 of 400 samples failed, 1 beyond what was allowed")]
    #[case::another_phases_budget(
        Record::good().budget(1, 5, 0).fail(100, Failure::Refused), Verdict::Fail, "1 of 400 samples failed")]
    #[case::only_the_length_is_bounded(
        Record::good().budget(1, 0, 500).fail(200, Failure::Refused), Verdict::Pass,
        "1 of 400 samples failed, as the budgets of their phases allow")]
    #[case::sampler_was_late(
        Record::good().late(200, 90).fail(200, Failure::Timeout), Verdict::Inconclusive,
        "1 of 400 samples failed while the sampler itself was out: not the workload's fault for certain")]
    #[case::sampler_was_late_elsewhere(
        Record::good().late(200, 90).fail(300, Failure::Timeout), Verdict::Fail, "1 of 400 samples failed")]
    #[case::canaries_are_no_requests(
        Record::good().probing("db-denied/inside/new", "canary", ".xx."), Verdict::Pass, "none of 400 samples failed")]
    #[case::other_probes_are(
        Record::good().probing("api/inside/new", "kube-api", ".xx."), Verdict::Fail, "2 of 404 samples failed")]
    #[case::no_samples(Record::good().without_samples(), Verdict::Inconclusive, "no sample was taken")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = NoLostRequest.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn outages_are_named() {
        let mut record = Record::good().fail(399, Failure::Status(503));
        for i in 200..203 {
            record = record.fail(i, if i == 200 { Failure::Reset } else { Failure::Refused });
        }
        let finding = NoLostRequest.judge(&record.fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        web/outside/new out for 150 ms from 12:00:10.000 (+0:10.000) to 12:00:10.150 (+0:10.150): refused ×2, reset ×1; phase take over, step 2 (install-operator it)
        web/outside/new out for 50 ms from 12:00:19.950 (+0:19.950) to 12:00:20.000 (+0:20.000), the end of the samples: status 503 ×1; between phases
        ");
        assert_eq!(finding.evidence.len(), 2);
    }

    #[test]
    fn what_changed_around_an_outage_is_named_below_it() {
        let record = Record::good().fail(200, Failure::Refused).watched().object(4 * SECOND, "pod/apps/web-1", |_| {});
        let finding = NoLostRequest.judge(&record.gone(9_900 * MS, "pod/apps/web-1").fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        web/outside/new out for 50 ms from 12:00:10.000 (+0:10.000) to 12:00:10.050 (+0:10.050): refused ×1; phase take over, step 2 (install-operator it)
          likely: pod/apps/web-1 is gone, 100 ms before
        ");
    }

    #[test]
    fn a_flood_of_outages_is_counted() {
        let record = (0..60).fold(Record::good(), |r, i| r.fail(200 + i * 2, Failure::Refused));
        let finding = NoLostRequest.judge(&record.fold());
        assert_eq!(finding.details.len(), MAX_LISTED + 1);
        assert_eq!(finding.details.last().unwrap(), "and 40 more outages");
    }
}

//! `evidence`: the run looked hard enough to say anything.

use super::Invariant;
use crate::fmt;
use crate::fold::RunState;
use crate::stats::late_after;
use crate::verdict::{Evidence, Finding, Verdict};

/// Share of the planned samples that must be taken on time, in percent (design, "Evidence").
pub const MIN_PERCENT: u64 = 99;

/// Sampler outages listed one by one; the rest is counted.
const MAX_LISTED: usize = 10;

/// The rule.
#[derive(Debug)]
pub struct SufficientEvidence;

impl Invariant for SufficientEvidence {
    fn name(&self) -> &'static str {
        "evidence"
    }

    fn demands(&self) -> &'static str {
        "each probe takes at least 99 % of its planned samples, on time"
    }

    fn always(&self, _run: &RunState) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let mut finding = Finding::new(self.name(), Verdict::Pass, "");
        let (mut all_on_time, mut all_planned, mut thin) = (0u64, 0u64, Vec::new());
        for (name, probe) in &run.probes {
            let planned = probe.planned(run.known_until()).max(probe.total.taken);
            let on_time = probe.total.on_time();
            all_on_time += on_time;
            all_planned = all_planned.saturating_add(planned);
            finding.evidence.push(Evidence::Samples { probe: name.clone(), taken: on_time, planned });

            let enough = u128::from(on_time) * 100 >= u128::from(planned) * u128::from(MIN_PERCENT);
            if planned == 0 || !enough {
                thin.push(name.as_str());
                let late = match probe.info.as_ref() {
                    Some(info) => format!(
                        "{} later than {}",
                        fmt::number(probe.total.late),
                        fmt::duration(late_after(info.interval))
                    ),
                    None => format!("{} late", fmt::number(probe.total.late)),
                };
                finding.details.push(format!(
                    "{name}: {} of {} planned samples on time ({}); {late}, {} not taken",
                    fmt::number(on_time),
                    fmt::number(planned),
                    fmt::percent(on_time, planned),
                    fmt::number(planned - probe.total.taken),
                ));
            }
            for outage in probe.sampler_outages.iter().take(MAX_LISTED) {
                finding.details.push(format!(
                    "sampler of {name} out for {} from {}: {}",
                    fmt::precise(outage.span.len()),
                    run.when(outage.span.from),
                    outage.reason,
                ));
            }
            let more = probe.sampler_outages.len().saturating_sub(MAX_LISTED);
            if more > 0 {
                finding.details.push(format!("and {} of {name}", fmt::count(more as u64, "more sampler outage")));
            }
        }
        let of_planned = format!(
            "{} of {} planned samples taken on time ({})",
            fmt::number(all_on_time),
            fmt::number(all_planned),
            fmt::percent(all_on_time, all_planned)
        );
        (finding.verdict, finding.message) = if run.probes.is_empty() {
            (Verdict::Inconclusive, "no probe was running: nothing is known about the workload".into())
        } else if run.sample_totals().0 == 0 {
            (Verdict::Inconclusive, "no sample was taken: nothing is known about the workload".into())
        } else if thin.is_empty() {
            (Verdict::Pass, of_planned)
        } else {
            (Verdict::Inconclusive, format!("{of_planned}; {MIN_PERCENT} % are needed of {}", thin.join(", ")))
        };
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Record;
    use rstest::rstest;

    fn late(n: u64, ms: u32) -> Record {
        (0..n).fold(Record::good(), |r, i| r.late(i * 3, ms))
    }

    #[rstest]
    #[case::all(Record::good(), Verdict::Pass, "400 of 400 planned samples taken on time (100 %)")]
    #[case::just_enough(Record::good().planned(404), Verdict::Pass, "400 of 404 planned samples taken on time (99.0 %)")]
    #[case::just_too_few(Record::good().planned(405), Verdict::Inconclusive,
        "400 of 405 planned samples taken on time (98.7 %); 99 % are needed of web/outside/new")]
    #[case::few_late(late(4, 51), Verdict::Pass, "396 of 400 planned samples taken on time (99.0 %)")]
    #[case::slow_but_on_time(late(100, 50), Verdict::Pass, "400 of 400 planned samples taken on time (100 %)")]
    #[case::many_late(
        late(5, 51),
        Verdict::Inconclusive,
        "395 of 400 planned samples taken on time (98.7 %); 99 % are needed of web/outside/new"
    )]
    #[case::no_probe(Record::good().without_samples(), Verdict::Inconclusive,
        "no probe was running: nothing is known about the workload")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = SufficientEvidence.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn the_samplers_own_outages_are_told() {
        let finding = SufficientEvidence.judge(&late(5, 51).sampler_outage(3_000, 3_400).fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        web/outside/new: 395 of 400 planned samples on time (98.7 %); 5 later than 50 ms, 0 not taken
        sampler of web/outside/new out for 400 ms from 12:00:03.000 (+0:03.000): the host was busy
        ");
    }
}

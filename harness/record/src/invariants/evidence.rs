//! `evidence`: the run looked hard enough to say anything.

use super::Invariant;
use crate::fmt;
use crate::fold::RunState;
use crate::stats::late_after;
use crate::verdict::{Evidence, Finding, Verdict};

/// Share of the planned samples that must be taken on time, in percent (design, "Evidence").
pub const MIN_PERCENT: u64 = 99;

/// Samples that one probe may lack beyond that, as long as all probes together have their share. A host that pauses once costs
/// every probe a sample or two, however seldom it asks: of 200 samples two are a percent, and no reason to ask all again.
pub const FEW: u64 = 4;

/// And the largest share of a probe that such a few may be: one in twenty.
const FEW_OF: u64 = 20;

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
        "at least 99 % of the planned samples are taken on time, of all probes and of each, which may lack 4 where these are more"
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

            if lacks(on_time, planned) {
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
        } else if thin.is_empty() && enough(all_on_time, all_planned) {
            (Verdict::Pass, of_planned)
        } else if thin.is_empty() {
            (Verdict::Inconclusive, format!("{of_planned}; {MIN_PERCENT} % are needed"))
        } else {
            (Verdict::Inconclusive, format!("{of_planned}; {MIN_PERCENT} % are needed of {}", thin.join(", ")))
        };
        finding
    }
}

/// Whether a probe looked too seldom, whatever the others did.
fn lacks(on_time: u64, planned: u64) -> bool {
    planned == 0 || !(enough(on_time, planned) || planned - on_time <= FEW.min(planned / FEW_OF))
}

fn enough(on_time: u64, planned: u64) -> bool {
    u128::from(on_time) * 100 >= u128::from(planned) * u128::from(MIN_PERCENT)
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

    #[rstest]
    #[case::a_few_of_two_hundred(196, 200, false)]
    #[case::more_than_a_few(195, 200, true)]
    #[case::a_percent_of_many(9_900, 10_000, false)]
    #[case::a_few_are_one_in_twenty(38, 40, false)]
    #[case::at_most(37, 40, true)]
    #[case::of_next_to_none(18, 19, true)]
    #[case::none(0, 0, true)]
    fn one_probe_may_lack_a_few(#[case] on_time: u64, #[case] planned: u64, #[case] lacking: bool) {
        assert_eq!(lacks(on_time, planned), lacking);
    }

    #[test]
    fn what_each_may_lack_all_together_may_not() {
        let few = format!("{:100}", ".".repeat(96));
        let run = Record::good().without_samples().probing("seldom/inside/new", "http", &few);
        let finding = SufficientEvidence.judge(&run.fold());
        assert_eq!(finding.message, "96 of 100 planned samples taken on time (96.0 %); 99 % are needed");
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

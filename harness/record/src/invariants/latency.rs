//! `latency`: the workload answers about as fast as it did while nothing was done to it.

use super::Invariant;
use super::no_lost_request::requests;
use crate::event::{Nanos, PhaseInfo, PhaseRole};
use crate::fmt;
use crate::fold::{Phase, ProbeState, RunState};
use crate::stats::{Distribution, Percentiles};
use crate::verdict::{Evidence, Finding, Verdict};

/// Samples that a baseline needs, and a phase for a percentile: with fewer the 90th, too, is one of a handful.
pub const MIN_SAMPLES: u64 = 100;

/// Samples of a phase that a 99th percentile needs: with fewer than five beyond it, one wait for a core decides. Of 107 samples of a
/// rollout on two cores it was 243 ms, with 28 ms while quiet, and nothing was lost. A phase of fewer is judged by its 90th.
pub const P99_SAMPLES: u64 = 500;

/// How much slower p99 (or p90) may be than in the quiet phase: five times, and at least 200 ms more.
///
/// A take-over replaces all controllers, and on a cluster of two cores answers wait for a core meanwhile: p99 of 30 to 180 ms
/// were measured. An answer that lost a packet waits longer: 200 ms is the least retransmission timeout of Linux.
pub const P99: Allowance = Allowance { times: 5, more_us: 200_000 };

/// How much slower a single answer may be than the slowest one in the quiet phase: ten times, and at least 750 ms more.
///
/// One sample in thousands meets a compaction, or a node that has no core for it: up to 290 ms were measured. One that had to
/// send its SYN a second time took a second more (the first retransmission timeout, RFC 6298).
pub const MAX: Allowance = Allowance { times: 10, more_us: 750_000 };

/// A limit over a baseline: the higher of a multiple and a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Times the baseline.
    pub times: u64,
    /// Microseconds more than the baseline.
    pub more_us: u64,
}

impl Allowance {
    /// The limit in microseconds.
    pub fn over(self, baseline_us: u64) -> u64 {
        baseline_us.saturating_mul(self.times).max(baseline_us.saturating_add(self.more_us))
    }
}

/// The rule.
#[derive(Debug)]
pub struct Latency;

impl Invariant for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn demands(&self) -> &'static str {
        "in each phase, p99 (p90 of fewer than 500 samples) and the slowest answer of each probe stay near those of the quiet phase"
    }

    fn judge(&self, run: &RunState) -> Finding {
        let mut finding = Finding::new(self.name(), Verdict::Pass, "");
        let (mut slower, mut unknown, mut judged) = (Vec::new(), Vec::new(), 0);
        for (name, probe) in requests(run) {
            let steady = probe.steady();
            let mut quiet = Distribution::default();
            let in_phase = |index: usize| steady.get(&Some(index));
            for (index, _) in phases(run, |role| role == PhaseRole::Quiet) {
                in_phase(index).into_iter().for_each(|distribution| quiet.add(distribution));
            }
            let base = quiet.percentiles().filter(|_| quiet.count() >= MIN_SAMPLES);
            let Some(base) = base else {
                unknown.push(name);
                finding.details.push(format!(
                    "{name}: {} in quiet phases, {MIN_SAMPLES} are needed",
                    fmt::count(quiet.count(), "good sample")
                ));
                continue;
            };
            for (index, phase) in phases(run, |role| role != PhaseRole::Quiet) {
                let Some(distribution) = in_phase(index) else { continue };
                let Some(seen) = distribution.percentiles() else { continue };
                judged += 1;
                let wrong = compare(&base, &seen, distribution.count(), patience_us(probe, &phase.info));
                if wrong.is_empty() {
                    continue;
                }
                slower.push(format!("{name} in {}", phase.info.name));
                for line in wrong {
                    finding.details.push(format!("{name} in {}: {line}", phase.info.name));
                }
                finding.evidence.extend(phase.started.map(Evidence::At));
            }
        }
        (finding.verdict, finding.message) = if !slower.is_empty() {
            (Verdict::Fail, format!("slower than in the quiet phase: {}", slower.join(", ")))
        } else if !unknown.is_empty() {
            let how = match phases(run, |role| role == PhaseRole::Quiet).next() {
                Some(_) => "a longer quiet phase or a higher rate gives them one",
                None => "no quiet phase was run: `proof: {quiet: 10s}` gives one, `--quick` leaves it out",
            };
            (Verdict::Inconclusive, format!("no baseline for {}; {how}", unknown.join(", ")))
        } else if judged == 0 {
            (Verdict::Inconclusive, "no sample was taken in any phase: nothing can be compared".into())
        } else {
            let of = fmt::count(judged, "comparison");
            (Verdict::Pass, format!("none of {of} with the quiet phase is slower"))
        };
        finding
    }
}

fn phases(run: &RunState, wanted: fn(PhaseRole) -> bool) -> impl Iterator<Item = (usize, &Phase)> {
    run.phases.iter().enumerate().filter(move |(_, phase)| wanted(phase.info.role))
}

/// What a budget adds to the slowest answer: one that waited for an outage to end is as late as the outage is long.
fn patience_us(probe: &ProbeState, phase: &PhaseInfo) -> u64 {
    let timeout = || probe.info.as_ref().map_or(0, |info| info.timeout);
    let outage: Nanos = phase.budget.longest_limit().unwrap_or_else(timeout);
    outage / 1_000
}

/// What is too slow, a line each.
fn compare(base: &Percentiles, seen: &Percentiles, samples: u64, patience_us: u64) -> Vec<String> {
    let limits = [
        ("p99", seen.p99, base.p99, P99.over(base.p99), samples >= P99_SAMPLES),
        ("p90", seen.p90, base.p90, P99.over(base.p90), (MIN_SAMPLES..P99_SAMPLES).contains(&samples)),
        ("slowest", seen.max, base.max, MAX.over(base.max).saturating_add(patience_us), true),
    ];
    let wrong = limits.into_iter().filter(|(_, seen, _, limit, applies)| *applies && seen > limit);
    wrong
        .map(|(what, seen, base, limit, _)| {
            let [seen, base, limit] = [seen, base, limit].map(fmt::latency);
            format!("{what} {seen} of {}, {base} while quiet (at most {limit})", fmt::count(samples, "sample"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Record;
    use rstest::rstest;

    /// Samples 90 to 189 are due in the first phase, which is quiet; 190 to 389 in the second.
    fn quiet_first() -> Record {
        Record::good().invariants(&["latency"]).role(0, PhaseRole::Quiet)
    }

    fn slow(from: u64, to: u64, ms: u32) -> Record {
        (from..to).fold(quiet_first(), |record, i| record.slow(i, ms))
    }

    // All answers take 1.0 to 1.6 ms: p99 may be 201.6 ms, the slowest 751.6 ms.
    #[rstest]
    #[case::as_before(quiet_first(), Verdict::Pass, "none of 1 comparison with the quiet phase is slower")]
    #[case::a_little_slower(slow(200, 300, 190), Verdict::Pass, "none of 1 comparison with the quiet phase is slower")]
    #[case::one_stall(slow(200, 201, 700), Verdict::Pass, "none of 1 comparison with the quiet phase is slower")]
    #[case::a_burst(slow(200, 205, 400), Verdict::Pass, "none of 1 comparison with the quiet phase is slower")]
    #[case::most(slow(200, 300, 220), Verdict::Fail, "slower than in the quiet phase: web/outside/new in take over")]
    #[case::slowest(slow(200, 201, 800), Verdict::Fail, "slower than in the quiet phase: web/outside/new in take over")]
    #[case::within_an_outage_allowed(slow(200, 201, 800).budget(1, 0, 200), Verdict::Pass,
        "none of 1 comparison with the quiet phase is slower")]
    #[case::the_sampler_was_late(quiet_first().late(200, 900), Verdict::Pass,
        "none of 1 comparison with the quiet phase is slower")]
    #[case::the_sampler_was_out_meanwhile(slow(200, 201, 900).sampler_outage(10_500, 10_800), Verdict::Pass,
        "none of 1 comparison with the quiet phase is slower")]
    #[case::the_sampler_was_out_elsewhere(slow(200, 201, 900).sampler_outage(12_000, 12_100), Verdict::Fail,
        "slower than in the quiet phase: web/outside/new in take over")]
    #[case::no_quiet_phase(
        Record::good(),
        Verdict::Inconclusive,
        "no baseline for web/outside/new; no quiet phase was run: `proof: {quiet: 10s}` gives one, `--quick` leaves it out"
    )]
    #[case::quiet_but_late(quiet_first().late(100, 60), Verdict::Inconclusive,
        "no baseline for web/outside/new; a longer quiet phase or a higher rate gives them one")]
    #[case::no_probe(quiet_first().without_samples(), Verdict::Inconclusive,
        "no sample was taken in any phase: nothing can be compared")]
    #[case::only_quiet(quiet_first().role(1, PhaseRole::Quiet), Verdict::Inconclusive,
        "no sample was taken in any phase: nothing can be compared")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = Latency.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message), "{:#?}", finding.details);
    }

    #[test]
    fn what_is_too_slow_is_told_beside_what_it_was() {
        let finding = Latency.judge(&slow(200, 300, 800).fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        web/outside/new in take over: p90 802 ms of 200 samples, 1.6 ms while quiet (at most 201 ms)
        web/outside/new in take over: slowest 802 ms of 200 samples, 1.6 ms while quiet (at most 751 ms)
        ");
        let few = Latency.judge(&quiet_first().late(100, 60).fold());
        assert_eq!(few.details, ["web/outside/new: 98 good samples in quiet phases, 100 are needed"]);
    }

    #[rstest]
    #[case::of_many(500, 1, &["p99 300 ms of 500 samples, 1.0 ms while quiet (at most 201 ms)"])]
    #[case::of_too_few_for_p99(499, 1, &[])]
    #[case::p90_of_few(100, 300, &["p90 300 ms of 100 samples, 1.0 ms while quiet (at most 201 ms)"])]
    #[case::of_next_to_none(99, 300, &[])]
    fn a_percentile_is_judged_by_samples_beyond_it(#[case] samples: u64, #[case] p90_ms: u64, #[case] wrong: &[&str]) {
        let base = Percentiles { p50: 1_000, p90: 1_000, p99: 1_000, p999: 1_000, max: 1_000 };
        let seen = Percentiles { p90: p90_ms * 1_000, p99: 300_000, p999: 300_000, max: 300_000, ..base };
        assert_eq!(compare(&base, &seen, samples, 0), wrong);
    }

    #[rstest]
    #[case::fast(1_000, 201_000, 751_000)]
    #[case::slow(100_000, 500_000, 1_000_000)]
    #[case::absurd(u64::MAX, u64::MAX, u64::MAX)]
    fn limits(#[case] baseline: u64, #[case] p99: u64, #[case] max: u64) {
        assert_eq!((P99.over(baseline), MAX.over(baseline)), (p99, max));
    }
}

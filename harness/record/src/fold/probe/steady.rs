//! Latencies that say something about the workload, told from those that a drowsy sampler made.

use std::collections::{BTreeMap, VecDeque};

use crate::event::Nanos;
use crate::intervals::{Interval, IntervalSet};
use crate::stats::{Distribution, LATE_FLOOR};

/// A good sample of which it is not yet known whether the sampler was awake until its answer came.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    span: Interval,
    latency_us: u32,
    phase: Option<usize>,
}

impl Waiting {
    fn is_sound(&self, gaps: &IntervalSet) -> bool {
        !gaps.overlaps(&self.span)
    }
}

/// The good samples of one probe, by phase.
///
/// That the sampler slept while a sample waited is only shown by the ones due after it. So a sample waits here until one is
/// due that comes after its answer: no more of them than fit into the probe's timeout.
#[derive(Debug, Clone, Default)]
pub(super) struct Steady {
    by_phase: BTreeMap<Option<usize>, Distribution>,
    waiting: VecDeque<Waiting>,
}

impl Steady {
    /// Takes a good sample in. One that was sent later than [`LATE_FLOOR`] never counts, however rarely its probe asks.
    pub fn sample(&mut self, at: Nanos, latency_us: u32, slip_us: u32, phase: Option<usize>) {
        if u64::from(slip_us) * 1_000 <= LATE_FLOOR {
            let answered = at.saturating_add(u64::from(latency_us) * 1_000).max(at.saturating_add(1));
            self.waiting.push_back(Waiting { span: Interval::new(at, answered), latency_us, phase });
        }
    }

    /// A sample due at `at` has been seen: what was answered before is settled.
    pub fn settle(&mut self, at: Nanos, gaps: &IntervalSet) {
        while let Some(sample) = self.waiting.pop_front_if(|sample| sample.span.to <= at) {
            if sample.is_sound(gaps) {
                self.by_phase.entry(sample.phase).or_default().record(sample.latency_us);
            }
        }
    }

    /// All of them, with those that still wait, as far as is known.
    pub fn by_phase(&self, gaps: &IntervalSet) -> BTreeMap<Option<usize>, Distribution> {
        let mut all = self.by_phase.clone();
        for sample in self.waiting.iter().filter(|sample| sample.is_sound(gaps)) {
            all.entry(sample.phase).or_default().record(sample.latency_us);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const MS: u64 = 1_000_000;

    /// Samples every 50 ms: (slip, latency) in milliseconds.
    #[rstest]
    #[case::all_fine(&[(0, 5), (1, 6), (0, 7)], &[], 3)]
    #[case::sent_late(&[(0, 5), (51, 60), (1, 7)], &[], 2)]
    #[case::just_in_time(&[(0, 5), (50, 60), (1, 7)], &[], 3)]
    #[case::reported_before_the_answer(&[(0, 5), (0, 120), (0, 5), (0, 5)], &[(110, 130)], 3)]
    #[case::reported_elsewhere(&[(0, 5), (0, 5), (0, 5)], &[(10, 40)], 3)]
    #[case::the_last_one_waits_still(&[(0, 5), (0, 500)], &[(300, 310)], 1)]
    fn counts_what_was_asked_awake(#[case] samples: &[(u32, u32)], #[case] gaps: &[(u64, u64)], #[case] expected: u64) {
        let gaps: IntervalSet = gaps.iter().map(|(from, to)| Interval::new(from * MS, to * MS)).collect();
        let mut steady = Steady::default();
        for (i, (slip, latency)) in (0u64..).zip(samples) {
            let at = i * 50 * MS;
            steady.settle(at, &gaps);
            steady.sample(at, latency * 1_000, slip * 1_000, Some(0));
        }
        let all = steady.by_phase(&gaps);
        assert_eq!(all.values().map(Distribution::count).sum::<u64>(), expected);
    }

    #[test]
    fn a_nap_is_shown_by_the_samples_after_it() {
        let mut steady = Steady::default();
        let mut gaps = IntervalSet::default();
        steady.sample(0, 400_000, 0, None);
        // The next one was sent 350 ms late: the first cannot have been answered before.
        gaps.insert(Interval::new(50 * MS, 400 * MS));
        steady.settle(50 * MS, &gaps);
        steady.settle(450 * MS, &gaps);
        assert!(steady.by_phase(&gaps).is_empty());
    }
}

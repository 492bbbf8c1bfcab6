//! Counters and percentiles of samples, in constant memory.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::event::Nanos;

/// Highest value kept apart, in microseconds: one hour. Probes time out long before.
const HIGHEST_US: u64 = 3_600_000_000;

/// Significant decimal digits of a percentile. Two digits cost 13 kB for each histogram and err by less than 1 %.
const DIGITS: u8 = 2;

/// A slip up to this counts as on time whatever the rate: the shortest outage that the design promises to see is 50 ms, and
/// below that a late sample sees no less.
pub const LATE_FLOOR: Nanos = 50_000_000;

/// The slip after which a sample counts as not taken: when the next one of its probe was due, but never below
/// [`LATE_FLOOR`].
pub fn late_after(interval: Nanos) -> Nanos {
    interval.max(LATE_FLOOR)
}

/// A distribution of microseconds.
#[derive(Debug, Clone, Default)]
pub struct Distribution(Option<Histogram<u32>>);

impl Distribution {
    /// Adds a value.
    pub fn record(&mut self, us: u32) {
        if self.0.is_none() {
            // The bounds are constants that the tests cover: this does not fail.
            self.0 = Histogram::new_with_bounds(1, HIGHEST_US, DIGITS).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::from(us).max(1));
        }
    }

    /// Adds every value of another.
    pub fn add(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            // Both have the same bounds: this does not fail.
            (Some(own), Some(other)) => _ = own.add(other),
            (None, Some(other)) => self.0 = Some(other.clone()),
            (_, None) => {}
        }
    }

    /// How many values it has.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// Its percentiles, if there is any value.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let h = self.0.as_ref().filter(|h| !h.is_empty())?;
        // The histogram rounds up within its precision; the maximum must not exceed what was seen by more than that.
        let at = |q| h.value_at_quantile(q);
        Some(Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: h.max() })
    }
}

/// Percentiles of a distribution, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// Highest.
    pub max: u64,
}

/// What is known of a number of samples.
#[derive(Debug, Clone, Default)]
pub struct SampleStats {
    /// Samples in the record, late ones included.
    pub taken: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, sent later than [`late_after`].
    pub late: u64,
    /// Latency of the good ones, from the intended time.
    pub latency: Distribution,
    /// Time from intended to sent, of all.
    pub slip: Distribution,
}

impl SampleStats {
    /// Adds a sample.
    pub fn record(&mut self, latency_us: u32, slip_us: u32, failed: bool, late: bool) {
        self.taken += 1;
        self.failed += u64::from(failed);
        self.late += u64::from(late);
        self.slip.record(slip_us);
        if !failed {
            self.latency.record(latency_us);
        }
    }

    /// Samples that succeeded.
    pub fn good(&self) -> u64 {
        self.taken - self.failed
    }

    /// Samples that count as evidence.
    pub fn on_time(&self) -> u64 {
        self.taken - self.late
    }
}

/// Highest and mean latency over time, in a bounded number of buckets: the buckets widen as the run goes on.
#[derive(Debug, Clone)]
pub struct Series {
    width: Nanos,
    buckets: Vec<Bucket>,
}

/// Samples that were due in one stretch of a [`Series`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Good samples.
    pub good: u64,
    /// Failed samples.
    pub failed: u64,
    /// Sum of the good ones' latencies, in microseconds.
    pub sum_us: u64,
    /// Highest of the good ones' latencies, in microseconds.
    pub max_us: u32,
}

impl Bucket {
    /// Mean latency in microseconds, if any sample was good.
    pub fn mean_us(&self) -> Option<u64> {
        self.sum_us.checked_div(self.good)
    }

    fn add(&mut self, other: &Self) {
        self.good += other.good;
        self.failed += other.failed;
        self.sum_us += other.sum_us;
        self.max_us = self.max_us.max(other.max_us);
    }
}

impl Series {
    /// Buckets at most; one is about two pixels wide in the report.
    const MAX_BUCKETS: usize = 512;
    /// Width at the start.
    const FIRST_WIDTH: Nanos = 100_000_000;

    /// Adds a sample due at `at`.
    pub fn record(&mut self, at: Nanos, latency_us: u32, failed: bool) {
        while at / self.width >= Self::MAX_BUCKETS as u64 {
            self.buckets = self
                .buckets
                .chunks(2)
                .map(|pair| {
                    let mut sum = pair[0];
                    pair[1..].iter().for_each(|b| sum.add(b));
                    sum
                })
                .collect();
            self.width *= 2;
        }
        let index = (at / self.width) as usize;
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, Bucket::default());
        }
        let sample = if failed {
            Bucket { failed: 1, ..Bucket::default() }
        } else {
            Bucket { good: 1, failed: 0, sum_us: latency_us.into(), max_us: latency_us }
        };
        self.buckets[index].add(&sample);
    }

    /// (start of the bucket, bucket), those without samples too.
    pub fn buckets(&self) -> impl Iterator<Item = (Nanos, &Bucket)> {
        self.buckets.iter().enumerate().map(|(i, b)| (i as u64 * self.width, b))
    }

    /// Width of a bucket.
    pub fn width(&self) -> Nanos {
        self.width
    }
}

impl Default for Series {
    fn default() -> Self {
        Self { width: Self::FIRST_WIDTH, buckets: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_recorded_has_no_percentiles() {
        assert_eq!(Distribution::default().percentiles(), None);
    }

    #[test]
    fn extremes_are_kept() {
        let mut d = Distribution::default();
        d.record(0);
        d.record(u32::MAX);
        let p = d.percentiles().unwrap();
        assert_eq!(p.p50, 1);
        assert!(p.max >= HIGHEST_US, "{p:?}");
    }

    #[test]
    fn distributions_add_up() {
        let of = |values: &[u32]| {
            let mut d = Distribution::default();
            values.iter().for_each(|v| d.record(*v));
            d
        };
        let (mut sum, nothing) = (Distribution::default(), Distribution::default());
        for part in [&nothing, &of(&[100, 200]), &nothing, &of(&[50_000])] {
            sum.add(part);
        }
        assert_eq!((sum.count(), sum.percentiles()), (3, of(&[100, 200, 50_000]).percentiles()));
        assert_eq!(nothing.count(), 0);
    }

    #[test]
    fn only_good_samples_have_a_latency() {
        let mut stats = SampleStats::default();
        stats.record(100, 5, false, false);
        stats.record(1_000_000, 9, true, true);
        assert_eq!((stats.taken, stats.good(), stats.failed, stats.on_time()), (2, 1, 1, 1));
        assert_eq!(stats.latency.percentiles().unwrap().max, 100);
        assert_eq!(stats.slip.percentiles().unwrap().max, 9);
    }

    proptest! {
        #[test]
        fn percentiles_err_by_less_than_one_percent(mut values in prop::collection::vec(1u32..60_000_000, 1..300)) {
            let mut d = Distribution::default();
            values.iter().for_each(|v| d.record(*v));
            values.sort_unstable();
            let p = d.percentiles().unwrap();
            for (q, got) in [(0.5, p.p50), (0.9, p.p90), (0.99, p.p99), (1.0, p.max)] {
                let rank = ((values.len() as f64 * q).ceil() as usize).max(1);
                let exact = f64::from(values[rank - 1]);
                prop_assert!((got as f64 - exact).abs() <= exact * 0.01 + 1.0, "q{q}: {got} for {exact}");
            }
        }

        #[test]
        fn a_series_loses_no_sample_and_no_peak(samples in prop::collection::vec((0u64..10_000_000_000_000, 0u32..1000, any::<bool>()), 0..100)) {
            let mut series = Series::default();
            for (at, latency, failed) in &samples {
                series.record(*at, *latency, *failed);
            }
            prop_assert!(series.buckets.len() <= Series::MAX_BUCKETS);
            let sum = series.buckets().fold(Bucket::default(), |mut sum, (_, b)| { sum.add(b); sum });
            prop_assert_eq!(sum.good + sum.failed, samples.len() as u64);
            prop_assert_eq!(sum.max_us, samples.iter().filter(|s| !s.2).map(|s| s.1).max().unwrap_or(0));
        }
    }
}

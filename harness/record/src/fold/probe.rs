//! One probe, folded.

mod steady;

use std::collections::BTreeMap;

use crate::event::{Failure, Nanos, ProbeInfo, SampleBlock};
use crate::intervals::{Interval, IntervalSet, Outage, OutageTracker};
use crate::stats::{Distribution, SampleStats, Series, late_after};
use steady::Steady;

/// Outages kept with their times; further ones only count.
const MAX_OUTAGES: usize = 10_000;

/// Failed samples kept to ask, once all is known, whether the sampler was to blame; further ones count as the workload's.
const MAX_FAILURES: usize = 100_000;

/// A sample that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedSample {
    /// Intended time.
    pub at: Nanos,
    /// When the failure was known.
    pub until: Nanos,
    /// The phase of its intended time.
    pub phase: Option<usize>,
}

/// A time in which the sampler itself was silent or late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplerOutage {
    /// When.
    pub span: Interval,
    /// Why, in the sampler's words.
    pub reason: String,
}

/// One probe's life and samples.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProbeState {
    /// As it announced itself; `None` if its samples came unannounced.
    pub info: Option<ProbeInfo>,
    /// When it stopped, if it did.
    pub stopped: Option<Nanos>,
    /// Intended time of the first sample in the record.
    pub first: Option<Nanos>,
    /// Intended time of the last sample in the record.
    pub last: Option<Nanos>,
    /// Samples over the whole run.
    pub total: SampleStats,
    /// Samples by phase of their intended time; `None` between phases.
    pub by_phase: BTreeMap<Option<usize>, SampleStats>,
    /// Latency over time.
    pub series: Series,
    /// Sampler outages as reported by the sampler.
    pub sampler_outages: Vec<SamplerOutage>,
    /// All times in which the sampler was out: reported, or shown by samples that were late.
    pub gaps: IntervalSet,
    /// Outages that were too many to keep.
    pub outages_dropped: u64,
    outages: Vec<Outage>,
    tracker: OutageTracker,
    failures: Vec<FailedSample>,
    steady: Steady,
    planned: u64,
}

impl ProbeState {
    /// Outages in order, with the one that goes on.
    pub fn outages(&self) -> impl Iterator<Item = &Outage> {
        self.outages.iter().chain(self.tracker.current())
    }

    /// The outage that goes on.
    pub fn current_outage(&self) -> Option<&Outage> {
        self.tracker.current()
    }

    /// Samples that were due: as the probe said when it stopped, or else up to `now`.
    pub fn planned(&self, now: Nanos) -> u64 {
        let running = match &self.info {
            Some(info) if self.stopped.is_none() => {
                // A sample is in the record at the latest when it has timed out.
                let first_known = info.start.saturating_add(info.timeout);
                now.checked_sub(first_known).map_or(0, |since| since / info.interval.max(1) + 1)
            }
            _ => 0,
        };
        self.planned.saturating_add(running)
    }

    /// Failed samples that were due or waiting at such times.
    pub(super) fn failed_during<'a>(&'a self, times: &'a IntervalSet) -> impl Iterator<Item = &'a FailedSample> {
        // A failure that was known at once still waited for a moment.
        self.failures.iter().filter(|f| times.overlaps(&Interval::new(f.at, f.until.max(f.at + 1))))
    }

    /// Latencies in each phase of the good samples that were asked and answered while the sampler was awake: what they
    /// show is the workload's alone.
    pub fn steady(&self) -> BTreeMap<Option<usize>, Distribution> {
        self.steady.by_phase(&self.gaps)
    }

    pub(super) fn start(&mut self, info: ProbeInfo) {
        self.info = Some(info);
        self.stopped = None;
    }

    pub(super) fn stop(&mut self, t: Nanos, planned: u64) {
        self.stopped = Some(t);
        self.planned = self.planned.saturating_add(planned);
    }

    pub(super) fn sampler_outage(&mut self, from: Nanos, to: Nanos, reason: &str) {
        let span = Interval::new(from, to);
        self.gaps.insert(span);
        self.sampler_outages.push(SamplerOutage { span, reason: reason.to_owned() });
    }

    pub(super) fn samples(&mut self, block: &SampleBlock, phase_at: impl Fn(Nanos) -> Option<usize>) {
        let late_after = late_after(block.interval);
        let failed: BTreeMap<u32, &Failure> = block.failed.iter().map(|(i, f)| (*i, f)).collect();
        for (i, (latency, slip)) in (0u32..).zip(block.latency.iter().zip(&block.slip)) {
            let at = block.start.saturating_add(block.interval.saturating_mul(i.into()));
            let slip_ns = u64::from(*slip) * 1_000;
            let failure = failed.get(&i);
            let late = slip_ns > late_after;
            let phase = phase_at(at);

            self.first.get_or_insert(at);
            self.last = Some(at);
            self.total.record(*latency, *slip, failure.is_some(), late);
            self.by_phase.entry(phase).or_default().record(*latency, *slip, failure.is_some(), late);
            self.series.record(at, *latency, failure.is_some());
            if late {
                self.gaps.insert(Interval::new(at, at.saturating_add(slip_ns)));
            }
            self.steady.settle(at, &self.gaps);
            if failure.is_none() {
                self.steady.sample(at, *latency, *slip, phase);
            }
            match failure {
                Some(failure) => {
                    self.tracker.bad(at, block.interval, failure);
                    if self.failures.len() < MAX_FAILURES {
                        let until = at.saturating_add(u64::from(*latency) * 1_000);
                        self.failures.push(FailedSample { at, until, phase });
                    }
                }
                None => {
                    if let Some(outage) = self.tracker.good(at) {
                        if self.outages.len() < MAX_OUTAGES {
                            self.outages.push(outage);
                        } else {
                            self.outages_dropped += 1;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const MS: u64 = 1_000_000;

    fn probe() -> ProbeState {
        let mut probe = ProbeState::default();
        probe.start(ProbeInfo {
            probe: "web".into(),
            kind: "http".into(),
            target: "http://web/".into(),
            place: "outside".into(),
            connection: "new".into(),
            start: 0,
            interval: 50 * MS,
            timeout: 1_000 * MS,
        });
        probe
    }

    /// Samples at 50 ms: (slip in ms, latency in ms, failed).
    fn feed(probe: &mut ProbeState, samples: &[(u32, u32, bool)]) {
        let block = SampleBlock {
            probe: "web".into(),
            start: 0,
            interval: 50 * MS,
            latency: samples.iter().map(|s| s.1 * 1_000).collect(),
            slip: samples.iter().map(|s| s.0 * 1_000).collect(),
            failed: (0..).zip(samples).filter(|(_, s)| s.2).map(|(i, _)| (i, Failure::Timeout)).collect(),
        };
        probe.samples(&block, |_| None);
    }

    #[rstest]
    #[case::sampler_fine(&[(0, 5, false), (0, 5, true), (0, 5, false)], 0)]
    #[case::sent_late(&[(0, 5, false), (90, 95, true), (40, 45, false)], 1)]
    // Sent on time, then the whole process stood still: the next samples show it.
    #[case::paused_while_waiting(&[(0, 1_050, true), (1_000, 1_005, false), (950, 955, false)], 1)]
    #[case::before_the_pause(&[(0, 5, true), (0, 5, false), (500, 505, false)], 0)]
    fn a_failure_while_the_sampler_was_out_is_doubtful(#[case] samples: &[(u32, u32, bool)], #[case] doubtful: usize) {
        let mut probe = probe();
        feed(&mut probe, samples);
        assert_eq!(probe.failed_during(&probe.gaps).count(), doubtful);
    }

    #[test]
    fn a_reported_sampler_outage_may_come_after_its_samples() {
        let mut probe = probe();
        feed(&mut probe, &[(0, 5, true), (0, 5, true), (0, 5, true)]);
        probe.sampler_outage(60 * MS, 160 * MS, "clock jumped");
        // The second waits at 50..55 ms, before the sampler outage.
        assert_eq!(probe.failed_during(&probe.gaps).map(|f| f.at / MS).collect::<Vec<_>>(), [100]);
    }

    #[rstest]
    #[case::before_the_first_can_be_known(900, 0)]
    #[case::first_one(1_000, 1)]
    #[case::later(2_000, 21)]
    fn a_running_probe_owes_what_was_due(#[case] now_ms: u64, #[case] planned: u64) {
        assert_eq!(probe().planned(now_ms * MS), planned);
    }

    #[test]
    fn a_stopped_probe_owes_what_it_said() {
        let mut probe = probe();
        probe.stop(5_000 * MS, 80);
        assert_eq!(probe.planned(9_000 * MS), 80);
        probe.start(probe.info.clone().unwrap());
        probe.stop(7_000 * MS, 20);
        assert_eq!(probe.planned(9_000 * MS), 100);
    }

    #[test]
    fn a_block_whose_lists_differ_counts_only_whole_samples() {
        let mut probe = probe();
        let block = SampleBlock {
            latency: vec![1, 2, 3],
            slip: vec![1],
            failed: vec![(9, Failure::Dns)],
            ..Default::default()
        };
        probe.samples(&block, |_| None);
        assert_eq!((probe.total.taken, probe.total.failed), (1, 0));
    }
}

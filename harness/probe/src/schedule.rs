//! When samples are due, and which of them a late sampler still sends.

use std::ops::Range;
use std::time::Duration;

use ferry_record::Nanos;

use crate::clock::nanos;

/// How late the sampler may be before that is an outage of its own: 50 ms is the shortest outage that a probe at the
/// usual 20 samples/s can see, so anything longer could have hidden one.
pub(crate) const LATE: Duration = Duration::from_millis(50);

/// How late a sample of a fast probe may be sent: what a thread on a busy machine waits for its turn without being starved,
/// and the interval of the fastest probes that are to see outages of two intervals.
const PATIENCE: Duration = Duration::from_millis(10);

/// An open-loop schedule: sample *i* is due at `start + i × interval`, whatever becomes of other samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Intended time of sample 0.
    pub start: Nanos,
    /// Time between intended times; never 0.
    pub interval: Nanos,
}

impl Schedule {
    /// Intended time of sample `index`.
    pub fn due(&self, index: u64) -> Nanos {
        self.start.saturating_add(index.saturating_mul(self.interval))
    }

    /// How many samples are due at or before `t`.
    pub fn due_by(&self, t: Nanos) -> u64 {
        t.checked_sub(self.start).map_or(0, |since| since / self.interval + 1)
    }
}

/// Walks along a [`Schedule`] and gives out each sample exactly once.
///
/// A sampler that wakes a little late catches up: it sends what became due meanwhile, and each sample's slip tells. A
/// sample more than `max(interval,` [`PATIENCE`]`)` past its time is not sent any more but given out as missed: sending a
/// whole backlog at once would load the workload in a way that nobody asked for, and its answers would tell of now, not of
/// then: an outage would seem later than it was, or not to have been.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    schedule: Schedule,
    next: u64,
}

/// What [`Pacer::wake`] gives out; `missed` ends where `send` begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// Too late to be sent.
    pub missed: Range<u64>,
    /// To be sent now.
    pub send: Range<u64>,
}

impl Pacer {
    /// From sample `next` on.
    pub fn new(schedule: Schedule, next: u64) -> Self {
        Self { schedule, next }
    }

    /// Intended time of the next sample.
    pub fn next_due(&self) -> Nanos {
        self.schedule.due(self.next)
    }

    /// How many samples were given out, sent or missed, those before the first one included.
    pub fn planned(&self) -> u64 {
        self.next
    }

    /// The samples that became due since the last call.
    pub fn wake(&mut self, now: Nanos) -> Due {
        let end = self.schedule.due_by(now).max(self.next);
        let patience = self.schedule.interval.max(nanos(PATIENCE));
        // Due strictly before `now - patience`: one that is exactly that late is still sent.
        let too_late = now.checked_sub(patience).and_then(|t| t.checked_sub(1)).map_or(0, |t| self.schedule.due_by(t));
        let first_sent = too_late.clamp(self.next, end);
        let due = Due { missed: self.next..first_sent, send: first_sent..end };
        self.next = end;
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const MS: Nanos = 1_000_000;

    /// 20 samples/s from 1 s on.
    fn pacer() -> Pacer {
        Pacer::new(Schedule { start: 1_000 * MS, interval: 50 * MS }, 0)
    }

    #[rstest]
    #[case::before_the_start(999, 0..0, 0..0)]
    #[case::on_time(1_000, 0..0, 0..1)]
    #[case::between_two(1_049, 0..0, 0..1)]
    #[case::one_interval_late(1_050, 0..0, 0..2)]
    #[case::a_little_more(1_051, 0..1, 1..2)]
    #[case::a_long_stall(1_212, 0..4, 4..5)]
    fn a_first_wake_up(#[case] ms: u64, #[case] missed: Range<u64>, #[case] send: Range<u64>) {
        assert_eq!(pacer().wake(ms * MS), Due { missed, send });
    }

    #[test]
    fn a_fast_probe_catches_up_over_10_ms_at_most() {
        let mut pacer = Pacer::new(Schedule { start: 0, interval: MS / 2 }, 0);
        assert_eq!(pacer.wake(9 * MS), Due { missed: 0..0, send: 0..19 });
        assert_eq!(pacer.wake(109 * MS), Due { missed: 19..198, send: 198..219 });
    }

    #[test]
    fn the_clock_standing_still_gives_nothing_twice() {
        let mut pacer = pacer();
        pacer.wake(1_100 * MS);
        assert_eq!(pacer.wake(1_100 * MS), Due { missed: 3..3, send: 3..3 });
        assert_eq!(pacer.next_due(), 1_150 * MS);
    }

    proptest! {
        #[test]
        fn every_sample_is_given_out_once_in_order_and_never_early(
            start in 0..10_000 * MS,
            interval in 1..3_000 * MS,
            gaps in prop::collection::vec(0..500 * MS, 1..60),
        ) {
            let schedule = Schedule { start, interval };
            let mut pacer = Pacer::new(schedule, 0);
            let (mut now, mut next) = (0, 0);
            for gap in gaps {
                now += gap;
                let due = pacer.wake(now);
                prop_assert_eq!(due.missed.start, next);
                prop_assert_eq!(due.missed.end, due.send.start);
                next = due.send.end;
                let patience = interval.max(nanos(PATIENCE));
                for index in due.missed {
                    prop_assert!(schedule.due(index) + patience < now);
                }
                for index in due.send {
                    prop_assert!(schedule.due(index) <= now && now <= schedule.due(index) + patience);
                }
                prop_assert!(pacer.next_due() > now);
                prop_assert_eq!(pacer.planned(), schedule.due_by(now));
            }
        }
    }
}

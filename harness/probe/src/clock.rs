//! The run's clock: nanoseconds since the run's start.

use std::time::Duration;

use ferry_record::Nanos;
use tokio::time::Instant;

/// The monotonic clock of a run. Copies tell the same time, so engine and samplers share one by copying it.
///
/// It stands on tokio's `Instant`: outside tests that is the operating system's monotonic clock, and in a test with
/// paused time it stands still with everything else.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    /// What it read at the origin.
    start: Nanos,
}

impl Clock {
    /// A clock that reads 0 now.
    #[must_use]
    pub fn start() -> Self {
        Self::reading(0)
    }

    /// A clock that reads `t` now, for whoever goes on where an earlier clock ended.
    #[must_use]
    pub fn reading(t: Nanos) -> Self {
        Self { origin: Instant::now(), start: t }
    }

    /// Nanoseconds since the run's start. A `u64` holds 584 years of them.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.start.saturating_add(nanos(self.origin.elapsed()))
    }

    /// What it read, or will read, at a moment; its first reading for all that was before.
    #[must_use]
    pub fn at(&self, moment: std::time::Instant) -> Nanos {
        self.start.saturating_add(nanos(moment.saturating_duration_since(self.origin.into_std())))
    }

    /// The moment at which the clock reads `t`; its origin for all that was before.
    #[must_use]
    pub fn instant(&self, t: Nanos) -> Instant {
        self.origin + Duration::from_nanos(t.saturating_sub(self.start))
    }
}

/// A duration as the record writes it.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reads_nanoseconds_since_its_start() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now(), 1_500_000_000);
        assert_eq!(clock.instant(clock.now()), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_where_another_ended() {
        let clock = Clock::reading(7_000_000_000);
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now(), 8_500_000_000);
        assert_eq!(clock.instant(clock.now()), Instant::now());
        assert_eq!(clock.instant(0), clock.instant(7_000_000_000));
    }
}

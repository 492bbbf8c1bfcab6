//! The sampler watching itself: did it wake when it meant to, and do the two clocks agree?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferry_record::Nanos;

use crate::clock::nanos;
use crate::schedule::LATE;

/// A time in which the sampler was blind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blind {
    /// When it should have looked, or last looked.
    pub from: Nanos,
    /// When it looked again.
    pub to: Nanos,
    /// What was noticed.
    pub reason: String,
}

/// Notices late wake-ups (a blocked thread, a starved or paused host) and jumps of the calendar clock against the monotonic
/// one (a suspended host, whose monotonic clock may stand still meanwhile).
#[derive(Debug, Default)]
pub(crate) struct Vigil {
    last: Option<(Nanos, Duration)>,
}

impl Vigil {
    /// The sampler meant to wake at `planned` and did at `now`, when the calendar said `wall` (since the Unix epoch; `None`
    /// when it could not be read at the same moment).
    pub fn woke(&mut self, planned: Nanos, now: Nanos, wall: Option<Duration>) -> Option<Blind> {
        let late = now.saturating_sub(planned);
        let jump = self.jump(now, wall);
        if let Some((since, jump)) = jump {
            let reason = format!("the calendar clock jumped by {} ms against the monotonic clock", jump / 1_000_000);
            return Some(Blind { from: since.min(planned), to: now, reason });
        }
        (late > nanos(LATE)).then(|| Blind { from: planned, to: now, reason: late_by(late) })
    }

    /// The time of the last comparison and the difference that arose since, in nanoseconds.
    fn jump(&mut self, now: Nanos, wall: Option<Duration>) -> Option<(Nanos, i128)> {
        let wall = wall?;
        let (then, wall_then) = self.last.replace((now, wall))?;
        let passed = i128::from(now) - i128::from(then);
        let by_wall = i128::try_from(wall.as_nanos()).ok()? - i128::try_from(wall_then.as_nanos()).ok()?;
        let jump = by_wall - passed;
        (jump.unsigned_abs() > LATE.as_nanos()).then_some((then, jump))
    }
}

/// The words for a late wake-up.
pub(crate) fn late_by(late: Nanos) -> String {
    format!("the sampler woke {} ms late", late / 1_000_000)
}

/// The calendar time, or `None` if this thread was interrupted for so long while reading it that it could not be compared
/// with `now`.
pub(crate) fn wall_clock() -> Option<Duration> {
    /// Far below [`LATE`], far above the time of two readings.
    const AT_ONCE: Duration = Duration::from_millis(1);
    let before = std::time::Instant::now();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    if before.elapsed() < AT_ONCE { wall } else { None }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MS: Nanos = 1_000_000;

    #[rstest]
    #[case::on_time(1_020, 1_020, None)]
    #[case::as_late_as_allowed(1_070, 1_070, None)]
    #[case::late(1_071, 1_071, Some("1020..1071 the sampler woke 51 ms late"))]
    #[case::clock_set_forward(
        1_020,
        4_620_000,
        Some("1000..1020 the calendar clock jumped by 4618980 ms against the monotonic clock")
    )]
    #[case::clock_set_back(
        1_020,
        20,
        Some("1000..1020 the calendar clock jumped by -1000 ms against the monotonic clock")
    )]
    #[case::suspended_and_late(
        1_500,
        9_500,
        Some("1000..1500 the calendar clock jumped by 8000 ms against the monotonic clock")
    )]
    fn notices(#[case] now: u64, #[case] wall: u64, #[case] expected: Option<&str>) {
        let mut vigil = Vigil::default();
        assert_eq!(vigil.woke(1_000 * MS, 1_000 * MS, Some(Duration::from_millis(1_000))), None);
        let blind = vigil.woke(1_020 * MS, now * MS, Some(Duration::from_millis(wall)));
        let seen = blind.map(|blind| format!("{}..{} {}", blind.from / MS, blind.to / MS, blind.reason));
        assert_eq!(seen.as_deref(), expected);
    }

    #[test]
    fn a_jump_shows_even_if_the_calendar_could_not_be_read_meanwhile() {
        let mut vigil = Vigil::default();
        vigil.woke(0, 0, Some(Duration::from_secs(100)));
        assert_eq!(vigil.woke(20 * MS, 20 * MS, None), None);
        let blind = vigil.woke(40 * MS, 40 * MS, Some(Duration::from_secs(160)));
        assert_eq!(blind.map(|blind| (blind.from, blind.to)), Some((0, 40 * MS)));
    }
}

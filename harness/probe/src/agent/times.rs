//! How the clock of an agent stands to the run's, and its events by the run's clock.

use ferry_record::{EventKind, Nanos};

/// One reading of an agent's clock from afar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The run's clock when it was asked for.
    pub sent: Nanos,
    /// What the agent's clock said.
    pub agent: Nanos,
    /// The run's clock when the answer was there.
    pub received: Nanos,
}

/// How the clock of an agent stands to the run's, as [`EventKind::AgentClock`] says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset {
    /// The agent's clock minus the run's, in nanoseconds.
    pub offset: i64,
    /// How wrong the offset can be: half of the time that asking took, as nobody knows which way took how long.
    pub uncertainty: Nanos,
}

/// The offset by the reading that took the shortest time, which knows most (the NTP clock filter: RFC 5905, 10). None
/// without a reading.
#[must_use]
pub fn estimate(readings: &[Reading]) -> Option<Offset> {
    let best = readings.iter().min_by_key(|reading| reading.received.saturating_sub(reading.sent))?;
    let half = best.received.saturating_sub(best.sent).div_ceil(2);
    Some(Offset { offset: difference(best.agent, best.sent + half), uncertainty: half })
}

/// An agent's time by the run's clock; 0 for all that was before the run.
#[must_use]
pub fn rebased(agent: Nanos, offset: i64) -> Nanos {
    if offset < 0 { agent.saturating_add(offset.unsigned_abs()) } else { agent.saturating_sub(offset.unsigned_abs()) }
}

/// An agent's event by the run's clock.
///
/// All events of one probe must be moved by the same offset, or its samples would leave their grid: whoever reads the clocks
/// again records how far they have moved apart, and goes on with the first offset.
#[must_use]
pub fn rebase(mut event: EventKind, offset: i64) -> EventKind {
    let move_to = |time: &mut Nanos| *time = rebased(*time, offset);
    match &mut event {
        EventKind::ProbeStarted(info) => move_to(&mut info.start),
        EventKind::Samples(block) => move_to(&mut block.start),
        EventKind::SamplerOutage { from, to, .. }
        | EventKind::WatchGap { from, to, .. }
        | EventKind::Fault { from, to, .. } => {
            move_to(from);
            move_to(to);
        }
        // No times, or durations only.
        _ => {}
    }
    event
}

fn difference(a: Nanos, b: Nanos) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(if a > b { i64::MAX } else { i64::MIN })
}

#[cfg(test)]
mod tests {
    use ferry_record::event::{ProbeInfo, SampleBlock};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn reading() -> impl Strategy<Value = (Nanos, Nanos, Nanos)> {
        (0..1_u64 << 50, 0..1_u64 << 30, 0..1_u64 << 30)
    }

    proptest! {
        #[test]
        fn the_true_offset_is_never_further_away_than_said(
            offset in -(1_i64 << 49)..1_i64 << 49,
            readings in prop::collection::vec(reading(), 1..10),
        ) {
            let base = 1 << 50;
            let readings: Vec<Reading> = readings
                .into_iter()
                .map(|(sent, there, back)| {
                    let sent = base + sent;
                    let agent = (sent + there).checked_add_signed(offset).unwrap();
                    Reading { sent, agent, received: sent + there + back }
                })
                .collect();
            let told = estimate(&readings).unwrap();
            prop_assert!(told.offset.abs_diff(offset) <= told.uncertainty, "{told:?}");
            let shortest = readings.iter().map(|reading| reading.received - reading.sent).min().unwrap();
            prop_assert_eq!(told.uncertainty, shortest.div_ceil(2));
        }

        #[test]
        fn there_and_back_is_the_same_time(run in 0..1_u64 << 50, offset in -(1_i64 << 40)..1_i64 << 40) {
            if let Some(agent) = run.checked_add_signed(offset) {
                prop_assert_eq!(rebased(agent, offset), run);
            }
        }
    }

    #[test]
    fn without_a_reading_nothing_is_known() {
        assert_eq!(estimate(&[]), None);
    }

    fn started(start: Nanos) -> EventKind {
        EventKind::ProbeStarted(ProbeInfo {
            probe: "web/inside/new".into(),
            kind: "http".into(),
            target: "GET http://web/".into(),
            place: "inside".into(),
            connection: "new".into(),
            start,
            interval: 50,
            timeout: 5_000,
        })
    }

    fn block(start: Nanos) -> EventKind {
        EventKind::Samples(SampleBlock {
            start,
            interval: 50,
            latency: vec![7],
            slip: vec![1],
            ..SampleBlock::default()
        })
    }

    fn outage(from: Nanos, to: Nanos) -> EventKind {
        EventKind::SamplerOutage { probe: "web/inside/new".into(), from, to, reason: "late".into() }
    }

    #[rstest]
    #[case::probe(started(1_000), started(900))]
    #[case::samples(block(1_000), block(900))]
    #[case::outage(outage(1_000, 1_050), outage(900, 950))]
    #[case::before_the_run(outage(50, 150), outage(0, 50))]
    #[case::no_time(EventKind::RunEnded, EventKind::RunEnded)]
    fn moves_every_time(#[case] event: EventKind, #[case] expected: EventKind) {
        assert_eq!(rebase(event, 100), expected);
    }

    #[test]
    fn an_agent_that_started_after_the_run_is_moved_later() {
        assert_eq!(rebase(block(1_000), -100), block(1_100));
    }
}

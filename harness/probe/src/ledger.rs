//! Results as they come in, in any order, made into events in the order of the intended times.

use std::collections::VecDeque;
use std::fmt;

use ferry_record::EventKind;
use ferry_record::event::{Failure, SampleBlock};

use crate::schedule::Schedule;
use crate::vigil::late_by;

/// Why a sample that was due says nothing about the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// The sampler woke this many nanoseconds after its last chance to be in time.
    Late(u64),
    /// That many samples of the probe had no answer yet.
    Bound(usize),
    /// It timed out, and the sampler itself was blind meanwhile, so that nobody knows whether the answer came.
    Blind,
    /// This machine could not ask.
    Local(String),
}

impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(late) => f.write_str(&late_by(*late)),
            Self::Bound(bound) => write!(f, "{bound} samples in flight, the bound"),
            Self::Blind => f.write_str("the sampler was blind while it waited, and no answer was in time"),
            Self::Local(what) => write!(f, "this machine could not ask: {what}"),
        }
    }
}

/// What became of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was asked.
    Taken(Answered),
    /// It was not, or its answer means nothing.
    Untaken(Untaken),
}

/// A sample that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Microseconds from intended time to the answer or failure.
    pub latency: u32,
    /// Microseconds from intended time to sending.
    pub slip: u32,
    /// What went wrong, if anything.
    pub failure: Option<Failure>,
}

/// The samples of one probe that are not yet written: each in its slot, from the first without events onwards.
#[derive(Debug)]
pub(crate) struct Ledger {
    probe: String,
    schedule: Schedule,
    first: u64,
    slots: VecDeque<Option<Fate>>,
}

impl Ledger {
    /// An empty one, from sample `first` on.
    pub fn new(probe: String, schedule: Schedule, first: u64) -> Self {
        Self { probe, schedule, first, slots: VecDeque::new() }
    }

    /// Makes room for the samples up to `end`, whose fate is open.
    pub fn open(&mut self, end: u64) {
        while self.first + (self.slots.len() as u64) < end {
            self.slots.push_back(None);
        }
    }

    /// Notes the fate of sample `index`, which was opened before.
    pub fn settle(&mut self, index: u64, fate: Fate) {
        let slot = index.checked_sub(self.first).and_then(|offset| self.slots.get_mut(usize::try_from(offset).ok()?));
        if let Some(slot) = slot {
            *slot = Some(fate);
        }
    }

    /// Takes out, as events, every sample up to the first whose fate is open. That one holds up those behind it for at most
    /// the probe's timeout.
    pub fn drain(&mut self) -> Vec<EventKind> {
        let mut events: Vec<EventKind> = Vec::new();
        let mut last_reason = None;
        while let Some(Some(fate)) = self.slots.pop_front_if(|slot| slot.is_some()) {
            let due = self.schedule.due(self.first);
            self.first += 1;
            match (fate, events.last_mut()) {
                (Fate::Taken(answer), Some(EventKind::Samples(block))) => append(block, answer),
                (Fate::Taken(answer), _) => {
                    let mut block = SampleBlock {
                        probe: self.probe.clone(),
                        start: due,
                        interval: self.schedule.interval,
                        ..SampleBlock::default()
                    };
                    append(&mut block, answer);
                    events.push(EventKind::Samples(block));
                }
                (Fate::Untaken(reason), Some(EventKind::SamplerOutage { to, .. }))
                    if last_reason.as_ref() == Some(&reason) =>
                {
                    *to = due + self.schedule.interval;
                }
                (Fate::Untaken(reason), _) => {
                    events.push(EventKind::SamplerOutage {
                        probe: self.probe.clone(),
                        from: due,
                        to: due + self.schedule.interval,
                        reason: reason.to_string(),
                    });
                    last_reason = Some(reason);
                }
            }
        }
        events
    }
}

/// Adds one more sample to a block.
fn append(block: &mut SampleBlock, answer: Answered) {
    if let Some(failure) = answer.failure {
        block.failed.push((u32::try_from(block.latency.len()).unwrap_or(u32::MAX), failure));
    }
    block.latency.push(answer.latency);
    block.slip.push(answer.slip);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEDULE: Schedule = Schedule { start: 1_000, interval: 50 };

    fn taken(latency: u32) -> Fate {
        Fate::Taken(Answered { latency, slip: 1, failure: None })
    }

    fn failed(latency: u32, failure: Failure) -> Fate {
        Fate::Taken(Answered { latency, slip: 1, failure: Some(failure) })
    }

    #[test]
    fn answers_out_of_order_come_out_in_order() {
        let mut ledger = Ledger::new("web/outside/new".into(), SCHEDULE, 0);
        ledger.open(3);
        ledger.settle(2, taken(12));
        ledger.settle(1, failed(11, Failure::Refused));
        assert_eq!(ledger.drain(), []);
        ledger.settle(0, taken(10));
        insta::assert_debug_snapshot!(ledger.drain(), @r#"
        [
            Samples(
                SampleBlock {
                    probe: "web/outside/new",
                    start: 1000,
                    interval: 50,
                    latency: [
                        10,
                        11,
                        12,
                    ],
                    slip: [
                        1,
                        1,
                        1,
                    ],
                    failed: [
                        (
                            1,
                            Refused,
                        ),
                    ],
                },
            ),
        ]
        "#);
    }

    #[test]
    fn samples_not_taken_split_blocks_and_each_reason_is_an_outage_of_its_own() {
        let mut ledger = Ledger::new("web/outside/new".into(), SCHEDULE, 0);
        ledger.open(6);
        ledger.settle(0, taken(10));
        ledger.settle(1, Fate::Untaken(Untaken::Late(2_000_000)));
        ledger.settle(2, Fate::Untaken(Untaken::Late(2_000_000)));
        ledger.settle(3, Fate::Untaken(Untaken::Bound(108)));
        ledger.settle(4, Fate::Untaken(Untaken::Local("too many open files".into())));
        ledger.settle(5, taken(15));
        let lines: Vec<String> = ledger
            .drain()
            .into_iter()
            .map(|event| match event {
                EventKind::Samples(block) => format!("{} + {}", block.start, block.latency.len()),
                EventKind::SamplerOutage { from, to, reason, .. } => format!("{from}..{to} {reason}"),
                other => format!("{other:?}"),
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        1000 + 1
        1050..1150 the sampler woke 2 ms late
        1150..1200 108 samples in flight, the bound
        1200..1250 this machine could not ask: too many open files
        1250 + 1
        ");
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            4 => any::<u32>().prop_map(taken),
            1 => any::<u32>().prop_map(|latency| failed(latency, Failure::Status(503))),
            1 => Just(Fate::Untaken(Untaken::Late(7))),
            1 => Just(Fate::Untaken(Untaken::Blind)),
        ]
    }

    proptest! {
        #[test]
        fn every_sample_comes_out_once_at_its_intended_time(
            fates in prop::collection::vec(fate(), 0..200).prop_flat_map(|fates| {
                let order: Vec<usize> = (0..fates.len()).collect();
                (Just(fates), Just(order).prop_shuffle())
            }),
        ) {
            let (fates, order) = fates;
            let mut ledger = Ledger::new("p".into(), SCHEDULE, 0);
            ledger.open(fates.len() as u64);
            let mut events = Vec::new();
            for index in order {
                ledger.settle(index as u64, fates[index].clone());
                events.extend(ledger.drain());
            }
            let mut next = 0;
            for event in events {
                match event {
                    EventKind::Samples(block) => {
                        prop_assert_eq!(block.start, SCHEDULE.due(next as u64));
                        prop_assert_eq!(block.slip.len(), block.latency.len());
                        for (offset, latency) in block.latency.iter().enumerate() {
                            let failure = block.failed.iter().find(|(at, _)| *at as usize == offset).map(|(_, f)| f.clone());
                            let expected = Fate::Taken(Answered { latency: *latency, slip: 1, failure });
                            prop_assert_eq!(&fates[next + offset], &expected);
                        }
                        next += block.latency.len();
                    }
                    EventKind::SamplerOutage { from, to, reason, .. } => {
                        prop_assert_eq!(from, SCHEDULE.due(next as u64));
                        while SCHEDULE.due(next as u64) < to {
                            prop_assert!(matches!(&fates[next], Fate::Untaken(why) if why.to_string() == reason));
                            next += 1;
                        }
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(next, fates.len());
        }
    }
}

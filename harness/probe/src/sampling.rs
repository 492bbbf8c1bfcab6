//! The loop: wakes when samples are due, sends them, and settles what comes back.

use std::sync::Arc;
use std::time::Duration;

use ferry_record::event::{Failure, ProbeInfo};
use ferry_record::{EventKind, Nanos};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use crate::accounts::Account;
use crate::clock::{Clock, nanos};
use crate::kind::{Kind, Miss};
use crate::ledger::{Answered, Fate, Ledger, Untaken};
use crate::schedule::{Pacer, Schedule};
use crate::spec::ProbeSpec;
use crate::vigil::Vigil;

/// The sampler wakes at least this often, so that it notices its own silence within [`crate::schedule::LATE`].
const BEAT: Duration = Duration::from_millis(25);

/// Results become events about this often.
const FLUSH: Duration = Duration::from_millis(500);

/// Time from the announcement of the probes to the first sample.
const LEAD: Duration = Duration::from_millis(10);

/// No probe has more samples in flight than this: under the 1,024 descriptors that a process may open by default, with
/// room for others.
const MAX_IN_FLIGHT: usize = 512;

/// What a handle can ask of the loop.
#[derive(Debug)]
pub(crate) enum Control {
    /// Block the sampler's thread.
    Stall(Duration),
    /// Ask something else with the probe of this id from now on.
    Aim(String, Arc<dyn Kind>),
    /// Send nothing more, wait for what is in flight, say goodbye.
    Stop,
}

/// A probe made ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub spec: ProbeSpec,
    pub kind: Arc<dyn Kind>,
    /// What an earlier sampler did of its schedule, which is kept then.
    pub earlier: Option<Account>,
}

/// Why nothing was sampled between an earlier sampler and this one.
const NOT_RUNNING: &str = "the sampler was not running";

/// A probe at work.
#[derive(Debug)]
struct Probe {
    kind: Arc<dyn Kind>,
    id: String,
    schedule: Schedule,
    pacer: Pacer,
    ledger: Ledger,
    timeout: Duration,
    in_flight: usize,
    bound: usize,
}

/// A sample that came back.
struct Sampled {
    probe: usize,
    index: u64,
    sent: Nanos,
    back: Nanos,
    answer: Result<(), Miss>,
}

/// All probes of one sampler.
pub(crate) struct Sampling<S, W> {
    clock: Clock,
    /// The calendar: time since the Unix epoch.
    wall: W,
    sink: S,
    probes: Vec<Probe>,
    vigil: Vigil,
    in_flight: FuturesUnordered<BoxFuture<'static, Sampled>>,
    next_beat: Nanos,
    next_flush: Nanos,
    /// When the sampler last found that it had been blind.
    blind_until: Nanos,
}

impl<S: Fn(EventKind), W: Fn() -> Option<Duration>> Sampling<S, W> {
    /// Announces the probes, but for those that an earlier sampler announced: of these, what was due since its end is an
    /// outage. First samples of new ones are spread over one interval, so that they do not all ask at once.
    pub fn new(clock: Clock, wall: W, sink: S, prepared: &[Prepared]) -> Self {
        let now = clock.now();
        let mut probes = Vec::with_capacity(prepared.len());
        for (place, Prepared { spec, kind, earlier }) in prepared.iter().enumerate() {
            let interval = nanos(spec.interval);
            let id = spec.id();
            let schedule = match earlier {
                Some(account) => Schedule { start: account.start, interval },
                None => {
                    let offset = interval / prepared.len() as u64 * place as u64;
                    Schedule { start: now + nanos(LEAD) + offset, interval }
                }
            };
            let next = match earlier {
                Some(account) => schedule.due_by(now + nanos(LEAD) - 1).max(account.accounted),
                None => 0,
            };
            match earlier {
                Some(account) => account.outage(&id, next, NOT_RUNNING).into_iter().for_each(&sink),
                None => sink(EventKind::ProbeStarted(ProbeInfo {
                    probe: id.clone(),
                    kind: spec.kind.name().into(),
                    target: kind.target(),
                    place: spec.place.to_string(),
                    connection: spec.connection.to_string(),
                    start: schedule.start,
                    interval,
                    timeout: nanos(spec.timeout),
                })),
            }
            probes.push(Probe {
                kind: Arc::clone(kind),
                ledger: Ledger::new(id.clone(), schedule, next),
                id,
                schedule,
                pacer: Pacer::new(schedule, next),
                timeout: spec.timeout,
                in_flight: 0,
                bound: bound(spec.interval, spec.timeout),
            });
        }
        Self {
            clock,
            wall,
            sink,
            probes,
            vigil: Vigil::default(),
            in_flight: FuturesUnordered::new(),
            next_beat: now + nanos(BEAT),
            next_flush: now + nanos(FLUSH),
            blind_until: 0,
        }
    }

    /// Samples until told to stop, or until nobody can tell any more.
    pub async fn run(mut self, mut control: mpsc::UnboundedReceiver<Control>) {
        let mut planned = self.next_wake();
        let mut sleep = Box::pin(sleep_until(self.clock.instant(planned)));
        loop {
            tokio::select! {
                biased;
                () = &mut sleep => {
                    self.wake(planned);
                    planned = self.next_wake();
                    sleep.as_mut().reset(self.clock.instant(planned));
                }
                message = control.recv() => match message {
                    // Blocking is the point: it is what a starved or paused host does to this thread.
                    Some(Control::Stall(time)) => std::thread::sleep(time),
                    Some(Control::Aim(id, kind)) => self.aim(&id, &kind),
                    Some(Control::Stop) | None => break,
                },
                Some(sampled) = self.in_flight.next(), if !self.in_flight.is_empty() => self.settle(sampled),
            }
        }
        self.wake(self.next_wake());
        while let Some(sampled) = self.in_flight.next().await {
            self.settle(sampled);
        }
        self.flush();
        for probe in &self.probes {
            (self.sink)(EventKind::ProbeStopped { probe: probe.id.clone(), planned: probe.pacer.planned() });
        }
    }

    /// Samples under way still ask what they were sent for.
    fn aim(&mut self, id: &str, kind: &Arc<dyn Kind>) {
        if let Some(probe) = self.probes.iter_mut().find(|probe| probe.id == id) {
            (self.sink)(EventKind::Fact { key: format!("probe.{id}.target"), value: kind.target() });
            probe.kind = Arc::clone(kind);
        }
    }

    fn next_wake(&self) -> Nanos {
        self.probes.iter().map(|probe| probe.pacer.next_due()).fold(self.next_beat, Nanos::min)
    }

    /// Sends what became due since the last call. This should have happened at `planned`.
    fn wake(&mut self, planned: Nanos) {
        let now = self.clock.now();
        let blind = self.vigil.woke(planned, now, (self.wall)());
        if let Some(blind) = &blind {
            self.blind_until = blind.to;
        }
        for place in 0..self.probes.len() {
            let missed = self.send_due(place, now);
            // Missed samples are an outage by themselves; without any, the answers under way are still dated too late.
            if let (0, Some(blind)) = (missed, &blind) {
                (self.sink)(EventKind::SamplerOutage {
                    probe: self.probes[place].id.clone(),
                    from: blind.from,
                    to: blind.to,
                    reason: blind.reason.clone(),
                });
            }
        }
        self.next_beat = now + nanos(BEAT);
        if now >= self.next_flush {
            self.flush();
            self.next_flush = now + nanos(FLUSH);
        }
    }

    /// Returns how many samples are too late to be sent.
    fn send_due(&mut self, place: usize, now: Nanos) -> u64 {
        let probe = &mut self.probes[place];
        let due = probe.pacer.wake(now);
        probe.ledger.open(due.send.end);
        let late = now.saturating_sub(probe.schedule.due(due.missed.start));
        for index in due.missed.clone() {
            probe.ledger.settle(index, Fate::Untaken(Untaken::Late(late)));
        }
        for index in due.send {
            if probe.in_flight >= probe.bound {
                probe.ledger.settle(index, Fate::Untaken(Untaken::Bound(probe.bound)));
                continue;
            }
            probe.in_flight += 1;
            let (clock, limit, kind) = (self.clock, probe.timeout, Arc::clone(&probe.kind));
            self.in_flight.push(Box::pin(async move {
                let sent = clock.now();
                let answer = timeout(limit, kind.ask()).await.unwrap_or(Err(Miss::Failed(Failure::Timeout)));
                Sampled { probe: place, index, sent, back: clock.now(), answer }
            }));
        }
        due.missed.end - due.missed.start
    }

    fn settle(&mut self, sampled: Sampled) {
        let probe = &mut self.probes[sampled.probe];
        probe.in_flight -= 1;
        let due = probe.schedule.due(sampled.index);
        let answered = |failure| {
            Fate::Taken(Answered { latency: micros(sampled.back - due), slip: micros(sampled.sent - due), failure })
        };
        let fate = match sampled.answer {
            // The answer may have been there while nobody looked. A good one that is dated too late is still a good one.
            Err(Miss::Failed(Failure::Timeout)) if sampled.sent < self.blind_until => Fate::Untaken(Untaken::Blind),
            Ok(()) => answered(None),
            Err(Miss::Failed(failure)) => answered(Some(failure)),
            Err(Miss::Local(what)) => Fate::Untaken(Untaken::Local(what)),
        };
        probe.ledger.settle(sampled.index, fate);
    }

    fn flush(&mut self) {
        for probe in &mut self.probes {
            probe.ledger.drain().into_iter().for_each(&self.sink);
        }
    }
}

/// What a probe has in flight when nothing answers, up to [`MAX_IN_FLIGHT`].
fn bound(interval: Duration, timeout: Duration) -> usize {
    /// For samples that time out a little late.
    const SLACK: usize = 8;
    let hanging = timeout.as_nanos().div_ceil(interval.as_nanos().max(1));
    usize::try_from(hanging).unwrap_or(MAX_IN_FLIGHT).saturating_add(SLACK).min(MAX_IN_FLIGHT)
}

/// Whole microseconds; what does not fit (71 minutes) counts as the most that does.
fn micros(nanos: Nanos) -> u32 {
    u32::try_from(nanos / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

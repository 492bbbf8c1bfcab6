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
            // The answer may have been there, or been there long before, while nobody looked.
            Ok(()) | Err(Miss::Failed(Failure::Timeout)) if sampled.sent < self.blind_until => {
                Fate::Untaken(Untaken::Blind)
            }
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
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rstest::rstest;

    use super::*;
    use crate::kind::HttpSpec;
    use crate::spec::{Connection, KindSpec, Place};

    /// What becomes of the n-th question.
    #[derive(Debug, Clone)]
    enum Fake {
        Good,
        Fails(Failure),
        FailsIn(Failure, u64),
        Hangs,
        NoSocket,
        /// The thread is blocked for so many milliseconds (with time paused, time passing unseen is the same).
        Stalls(u64),
    }

    #[derive(Debug)]
    struct Script {
        asked: AtomicU64,
        play: fn(u64) -> Fake,
    }

    impl Kind for Script {
        fn target(&self) -> String {
            "script".into()
        }

        fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
            let fake = (self.play)(self.asked.fetch_add(1, Ordering::Relaxed));
            Box::pin(async move {
                match fake {
                    Fake::Good => tokio::time::sleep(Duration::from_millis(2)).await,
                    Fake::Fails(failure) => return Err(Miss::Failed(failure)),
                    Fake::FailsIn(failure, ms) => {
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                        return Err(Miss::Failed(failure));
                    }
                    Fake::Hangs => std::future::pending().await,
                    Fake::NoSocket => return Err(Miss::Local("too many open files".into())),
                    Fake::Stalls(ms) => tokio::time::advance(Duration::from_millis(ms)).await,
                }
                Ok(())
            })
        }
    }

    fn spec(interval: u64, timeout: u64) -> ProbeSpec {
        ProbeSpec {
            name: "web".into(),
            place: Place::Outside,
            connection: Connection::New,
            kind: KindSpec::Http(HttpSpec::new("http://unused/")),
            interval: Duration::from_millis(interval),
            timeout: Duration::from_millis(timeout),
        }
    }

    /// Plays a script for `life` milliseconds of paused time, with a calendar that agrees with it but for `jump` (at and by
    /// so many milliseconds), and tells what the record says.
    async fn record(interval: u64, timeout: u64, life: u64, jump: Option<(u64, u64)>, play: fn(u64) -> Fake) -> String {
        record_after(None, interval, timeout, life, jump, play).await
    }

    /// The same after an earlier sampler, in whose time the clock started.
    async fn record_after(
        earlier: Option<(Account, u64)>,
        interval: u64,
        timeout: u64,
        life: u64,
        jump: Option<(u64, u64)>,
        play: fn(u64) -> Fake,
    ) -> String {
        let (earlier, since) = earlier.unzip();
        let clock = Clock::reading(since.unwrap_or(0) * 1_000_000);
        let wall = move || {
            let jumped = jump.filter(|(at, _)| clock.now() >= at * 1_000_000).map_or(0, |(_, by)| by);
            Some(Duration::from_nanos(clock.now()) + Duration::from_millis(1_000_000 + jumped))
        };
        let events = Rc::new(RefCell::new(Vec::new()));
        let sink = {
            let events = Rc::clone(&events);
            move |event| events.borrow_mut().push(event)
        };
        let script: Arc<dyn Kind> = Arc::new(Script { asked: AtomicU64::new(0), play });
        let prepared = [Prepared { spec: spec(interval, timeout), kind: script, earlier }];
        let sampling = Sampling::new(clock, wall, sink, &prepared);
        let (control, controls) = mpsc::unbounded_channel();
        let stop = async {
            tokio::time::sleep(Duration::from_millis(life)).await;
            control.send(Control::Stop).unwrap();
        };
        tokio::join!(sampling.run(controls), stop);
        let story = Story { interval: interval * 1_000_000, ..Story::default() };
        events.take().iter().fold(story, Story::read).tell()
    }

    /// A record in few lines: blocks joined, times in milliseconds.
    #[derive(Default)]
    struct Story {
        lines: Vec<String>,
        good: u64,
        accounted: u64,
        interval: Nanos,
    }

    impl Story {
        fn read(mut self, event: &EventKind) -> Self {
            match event {
                EventKind::ProbeStarted(info) => {
                    assert_eq!(info.interval, self.interval);
                    self.lines.push(format!("{} from {}", info.probe, info.start / 1_000_000));
                }
                EventKind::Samples(block) => {
                    for place in 0..block.latency.len() {
                        match block.failed.iter().find(|(at, _)| *at as usize == place) {
                            None => self.good += 1,
                            Some((_, failure)) => {
                                self.tell_good();
                                let at = (block.start + place as u64 * block.interval) / 1_000_000;
                                let latency = block.latency[place] / 1_000;
                                self.lines.push(format!("{at} {failure:?} after {latency}"));
                            }
                        }
                    }
                    self.accounted += block.latency.len() as u64;
                }
                EventKind::SamplerOutage { from, to, reason, .. } => {
                    self.tell_good();
                    self.accounted += (to - from) / self.interval;
                    self.lines.push(format!("{}..{} {reason}", from / 1_000_000, to / 1_000_000));
                }
                EventKind::ProbeStopped { planned, .. } => {
                    self.tell_good();
                    self.lines.push(format!("{planned} planned, {} accounted for", self.accounted));
                }
                other => self.lines.push(format!("{other:?}")),
            }
            self
        }

        fn tell_good(&mut self) {
            let good = std::mem::take(&mut self.good);
            if good > 0 {
                self.lines.push(format!("{good} good"));
            }
        }

        fn tell(self) -> String {
            self.lines.join("\n")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_is_well() {
        insta::assert_snapshot!(record(50, 1_000, 1_000, None, |_| Fake::Good).await, @r"
        web/outside/new from 10
        20 good
        20 planned, 20 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_workload_does_not_delay_the_samples_behind() {
        let play = |n| if (5..8).contains(&n) { Fake::Hangs } else { Fake::Good };
        insta::assert_snapshot!(record(50, 300, 1_000, None, play).await, @r"
        web/outside/new from 10
        5 good
        260 Timeout after 300
        310 Timeout after 300
        360 Timeout after 300
        12 good
        20 planned, 20 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_keep_their_kind_and_time() {
        let play = |n| match n {
            3 => Fake::Fails(Failure::Refused),
            4 => Fake::Fails(Failure::Status(503)),
            _ => Fake::Good,
        };
        insta::assert_snapshot!(record(50, 300, 1_000, None, play).await, @r"
        web/outside/new from 10
        3 good
        160 Refused after 0
        210 Status(503) after 0
        15 good
        20 planned, 20 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_thread_is_the_samplers_own_outage() {
        let play = |n| if n == 4 { Fake::Stalls(300) } else { Fake::Good };
        insta::assert_snapshot!(record(50, 1_000, 1_000, None, play).await, @r"
        web/outside/new from 10
        4 good
        210..260 the sampler was blind while it waited for the answer
        260..460 the sampler woke 250 ms late
        11 good
        20 planned, 20 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_block_without_missed_samples_is_an_outage_too() {
        let play = |n| if n == 1 { Fake::Stalls(200) } else { Fake::Good };
        insta::assert_snapshot!(record(500, 1_000, 1_600, None, play).await, @r"
        web/outside/new from 10
        1 good
        535..710 the sampler woke 175 ms late
        510..1010 the sampler was blind while it waited for the answer
        2 good
        4 planned, 4 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_while_the_sampler_was_blind_failed_but_a_timeout_may_be_its_own() {
        let play = |n| match n {
            2 => Fake::Hangs,
            3 => Fake::FailsIn(Failure::Reset, 60),
            4 => Fake::Stalls(300),
            _ => Fake::Good,
        };
        insta::assert_snapshot!(record(50, 200, 1_000, None, play).await, @r"
        web/outside/new from 10
        2 good
        110..160 the sampler was blind while it waited for the answer
        160 Reset after 350
        210..260 the sampler was blind while it waited for the answer
        260..460 the sampler woke 250 ms late
        11 good
        20 planned, 20 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn what_this_machine_lacks_is_not_the_workloads_failure() {
        let play = |n| if (3..6).contains(&n) { Fake::NoSocket } else { Fake::Good };
        insta::assert_snapshot!(record(50, 200, 1_000, None, play).await, @r"
        web/outside/new from 10
        3 good
        160..260 this machine could not ask: too many open files
        260..310 this machine could not ask: too many open files
        14 good
        20 planned, 20 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn over_the_bound_nothing_is_sent() {
        let told = record(1, 10_000, 600, None, |n| if n < 3 { Fake::Good } else { Fake::Hangs }).await;
        let (hanging, rest): (Vec<&str>, Vec<&str>) =
            told.lines().partition(|line| line.ends_with("Timeout after 10000"));
        assert_eq!(hanging.len(), MAX_IN_FLIGHT);
        insta::assert_snapshot!(rest.join("\n"), @r"
        web/outside/new from 10
        3 good
        525..601 512 samples in flight, the bound
        591 planned, 591 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_the_calendar_shows() {
        insta::assert_snapshot!(record(500, 1_000, 1_600, Some((700, 60_000)), |_| Fake::Good).await, @r"
        web/outside/new from 10
        1 good
        685..710 the calendar clock jumped by 60000 ms against the monotonic clock
        3 good
        4 planned, 4 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_sampled_between_two_samplers_is_an_outage() {
        let earlier = Account { start: 10_000_000, interval: 50_000_000, accounted: 4 };
        let told = record_after(Some((earlier, 1_000)), 50, 1_000, 500, None, |_| Fake::Good).await;
        insta::assert_snapshot!(told, @r"
        210..1010 the sampler was not running
        10 good
        30 planned, 26 accounted for
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_can_be_aimed_at_something_else() {
        let clock = Clock::start();
        let events = Rc::new(RefCell::new(Vec::new()));
        let sink = {
            let events = Rc::clone(&events);
            move |event| events.borrow_mut().push(event)
        };
        let script = |play| -> Arc<dyn Kind> { Arc::new(Script { asked: AtomicU64::new(0), play }) };
        let kind = script(|_| Fake::Fails(Failure::Status(404)));
        let prepared = [Prepared { spec: spec(50, 300), kind, earlier: None }];
        let sampling = Sampling::new(clock, move || Some(Duration::from_nanos(clock.now())), sink, &prepared);
        let (control, controls) = mpsc::unbounded_channel();
        let steps = async {
            tokio::time::sleep(Duration::from_millis(125)).await;
            control.send(Control::Aim("web/outside/new".into(), script(|_| Fake::Good))).unwrap();
            control.send(Control::Aim("gone/outside/new".into(), script(|_| Fake::Hangs))).unwrap();
            tokio::time::sleep(Duration::from_millis(125)).await;
            control.send(Control::Stop).unwrap();
        };
        tokio::join!(sampling.run(controls), steps);
        let story = Story { interval: 50_000_000, ..Story::default() };
        insta::assert_snapshot!(events.take().iter().fold(story, Story::read).tell(), @r#"
        web/outside/new from 10
        Fact { key: "probe.web/outside/new.target", value: "script" }
        10 Status(404) after 0
        60 Status(404) after 0
        110 Status(404) after 0
        2 good
        5 planned, 5 accounted for
        "#);
    }

    #[rstest]
    #[case::usual(50, 5_000, 108)]
    #[case::timeout_below_interval(1_000, 500, 9)]
    #[case::fast(1, 5_000, MAX_IN_FLIGHT)]
    fn bounds_what_is_in_flight(#[case] interval: u64, #[case] timeout: u64, #[case] expected: usize) {
        assert_eq!(bound(Duration::from_millis(interval), Duration::from_millis(timeout)), expected);
    }
}

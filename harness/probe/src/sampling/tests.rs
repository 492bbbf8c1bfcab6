//! The loop in paused time, against kinds that play a script.

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
        node: None,
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
    5 good
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
    3 good
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
    110..160 the sampler was blind while it waited, and no answer was in time
    160 Reset after 350
    1 good
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
    160..310 this machine could not ask: too many open files
    14 good
    20 planned, 20 accounted for
    ");
}

#[tokio::test(start_paused = true)]
async fn over_the_bound_nothing_is_sent() {
    let told = record(1, 10_000, 600, None, |n| if n < 3 { Fake::Good } else { Fake::Hangs }).await;
    let (hanging, rest): (Vec<&str>, Vec<&str>) = told.lines().partition(|line| line.ends_with("Timeout after 10000"));
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

//! How true the edges of outages are: [`OUTAGES`] of known times, in all ways that a server can fail, and what the record of
//! real samplers says about them.
//!
//! Each lane is a server and a probe of its own; lanes run at the same time. The seed is fixed, so two runs ask the same.
//! Not a test: on a busy machine the sampler is blind now and then, which is told apart from what it got wrong.
#![allow(clippy::print_stdout, reason = "its output is its result")]

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ferry_probe::{Clock, Connection, HttpSpec, KindSpec, Place, ProbeSpec, Sampler};
use ferry_record::event::Failure;
use ferry_record::{EventKind, Nanos};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// Seeded outages over all lanes.
const OUTAGES: usize = 200;
/// Lengths, spread evenly over their logarithms: as many from 20 to 80 ms as from 1.25 to 5 s.
const SHORTEST: f64 = 0.020;
const LONGEST: f64 = 5.0;
/// A quiet time before each outage, at least.
const QUIET: Duration = Duration::from_millis(400);

/// How a server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is healthy.
    Serves,
    /// Nobody listens, and connections are cut.
    Refuses,
    /// Connections are accepted and cut.
    Resets,
    /// Requests are read and never answered.
    Hangs,
}

/// A probe and its server.
#[derive(Debug, Clone, Copy)]
struct Lane {
    way: Way,
    connection: Connection,
    interval: Duration,
}

/// Rates from 50 to 100 samples/s, so that the shortest outage is longer than an interval.
fn lanes() -> Vec<Lane> {
    let mut lanes = vec![];
    for (way, ms) in [(Way::Refuses, 10), (Way::Resets, 20), (Way::Hangs, 16), (Way::Refuses, 20), (Way::Resets, 10)] {
        for connection in [Connection::New, Connection::Reused] {
            lanes.push(Lane { way, connection, interval: Duration::from_millis(ms) });
        }
    }
    lanes
}

/// A time that something was down.
#[derive(Debug, Clone, Copy)]
struct Outage {
    from: Nanos,
    to: Nanos,
}

/// What a server knows of its outage: on a busy machine time passes between a look at the clock and the deed.
#[derive(Debug, Clone)]
struct Truth {
    from: RangeInclusive<Nanos>,
    to: RangeInclusive<Nanos>,
}

/// How far a time is from what is known.
fn off(time: Nanos, known: &RangeInclusive<Nanos>) -> Nanos {
    known.start().saturating_sub(time).max(time.saturating_sub(*known.end()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = Clock::start();
    let lanes = lanes();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut rng = StdRng::seed_from_u64(5);
    let (sink, events) = channel();
    let mut specs = vec![];
    let mut servers = vec![];
    for (number, lane) in lanes.iter().enumerate() {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        specs.push(ProbeSpec {
            name: format!("lane-{number}"),
            node: None,
            place: Place::Outside,
            connection: lane.connection,
            kind: KindSpec::Http(HttpSpec::new(format!("http://{address}/"))),
            interval: lane.interval,
            timeout: Duration::from_secs(1),
        });
        let plan = (0..OUTAGES / lanes.len()).map(|_| seeded(&mut rng)).collect();
        servers.push(runtime.spawn(serve(listener, address, lane.way, plan, clock)));
    }
    let ids: Vec<String> = specs.iter().map(ProbeSpec::id).collect();
    let sampler = Sampler::start(clock, specs, move |event| drop(sink.send(event)))?;
    let mut truths = vec![];
    for server in servers {
        truths.push(runtime.block_on(server)??);
    }
    runtime.block_on(sampler.stop())?;

    let mut seen: Vec<Seen> = ids.iter().map(|_| Seen::default()).collect();
    read(&events, &ids, &mut seen);
    println!("way      connection  interval  outages  missed  invented  edges true  worst edge  beside blind time");
    let mut total = Score::default();
    for ((lane, truth), seen) in lanes.iter().zip(&truths).zip(&seen) {
        let score = Score::of(truth, seen, nanos(lane.interval));
        let (way, connection) = (format!("{:?}", lane.way), lane.connection.to_string());
        println!("{way:<8} {connection:<10} {:>6} ms  {score}", lane.interval.as_millis());
        total.add(&score);
    }
    println!("{:<30} {total}", "all");
    println!(
        "target: both edges of all {OUTAGES} within one interval, none missed (every one is longer than an interval), none invented"
    );
    Ok(())
}

/// A quiet time, then how long to be down.
fn seeded(rng: &mut StdRng) -> (Duration, Duration) {
    let quiet = QUIET + Duration::from_micros(rng.random_range(0..200_000));
    let seconds = SHORTEST * (LONGEST / SHORTEST).powf(rng.random::<f64>());
    (quiet, Duration::from_secs_f64(seconds))
}

/// Serves, fails as planned, and tells when.
async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    way: Way,
    plan: Vec<(Duration, Duration)>,
    clock: Clock,
) -> std::io::Result<Vec<Truth>> {
    let state = watch::Sender::new(Way::Serves);
    let mut accepting = tokio::spawn(accept(listener, state.clone()));
    let mut outages = vec![];
    for (quiet, down) in plan {
        sleep(quiet).await;
        let before = clock.now();
        if way == Way::Refuses {
            accepting.abort();
            // Dropped, and with it the listener, only when it has ended.
            (&mut accepting).await.ok();
        }
        state.send_replace(way);
        let from = before..=clock.now();
        sleep(down).await;
        let before = clock.now();
        state.send_replace(Way::Serves);
        if way == Way::Refuses {
            accepting = tokio::spawn(accept(TcpListener::bind(address).await?, state.clone()));
        }
        outages.push(Truth { from, to: before..=clock.now() });
    }
    sleep(QUIET).await;
    Ok(outages)
}

async fn accept(listener: TcpListener, state: watch::Sender<Way>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, state.subscribe()));
    }
}

async fn connection(mut stream: TcpStream, mut state: watch::Receiver<Way>) {
    // Cut means reset: what is dropped with this set sends no orderly end.
    stream.set_zero_linger().ok();
    let mut request = [0; 1024];
    loop {
        tokio::select! {
            biased;
            _ = state.wait_for(|way| matches!(way, Way::Refuses | Way::Resets)) => return,
            read = stream.read(&mut request) => if !matches!(read, Ok(1..)) { return },
        }
        // A request that met a server that hangs is never answered.
        if *state.borrow() == Way::Hangs {
            std::future::pending::<()>().await;
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// What the record says about one lane.
#[derive(Debug, Default)]
struct Seen {
    /// From the intended time of the first sample that failed to that of the next good one.
    outages: Vec<Outage>,
    /// The sampler's own.
    blind: Vec<Outage>,
    open: Option<Open>,
}

/// An outage that goes on.
#[derive(Debug, Clone, Copy)]
struct Open {
    from: Nanos,
    /// When its first sample was lost: one that was under way, on a busy machine for long, is lost to what came then.
    lost: Nanos,
}

fn read(events: &Receiver<EventKind>, ids: &[String], seen: &mut [Seen]) {
    for event in events {
        match event {
            EventKind::Samples(block) => {
                let Some(seen) = ids.iter().position(|id| *id == block.probe).map(|lane| &mut seen[lane]) else {
                    continue;
                };
                for place in 0..block.latency.len() {
                    let due = block.start + place as u64 * block.interval;
                    let failed = block.failed.iter().find(|(at, _)| *at as usize == place);
                    match (failed, seen.open) {
                        (Some((_, Failure::Timeout)), None) => seen.open = Some(Open { from: due, lost: due }),
                        (Some(_), None) => {
                            let lost = due + u64::from(block.latency[place]) * 1_000;
                            seen.open = Some(Open { from: due, lost });
                        }
                        (None, Some(Open { from, lost })) => {
                            seen.outages.push(Outage { from, to: due.max(lost) });
                            seen.open = None;
                        }
                        _ => {}
                    }
                }
            }
            EventKind::SamplerOutage { probe, from, to, .. } => {
                if let Some(lane) = ids.iter().position(|id| *id == probe) {
                    seen[lane].blind.push(Outage { from, to });
                }
            }
            _ => {}
        }
    }
}

/// How right a record is.
#[derive(Debug, Default)]
struct Score {
    outages: usize,
    missed: usize,
    invented: usize,
    edges: usize,
    /// Edges within one interval of the truth.
    fit: usize,
    /// The furthest, in nanoseconds, among those that no blindness of the sampler excuses.
    worst: u64,
    /// Outages with an edge that the sampler was blind at.
    blind: usize,
}

impl Score {
    fn of(truth: &[Truth], seen: &Seen, interval: Nanos) -> Self {
        let mut score = Self { outages: truth.len(), ..Self::default() };
        let near = |time: Nanos| {
            let margin = 2 * interval;
            seen.blind.iter().any(|blind| blind.from <= time + margin && time <= blind.to + margin)
        };
        let overlap = |seen: &Outage, truth: &Truth| {
            seen.from < truth.to.end() + interval && *truth.from.start() < seen.to + interval
        };
        for outage in truth {
            let parts: Vec<&Outage> = seen.outages.iter().filter(|seen| overlap(seen, outage)).collect();
            let blind = near(*outage.from.start()) || near(*outage.to.end());
            score.blind += usize::from(blind);
            let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
                score.missed += usize::from(!blind);
                continue;
            };
            for off in [off(first.from, &outage.from), off(last.to, &outage.to)] {
                score.edges += 1;
                score.fit += usize::from(off <= interval);
                score.worst = if blind { score.worst } else { score.worst.max(off) };
            }
        }
        score.invented = seen.outages.iter().filter(|seen| !truth.iter().any(|outage| overlap(seen, outage))).count();
        score
    }

    fn add(&mut self, other: &Self) {
        self.outages += other.outages;
        self.missed += other.missed;
        self.invented += other.invented;
        self.edges += other.edges;
        self.fit += other.fit;
        self.worst = self.worst.max(other.worst);
        self.blind += other.blind;
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>7} {:>7} {:>9} {:>5} of {:<4} {:>8.1} ms {:>10}",
            self.outages,
            self.missed,
            self.invented,
            self.fit,
            self.edges,
            self.worst as f64 / 1e6,
            self.blind
        )
    }
}

fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

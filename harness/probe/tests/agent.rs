//! The agent as a container runs it: whatever happens to it or to those who listen, every sample that was due is in its
//! spool once.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ferry_probe::agent::protocol::{Aim, Call, Chunk, ClockAnswer, Stopped};
use ferry_probe::agent::times::{Reading, estimate, rebase};
use ferry_probe::{Clock, Connection, HttpSpec, KindSpec, Place, ProbeSpec};
use ferry_record::event::Failure;
use ferry_record::{Event, EventKind, Nanos};
use rstest::rstest;
use tempfile::TempDir;

/// 100 samples/s.
const INTERVAL: Duration = Duration::from_millis(10);

/// A running agent.
struct Agent {
    process: Child,
    address: SocketAddr,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        Self::with(folder, &[])
    }

    fn with(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ferry-agent"))
            .env_clear()
            .env("FERRY_SPOOL", folder)
            .env("FERRY_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        log.read_line(&mut first).unwrap();
        let (_, address) = first.trim_end().rsplit_once(' ').unwrap();
        let address = address.parse().unwrap();
        Self { process, address }
    }

    fn ask(&self, call: Call<'_>) -> (u16, Vec<u8>) {
        let mut stream = self.send(call);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer.split_off(head + 4))
    }

    fn send(&self, call: Call<'_>) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let body = call.body().unwrap();
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            call.method(),
            call.path(),
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        stream
    }

    fn good(&self, call: Call<'_>) -> Vec<u8> {
        let (status, body) = self.ask(call);
        assert!((200..300).contains(&status), "{call:?}: {status} {}", String::from_utf8_lossy(&body));
        body
    }

    fn clock(&self) -> ClockAnswer {
        serde_json::from_slice(&self.good(Call::Clock)).unwrap()
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// As the kernel does when memory is short.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Answers every request with 200, on a port of its own, as long as the test lives.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    address
}

fn spec(name: &str, url: &str) -> ProbeSpec {
    ProbeSpec {
        name: name.into(),
        node: None,
        place: Place::Inside,
        connection: Connection::New,
        kind: KindSpec::Http(HttpSpec::new(url)),
        interval: INTERVAL,
        timeout: Duration::from_secs(1),
    }
}

/// Reads a spool bit by bit.
#[derive(Default)]
struct Reader {
    next: u64,
    events: Vec<Event>,
}

impl Reader {
    fn read(&mut self, agent: &Agent) {
        let spool = agent.clock().spool;
        let call = Call::Events { from: self.next, wait: Duration::from_secs(5), spool: &spool };
        let chunk = Chunk::read(self.next, &agent.good(call)).unwrap();
        self.next = chunk.next;
        self.events.extend(chunk.events);
    }

    /// Until so many samples were told of.
    fn until(&mut self, agent: &Agent, samples: u64) {
        while self.story().taken < samples {
            self.read(agent);
        }
    }

    fn until_stopped(&mut self, agent: &Agent) {
        let stopped: Stopped = serde_json::from_slice(&agent.good(Call::Stop)).unwrap();
        while self.next < stopped.length {
            self.read(agent);
        }
    }

    fn story(&self) -> Story {
        let mut story = Story::default();
        for event in &self.events {
            story.read(&event.kind);
        }
        story
    }
}

/// What a record says about its one probe.
#[derive(Debug, Default)]
struct Story {
    started: usize,
    start: Nanos,
    taken: u64,
    failures: Vec<Failure>,
    /// Samples without a gap from the first one on.
    accounted: u64,
    outages: Vec<String>,
    planned: Option<u64>,
}

impl Story {
    fn read(&mut self, event: &EventKind) {
        let interval = INTERVAL.as_nanos() as u64;
        match event {
            EventKind::ProbeStarted(info) => (self.started, self.start) = (self.started + 1, info.start),
            EventKind::Samples(block) => {
                assert_eq!(block.start, self.start + self.accounted * interval);
                self.taken += block.latency.len() as u64;
                self.accounted += block.latency.len() as u64;
                self.failures.extend(block.failed.iter().map(|(_, failure)| failure.clone()));
            }
            // One between two samples leaves none out.
            EventKind::SamplerOutage { from, .. } if !(from - self.start).is_multiple_of(interval) => {}
            EventKind::SamplerOutage { from, to, reason, .. } => {
                assert_eq!(*from, self.start + self.accounted * interval, "{reason}");
                self.accounted += (to - from) / interval;
                self.outages.push(reason.clone());
            }
            EventKind::ProbeStopped { planned, .. } => self.planned = Some(*planned),
            _ => {}
        }
    }

    #[track_caller]
    fn is_complete(&self) {
        assert_eq!((self.started, self.planned), (1, Some(self.accounted)), "{self:?}");
    }
}

#[test]
fn whoever_reads_gets_every_event_once_however_often_the_connection_breaks() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path());
    let specs = [spec("web", &format!("http://{}/", target()))];
    agent.good(Call::Specs(&specs));
    agent.good(Call::Specs(&specs));
    let mut reader = Reader::default();
    let spool = agent.clock().spool;
    for cut in 1..20 {
        // The answer ends anywhere, or is never read.
        let mut stream = agent.send(Call::Events { from: reader.next, wait: Duration::from_secs(5), spool: &spool });
        let mut part = vec![0; 40 * cut];
        let length = stream.read(&mut part).unwrap();
        let head = part.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(length, |head| head + 4);
        let chunk = Chunk::read(reader.next, &part[head.min(length)..length]).unwrap();
        reader.next = chunk.next;
        reader.events.extend(chunk.events);
    }
    reader.until(&agent, 100);
    reader.until_stopped(&agent);
    let story = reader.story();
    assert_eq!(story.failures, []);
    story.is_complete();
    let spooled = fs_err::read(folder.path().join("events.jsonl")).unwrap();
    assert_eq!(Chunk::read(0, &spooled).unwrap().events, reader.events);
}

#[rstest]
#[case::killed("-KILL")]
#[case::ended("-TERM")]
fn a_next_life_goes_on_with_the_same_probes(#[case] signal: &str) {
    let folder = TempDir::new().unwrap();
    let mut agent = Agent::start(folder.path());
    agent.good(Call::Specs(&[spec("web", &format!("http://{}/", target()))]));
    let mut reader = Reader::default();
    reader.until(&agent, 30);
    let before = agent.clock();
    agent.signal(signal);
    let code = agent.process.wait().unwrap().code();
    assert_eq!(code, if signal == "-TERM" { Some(0) } else { None });

    let died = Instant::now();
    std::thread::sleep(Duration::from_millis(200));
    let agent = Agent::start(folder.path());
    let after = agent.clock();
    assert_eq!((&before.spool, before.incarnation, after.incarnation), (&after.spool, 1, 2));
    assert!(u128::from(after.t - before.t) >= died.elapsed().as_nanos() / 2, "{before:?} {after:?}");
    reader.until(&agent, 60);
    reader.until_stopped(&agent);
    let story = reader.story();
    assert!(story.outages.contains(&"the sampler was not running".into()), "{story:?}");
    assert!(story.accounted - story.taken >= 20, "{story:?}");
    assert_eq!(story.failures, []);
    story.is_complete();

    agent.kill();
    let agent = Agent::start(folder.path());
    assert_eq!(agent.ask(Call::Healthz), (200, b"ok\n".to_vec()));
    let spool = agent.clock().spool;
    let rest = agent.good(Call::Events { from: reader.next, wait: Duration::ZERO, spool: &spool });
    assert_eq!(rest, b"", "what was stopped stays stopped");
}

#[test]
fn a_probe_is_aimed_at_something_else_and_stays_so() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path());
    let good = target();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let specs = [spec("web", &format!("http://{nobody}/"))];
    agent.good(Call::Specs(&specs));
    let mut reader = Reader::default();
    reader.until(&agent, 20);
    let kind = KindSpec::Http(HttpSpec::new(format!("http://{good}/")));
    agent.good(Call::Aim(&Aim { probe: "web/inside/new".into(), kind }));
    agent.good(Call::Specs(&specs));
    reader.until(&agent, 80);
    agent.kill();
    let agent = Agent::start(folder.path());
    reader.until(&agent, 120);
    reader.until_stopped(&agent);
    let story = reader.story();
    story.is_complete();
    assert!(story.failures.len() >= 20 && story.failures.len() < 80, "{story:?}");
    assert!(story.failures.iter().all(|failure| *failure == Failure::Refused), "{story:?}");
}

#[test]
fn other_specs_end_the_probes_before() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path());
    let url = format!("http://{}/", target());
    agent.good(Call::Specs(&[spec("first", &url)]));
    agent.good(Call::Specs(&[spec("second", &url)]));
    let mut reader = Reader::default();
    reader.until_stopped(&agent);
    let names: Vec<String> = reader
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::ProbeStarted(info) => Some(format!("+{}", info.probe)),
            EventKind::ProbeStopped { probe, .. } => Some(format!("-{probe}")),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["+first/inside/new", "-first/inside/new", "+second/inside/new", "-second/inside/new"]);
}

#[test]
fn a_full_spool_says_so_and_ends_its_probes_with_an_outage() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::with(folder.path(), &[("FERRY_SPOOL_LIMIT", "67000")]);
    agent.good(Call::Specs(&[spec("web", &format!("http://{}/", target()))]));
    let deadline = Instant::now() + Duration::from_secs(20);
    while agent.ask(Call::Healthz).0 == 200 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut reader = Reader::default();
    reader.until_stopped(&agent);
    let story = reader.story();
    assert!(story.outages.last().is_some_and(|why| why.contains("limit of 67000 bytes")), "{story:?}");
    story.is_complete();
    let (status, why) = agent.ask(Call::Specs(&[]));
    assert_eq!(status, 507, "{}", String::from_utf8_lossy(&why));
}

#[test]
fn its_events_fall_into_place_on_the_clock_of_whoever_asks() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path());
    // The run is older than the agent.
    let clock = Clock::reading(3_600_000_000_000);
    let before = clock.now();
    agent.good(Call::Specs(&[spec("web", &format!("http://{}/", target()))]));
    let mut reader = Reader::default();
    reader.read(&agent);
    let after = clock.now();
    let readings: Vec<Reading> = (0..10)
        .map(|_| {
            let sent = clock.now();
            let agent = agent.clock().t;
            Reading { sent, agent, received: clock.now() }
        })
        .collect();
    let offset = estimate(&readings).unwrap();
    let EventKind::ProbeStarted(info) = rebase(reader.events[0].kind.clone(), offset.offset) else { panic!() };
    // The first sample is due 10 ms after its probe is announced.
    let lead = 10_000_000;
    let fits = before + lead - offset.uncertainty..=after + lead + offset.uncertainty;
    assert!(fits.contains(&info.start), "{} in {fits:?}, {offset:?}", info.start);
}

#[rstest]
#[case::no_json("PUT", "/specs", "web", 400, "cannot read the request: expected value at line 1 column 1")]
#[case::no_url(
    "PUT",
    "/specs",
    r#"[{"name":"a","place":"inside","connection":"new","kind":{"http":{"url":"ftp://x"}},"interval":{"secs":1,"nanos":0},"timeout":{"secs":1,"nanos":0}}]"#,
    422,
    "probe a/inside/new: cannot ask \"ftp://x\": the scheme is ftp, not http or https (hint: write it as http://host:port/path)"
)]
#[case::nothing_to_aim("POST", "/aim", r#"{"probe":"a","kind":{"tcp":{"address":"a:1"}}}"#, 409, "nothing is sampled")]
#[case::beyond_the_end("GET", "/events?from=1", "", 416, "no event begins at byte 1 of 0")]
#[case::other_spool("GET", "/events?from=0&spool=other", "", 409, "this is spool [SPOOL]")]
#[case::odd_query("GET", "/events?since=0", "", 400, "cannot read \"since=0\"")]
#[case::method("GET", "/stop", "", 405, "/stop is not for GET")]
#[case::path("GET", "/", "", 404, "there is no /")]
fn says_what_is_wrong_with_a_request(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] why: &str,
) {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path());
    let mut stream = TcpStream::connect(agent.address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let why = why.replace("[SPOOL]", &agent.clock().spool);
    assert_eq!(answer.rsplit_once("\r\n\r\n").unwrap().1, why + "\n");
}

#[rstest]
#[case::no_spool(&[], "FERRY_SPOOL is not set: give the folder of the spool")]
#[case::odd_address(&[("FERRY_SPOOL", "/tmp"), ("FERRY_LISTEN", "7070")], "cannot read FERRY_LISTEN=7070: expected an address and a port")]
#[case::odd_limit(&[("FERRY_SPOOL", "/tmp"), ("FERRY_SPOOL_LIMIT", "1Gi")], "cannot read FERRY_SPOOL_LIMIT=1Gi: expected a number of bytes")]
fn says_what_is_wrong_with_its_settings(#[case] settings: &[(&str, &str)], #[case] why: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry-agent"));
    let output = command.env_clear().envs(settings.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("ferry-agent: {why}\n"));
}

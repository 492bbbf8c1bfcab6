//! The real process, under the eyes of the real probes.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use ferry_probe::{Clock, Connection, GrpcSpec, HttpSpec, KindSpec, Place, ProbeSpec, Sampler};
use ferry_record::EventKind;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;

/// `DRAIN_SECONDS` of the tests.
const DRAIN: Duration = Duration::from_secs(1);

/// A running workload.
struct Workload {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Workload {
    async fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ferry-workload"))
            .env_clear()
            .envs([("PORT", "0"), ("DRAIN_SECONDS", "1"), ("FINISH_SECONDS", "3"), ("DEMO_VERSION", "2.0")])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let first = log.next_line().await.unwrap().unwrap();
        let (_, port) = first.rsplit_once(':').unwrap();
        assert_eq!(first, format!("ferry-workload: version 2.0 listening on 0.0.0.0:{port}"));
        Self { process, log, address: format!("127.0.0.1:{port}") }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().unwrap().cast_signed()), signal).unwrap();
    }

    /// Waits for its end; the exit code and the rest of its log.
    async fn end(mut self) -> (Option<i32>, Vec<String>) {
        let mut log = Vec::new();
        while let Some(line) = self.log.next_line().await.unwrap() {
            log.push(line);
        }
        (self.process.wait().await.unwrap().code(), log)
    }

    /// Asks on a connection of its own; everything that comes back.
    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Everything that counts lost requests, by every way of connecting.
    fn probes(&self) -> Vec<ProbeSpec> {
        let http = KindSpec::Http(HttpSpec {
            expect_header: Some(("ferry-version".into(), "2.0".into())),
            body_contains: Some("Version <b>2.0</b>".into()),
            ..HttpSpec::new(format!("http://{}/", self.address))
        });
        let grpc = KindSpec::Grpc(GrpcSpec { address: self.address.clone(), service: "liveness".into(), tls: None });
        let probe = |kind: &KindSpec, connection| ProbeSpec {
            name: kind.name().into(),
            node: None,
            place: Place::Outside,
            connection,
            kind: kind.clone(),
            interval: Duration::from_millis(10),
            timeout: Duration::from_secs(5),
        };
        let both = [Connection::New, Connection::Reused];
        [http, grpc].iter().flat_map(|kind| both.map(|connection| probe(kind, connection))).collect()
    }
}

#[rstest]
#[case::as_kubernetes_does(Signal::SIGTERM)]
#[case::as_a_person_does(Signal::SIGINT)]
#[tokio::test]
async fn no_request_is_lost_until_it_stops_listening(#[case] signal: Signal) {
    let workload = Workload::start().await;
    let probes = workload.probes();
    let clock = Clock::start();
    let (sink, mut events) = mpsc::unbounded_channel();
    let sampler = Sampler::start(clock, probes, move |event| drop(sink.send(event))).unwrap();
    let mut blocks = Vec::new();
    // All probes at work before the signal.
    while blocks.len() < 8 {
        if let EventKind::Samples(block) = events.recv().await.unwrap() {
            blocks.push(block);
        }
    }
    let signalled = clock.now();
    workload.signal(signal);
    let (code, log) = workload.end().await;
    // All probes see that it is gone, so they would have seen it earlier.
    let mut gone = HashSet::new();
    while gone.len() < 4 {
        if let EventKind::Samples(block) = events.recv().await.unwrap() {
            if !block.failed.is_empty() {
                gone.insert(block.probe.clone());
            }
            blocks.push(block);
        }
    }
    sampler.stop().await.unwrap();

    assert_eq!(code, Some(0), "{log:#?}");
    let listened_until = signalled + u64::try_from(DRAIN.as_nanos()).unwrap();
    let mut lost = Vec::new();
    for block in &blocks {
        for (place, failure) in &block.failed {
            let ended =
                block.start + u64::from(*place) * block.interval + u64::from(block.latency[*place as usize]) * 1_000;
            if ended < listened_until {
                lost.push((&block.probe, ended.saturating_sub(signalled), failure));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

#[tokio::test]
async fn readiness_goes_first_and_streams_end_whole() {
    let mut workload = Workload::start().await;
    assert!(workload.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    let mut stream = TcpStream::connect(&workload.address).await.unwrap();
    stream.write_all(b"GET /stream HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();

    workload.signal(Signal::SIGTERM);
    assert_eq!(
        workload.log.next_line().await.unwrap().as_deref(),
        Some("ferry-workload: SIGTERM: not ready any more, serving for 1s")
    );
    assert!(workload.get("/readyz").await.starts_with("HTTP/1.1 503 "));
    assert!(workload.get("/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(workload.get("/").await.contains("Version <b>2.0</b>"));

    let mut streamed = String::new();
    stream.read_to_string(&mut streamed).await.unwrap();
    assert!(streamed.ends_with("\r\n0\r\n\r\n"), "cut off: {streamed:?}");
    let (code, log) = workload.end().await;
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(log.join("\n"), @r"
    ferry-workload: not listening any more, 1 requests under way
    ferry-workload: bye
    ");
}

#[rstest]
#[case::setting(
    "PORT",
    "http",
    2,
    "ferry-workload: cannot read PORT=\"http\": expected a port number from 0 to 65535\n"
)]
#[case::port_taken(
    "PORT",
    "taken",
    1,
    "ferry-workload: cannot listen on port [PORT]: Address already in use (os error 98)\n"
)]
#[tokio::test]
async fn says_why_it_cannot_start(#[case] name: &str, #[case] value: &str, #[case] code: i32, #[case] message: &str) {
    let taken = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let value = if value == "taken" { &port } else { value };
    let output =
        Command::new(env!("CARGO_BIN_EXE_ferry-workload")).env_clear().env(name, value).output().await.unwrap();
    assert_eq!(output.status.code(), Some(code));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), message.replace("[PORT]", &port));
}

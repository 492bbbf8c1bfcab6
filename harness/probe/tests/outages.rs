//! Real sockets on loopback, a real sampler thread, and a server that misbehaves for a known number of requests: the record
//! must tell exactly that.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferry_probe::{Clock, Connection, HttpSpec, KindSpec, Place, ProbeSpec, Sampler};
use ferry_record::EventKind;
use ferry_record::event::Failure;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use rstest::rstest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the server does to the requests of an outage.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Unavailable,
    Resets,
    NeverAnswers,
}

/// 50 samples/s.
const INTERVAL: u64 = 20_000_000;

/// Requests with these numbers meet the trouble.
const OUTAGE: std::ops::Range<u64> = 10..17;

async fn server(trouble: Option<Trouble>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, trouble, Arc::clone(&served)));
        }
    });
    address
}

async fn serve(stream: TcpStream, trouble: Option<Trouble>, served: Arc<AtomicU64>) {
    // For `Resets`: the connection is dropped with this option set while the request is unanswered.
    if matches!(trouble, Some(Trouble::Resets)) {
        stream.set_zero_linger().unwrap();
    }
    let service = service_fn(|_| {
        let number = served.fetch_add(1, Ordering::SeqCst);
        async move {
            let good = Response::new(Full::new(Bytes::from_static(b"hello")));
            match trouble.filter(|_| OUTAGE.contains(&number)) {
                None => Ok(good),
                Some(Trouble::Unavailable) => {
                    let mut response = good;
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                    Ok(response)
                }
                Some(Trouble::Resets) => Err("reset"),
                Some(Trouble::NeverAnswers) => std::future::pending().await,
            }
        }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

fn spec(address: SocketAddr, connection: Connection) -> ProbeSpec {
    ProbeSpec {
        name: "web".into(),
        node: None,
        place: Place::Outside,
        connection,
        kind: KindSpec::Http(HttpSpec::new(format!("http://{address}/"))),
        interval: Duration::from_nanos(INTERVAL),
        timeout: Duration::from_millis(1_000),
    }
}

/// What a record says about one probe.
#[derive(Debug, Default)]
struct Told {
    failures: Vec<Failure>,
    taken: u64,
    /// Samples that mean nothing because the sampler was blind while it waited.
    blind: usize,
    /// From and to, in samples since the first.
    accounted: Vec<(u64, u64)>,
    start: u64,
    planned: Option<u64>,
}

impl Told {
    fn read(&mut self, event: EventKind) {
        match event {
            EventKind::ProbeStarted(info) => self.start = info.start,
            EventKind::Samples(block) => {
                let first = (block.start - self.start) / INTERVAL;
                self.accounted.push((first, first + block.latency.len() as u64));
                self.taken += block.latency.len() as u64;
                self.failures.extend(block.failed.into_iter().map(|(_, failure)| failure));
            }
            // One between two samples leaves none out.
            EventKind::SamplerOutage { from, .. } if !(from - self.start).is_multiple_of(INTERVAL) => {}
            EventKind::SamplerOutage { from, to, reason, .. } => {
                let (from, to) = ((from - self.start) / INTERVAL, (to - self.start) / INTERVAL);
                self.accounted.push((from, to));
                self.blind += if reason.contains("blind while it waited") { (to - from) as usize } else { 0 };
            }
            EventKind::ProbeStopped { planned, .. } => self.planned = Some(planned),
            _ => {}
        }
    }

    fn untaken(&self) -> u64 {
        self.planned.unwrap() - self.taken
    }

    /// Every sample that was due is in exactly one block or outage.
    #[track_caller]
    fn is_complete(&self) {
        let mut next = 0;
        for (from, to) in &self.accounted {
            assert_eq!(*from, next, "{self:?}");
            next = *to;
        }
        assert_eq!(self.planned, Some(next), "{self:?}");
    }
}

/// Samples until so many samples were told of, then stops.
async fn told(specs: Vec<ProbeSpec>, samples: u64) -> Told {
    let (sink, mut events) = mpsc::unbounded_channel();
    let sampler = Sampler::start(Clock::start(), specs, move |event| drop(sink.send(event))).unwrap();
    let mut told = Told::default();
    while told.taken < samples {
        told.read(events.recv().await.unwrap());
    }
    sampler.stop().await.unwrap();
    while let Some(event) = events.recv().await {
        told.read(event);
    }
    told
}

#[rstest]
#[case::unavailable(Trouble::Unavailable, Failure::Status(503))]
#[case::resets(Trouble::Resets, Failure::Reset)]
#[case::never_answers(Trouble::NeverAnswers, Failure::Timeout)]
#[tokio::test]
async fn an_outage_is_seen_sample_by_sample(
    #[case] trouble: Trouble,
    #[case] failure: Failure,
    #[values(Connection::New, Connection::Reused)] connection: Connection,
) {
    let told = told(vec![spec(server(Some(trouble)).await, connection)], 40).await;
    assert!(told.failures.iter().all(|seen| *seen == failure), "{told:?}");
    // An answer is counted whenever it came; a timeout is not if the sampler itself, on a busy machine, was not looking.
    let unsure = if failure == Failure::Timeout { told.blind } else { 0 };
    assert!((7 - unsure.min(7)..=7).contains(&told.failures.len()), "{told:?}");
    told.is_complete();
}

#[tokio::test]
async fn a_server_that_is_gone_refuses_until_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (sink, mut events) = mpsc::unbounded_channel();
    let spec = spec(address, Connection::Reused);
    let sampler = Sampler::start(Clock::start(), vec![spec], move |event| drop(sink.send(event))).unwrap();
    let mut told = Told::default();
    while told.failures.len() < 5 {
        told.read(events.recv().await.unwrap());
    }
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, None, Arc::default()));
        }
    });
    while told.taken < told.failures.len() as u64 + 5 {
        told.read(events.recv().await.unwrap());
    }
    sampler.stop().await.unwrap();
    assert!(told.failures.iter().all(|failure| *failure == Failure::Refused), "{told:?}");
}

#[tokio::test]
async fn a_blocked_sampler_accuses_itself_only() {
    let (sink, mut events) = mpsc::unbounded_channel();
    let spec = spec(server(None).await, Connection::Reused);
    let sampler = Sampler::start(Clock::start(), vec![spec], move |event| drop(sink.send(event))).unwrap();
    sampler.stall(Duration::from_millis(400));
    let mut told = Told::default();
    while told.taken < 20 {
        told.read(events.recv().await.unwrap());
    }
    sampler.stop().await.unwrap();
    while let Some(event) = events.recv().await {
        told.read(event);
    }
    // 400 ms hold 20 samples. Those due in its last 20 ms are still sent; before the first there are 10 ms.
    assert!(told.untaken() >= 17, "{told:?}");
    assert_eq!(told.failures, []);
    told.is_complete();
}

#[tokio::test]
async fn a_dropped_handle_ends_the_probes() {
    let (sink, mut events) = mpsc::unbounded_channel();
    let spec = spec(server(None).await, Connection::New);
    drop(Sampler::start(Clock::start(), vec![spec], move |event| drop(sink.send(event))).unwrap());
    let mut last = None;
    while let Some(event) = events.recv().await {
        last = Some(event);
    }
    assert!(matches!(last, Some(EventKind::ProbeStopped { .. })), "{last:?}");
}

#[test]
fn specs_that_cannot_run_start_nothing() {
    let spec = spec("127.0.0.1:1".parse().unwrap(), Connection::New);
    let error = Sampler::start(Clock::start(), vec![spec.clone(), spec], |_: EventKind| {}).unwrap_err();
    assert_eq!(error.to_string(), "two probes are called web/outside/new");
    assert_eq!(error.hint(), "give one of them another name");
}

//! What a sample costs: 2,000 samples/s against a server in this process, for [`LIFE`] each on new and on reused connections.
//!
//! CPU time is that of the sampler's thread (user and system, from `/proc/self/task`), which holds all that a sample does,
//! the kernel's share of the connection included. Not a test: nothing here fails because the machine is busy.
#![allow(clippy::print_stdout, reason = "its output is its result")]

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use ferry_probe::{Clock, Connection, HttpSpec, KindSpec, Place, ProbeSpec, Sampler};
use ferry_record::EventKind;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// Time per connection mode.
const LIFE: Duration = Duration::from_secs(10);
/// Samples per second.
const RATE: u32 = 2_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = serve()?;
    println!("connection      samples  of planned  failed  CPU/sample  slip p50    p99     max  latency p50    p99");
    for connection in [Connection::New, Connection::Reused] {
        measure(address, connection)?;
    }
    Ok(())
}

fn measure(address: SocketAddr, connection: Connection) -> Result<(), Box<dyn std::error::Error>> {
    let spec = ProbeSpec {
        name: "bench".into(),
        place: Place::Outside,
        connection,
        kind: KindSpec::Http(HttpSpec::new(format!("http://{address}/"))),
        interval: Duration::from_secs(1) / RATE,
        timeout: Duration::from_secs(5),
    };
    let (sink, events) = channel();
    let sampler = Sampler::start(Clock::start(), vec![spec], move |event| drop(sink.send(event)))?;
    thread::sleep(LIFE);
    let cpu = sampler_cpu()?;
    tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(sampler.stop())?;
    let Figures { planned, failed, mut slip, mut latency } = Figures::read(&events);
    slip.sort_unstable();
    latency.sort_unstable();
    println!(
        "{connection:<10} {:>12} {:>10.2}% {failed:>7} {:>8.1} µs {:>6} µs {:>4} µs {:>4} µs {:>9} µs {:>4} µs",
        slip.len(),
        100.0 * slip.len() as f64 / planned as f64,
        cpu.as_secs_f64() * 1e6 / slip.len() as f64,
        quantile(&slip, 50),
        quantile(&slip, 99),
        quantile(&slip, 100),
        quantile(&latency, 50),
        quantile(&latency, 99),
    );
    Ok(())
}

/// Everything that one run of the sampler told.
#[derive(Default)]
struct Figures {
    planned: u64,
    failed: usize,
    slip: Vec<u32>,
    latency: Vec<u32>,
}

impl Figures {
    fn read(events: &Receiver<EventKind>) -> Self {
        let mut figures = Self::default();
        for event in events {
            match event {
                EventKind::Samples(block) => {
                    figures.failed += block.failed.len();
                    figures.slip.extend(block.slip);
                    figures.latency.extend(block.latency);
                }
                EventKind::ProbeStopped { planned, .. } => figures.planned = planned,
                _ => {}
            }
        }
        figures
    }
}

fn quantile(sorted: &[u32], percent: usize) -> u32 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// Time that the sampler's thread has spent on a CPU.
fn sampler_cpu() -> io::Result<Duration> {
    for task in fs_err::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs_err::read_to_string(task.join("comm"))?.trim() == "ferry-sampler" {
            let schedstat = fs_err::read_to_string(task.join("schedstat"))?;
            let nanos = schedstat.split(' ').next().and_then(|nanos| nanos.parse().ok());
            return nanos.map(Duration::from_nanos).ok_or_else(|| io::Error::other("no time in schedstat"));
        }
    }
    Err(io::Error::other("the sampler has no thread"))
}

/// A server on a thread of its own, until the process ends.
fn serve() -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("bench-server".into()).spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                let service =
                    service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello")))));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
            #[allow(unreachable_code, reason = "gives the block its type")]
            io::Result::Ok(())
        })
    })?;
    Ok(address)
}

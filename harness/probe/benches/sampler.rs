//! What a sample costs: 2,000 samples/s against a server in this process, for [`LIFE`] each on new and on reused connections,
//! and the same of `k6` (constant arrival rate) and `hey`, if they are on the PATH.
//!
//! CPU time is that of the sampler's thread (user and system, from `/proc/self/task`), which holds all that a sample does,
//! the kernel's share of the connection included; of peers it is that of their process. Not a test: nothing here fails
//! because the machine is busy.
#![allow(clippy::print_stdout, reason = "its output is its result")]

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
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
/// The latest that 99 of 100 samples are to be sent, in microseconds.
const SLIP_P99: u32 = 2_000;

/// The most CPU time that a sample is to cost, in microseconds.
fn cpu_target(connection: Connection) -> u32 {
    match connection {
        Connection::New => 110,
        Connection::Reused => 35,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = serve()?;
    println!(
        "connection      samples  of planned  failed  CPU/sample  target  slip p50    p99 target     max  latency p50    p99"
    );
    for connection in [Connection::New, Connection::Reused] {
        measure(address, connection)?;
    }
    for (name, peer) in [("k6", k6 as Peer), ("hey", hey as Peer)] {
        for connection in [Connection::New, Connection::Reused] {
            match peer(&format!("http://{address}/"), connection) {
                Ok((cpu, requests)) => {
                    let micros = cpu.as_secs_f64() * 1e6 / requests as f64;
                    println!("{name:<4} {connection:<10} {requests:>7} requests {micros:>8.1} µs");
                }
                Err(error) => println!("{name:<4} {connection:<10} not compared: {error}"),
            }
        }
    }
    Ok(())
}

/// Asks at [`RATE`] for [`LIFE`]; CPU time, and how many answers came.
type Peer = fn(&str, Connection) -> Result<(Duration, u64), Box<dyn std::error::Error>>;

fn k6(url: &str, connection: Connection) -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    let options = serde_json::json!({
        "noConnectionReuse": connection == Connection::New,
        "scenarios": {"bench": {
            "executor": "constant-arrival-rate", "rate": RATE, "timeUnit": "1s", "duration": format!("{}s", LIFE.as_secs()),
            "preAllocatedVUs": 50, "maxVUs": 500,
        }},
    });
    let script = format!(
        "import http from 'k6/http';\n\
         export const options = {options};\n\
         export default function () {{ http.get('{url}'); }}\n\
         export function handleSummary(data) {{ return {{stdout: 'answers ' + data.metrics.http_reqs.values.count + '\\n'}}; }}\n"
    );
    let (cpu, output) = run("k6", &["run", "--quiet", "--no-usage-report", "-"], &script)?;
    let answers = output.lines().find_map(|line| line.strip_prefix("answers ")).ok_or("no count in its output")?;
    Ok((cpu, answers.parse()?))
}

fn hey(url: &str, connection: Connection) -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    /// It bounds the rate per worker.
    const WORKERS: u32 = 50;
    let (workers, rate, life) = (WORKERS.to_string(), (RATE / WORKERS).to_string(), format!("{}s", LIFE.as_secs()));
    let mut arguments = vec!["-z", &life, "-c", &workers, "-q", &rate];
    if connection == Connection::New {
        arguments.push("-disable-keepalive");
    }
    arguments.push(url);
    let (cpu, output) = run("hey", &arguments, "")?;
    // `  [200]	20000 responses`
    let answers = output.lines().find_map(|line| line.trim().strip_prefix("[200]")?.split_whitespace().next());
    Ok((cpu, answers.ok_or("no answers in its output")?.parse()?))
}

/// Runs a command to its end; the CPU time of it and its children, and what it printed.
fn run(command: &str, arguments: &[&str], input: &str) -> Result<(Duration, String), Box<dyn std::error::Error>> {
    let before = children_cpu()?;
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status).into());
    }
    Ok((children_cpu()?.saturating_sub(before), String::from_utf8(output.stdout)?))
}

/// Time that ended children have spent on CPUs, user and system: fields 16 and 17 of proc_pid_stat(5).
fn children_cpu() -> Result<Duration, Box<dyn std::error::Error>> {
    /// `USER_HZ`, which is the same on all machines that Linux runs containers on.
    const TICKS: u64 = 100;
    let stat = fs_err::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no command in stat")?;
    let ticks: u64 = fields.split(' ').skip(13).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS))
}

fn measure(address: SocketAddr, connection: Connection) -> Result<(), Box<dyn std::error::Error>> {
    let spec = ProbeSpec {
        name: "bench".into(),
        node: None,
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
        "{connection:<10} {:>12} {:>10.2}% {failed:>7} {:>8.1} µs {:>4} µs {:>6} µs {:>4} µs {SLIP_P99:>4} µs {:>4} µs {:>9} µs {:>4} µs",
        slip.len(),
        100.0 * slip.len() as f64 / planned as f64,
        cpu.as_secs_f64() * 1e6 / slip.len() as f64,
        cpu_target(connection),
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

//! The probe agent: the sampler alone, where only a container can be.
//!
//! Reads a JSON array of [`ProbeSpec`]s from standard input up to its end, samples until SIGTERM or SIGINT, and writes one
//! JSON event a line to standard output, each stamped with nanoseconds since the agent's start. Exit codes: 0 ended as asked,
//! 1 the sampler failed, 2 the specs are unusable.

use std::io::{Read, Write};
use std::process::ExitCode;

use ferry_probe::{Clock, ProbeSpec, Sampler};
use ferry_record::{Event, EventKind};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            // Standard error is the container's log; nobody else reads it.
            let _ = writeln!(std::io::stderr(), "ferry-agent: {why}");
            ExitCode::from(code)
        }
    }
}

async fn run() -> Result<(), (u8, String)> {
    let unusable = |why: String| (2, why);
    let failed = |why: String| (1, why);
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| unusable(format!("the specs cannot be read: {e}")))?;
    let specs: Vec<ProbeSpec> =
        serde_json::from_str(&text).map_err(|e| unusable(format!("the specs are not a JSON array of probes: {e}")))?;

    let mut terminate = signal(SignalKind::terminate()).map_err(|e| failed(e.to_string()))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| failed(e.to_string()))?;
    let clock = Clock::start();
    let sampler = Sampler::start(clock, specs, move |kind| write_line(clock, kind))
        .map_err(|e| unusable(format!("{e} (hint: {})", e.hint())))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sampler.stop().await.map_err(|e| failed(format!("{e} (hint: {})", e.hint())))
}

/// One event, flushed. Where nobody reads any more there is nobody to tell, and SIGTERM is on its way.
fn write_line(clock: Clock, kind: EventKind) {
    let Ok(mut line) = serde_json::to_vec(&Event { t: clock.now(), kind }) else { return };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

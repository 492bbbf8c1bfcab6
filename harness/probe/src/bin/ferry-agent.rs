//! The probe agent as a container's process, see [`ferry_probe::agent`].
//!
//! Settings, all from environment variables: `FERRY_SPOOL`, the folder of its spool, which must outlive the container;
//! `FERRY_LISTEN`, by default `0.0.0.0:7070`; `FERRY_SPOOL_LIMIT` in bytes, by default 256 MiB. SIGTERM and SIGINT end it in
//! order, and leave its probes to the next life. Exit codes: 0 ended as asked, 1 something failed, 2 settings make no sense.

use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use ferry_probe::agent::{Agent, protocol, server, service};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Where, and how much.
struct Settings {
    spool: PathBuf,
    listen: SocketAddr,
    limit: u64,
}

impl Settings {
    fn from_env() -> Result<Self, String> {
        let spool = std::env::var_os("FERRY_SPOOL").ok_or("FERRY_SPOOL is not set: give the folder of the spool")?;
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, protocol::PORT));
        Ok(Self {
            spool: spool.into(),
            listen: variable("FERRY_LISTEN", "an address and a port", listen)?,
            limit: variable("FERRY_SPOOL_LIMIT", "a number of bytes", service::SPOOL_LIMIT)?,
        })
    }
}

fn variable<T: FromStr>(name: &str, expected: &str, default: T) -> Result<T, String> {
    let Some(value) = std::env::var_os(name) else { return Ok(default) };
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.ok_or_else(|| format!("cannot read {name}={}: expected {expected}", value.display()))
}

/// One thread beside the sampler's and the spool's.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(why) => {
            log(&why);
            return ExitCode::from(2);
        }
    };
    match run(&settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut line = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                line.push_str(&format!(": {error}"));
                cause = error.source();
            }
            log(&line);
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let agent = Arc::new(Agent::open(&settings.spool, settings.limit)?);
    let listener = TcpListener::bind(settings.listen).await?;
    let clock = agent.clock();
    log(&format!("spool {}, life {}, listening on {}", clock.spool, clock.incarnation, listener.local_addr()?));
    let end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server::serve(listener, Arc::clone(&agent), end).await;
    agent.suspend().await?;
    Ok(())
}

/// Standard error is the container's log; what nobody reads is lost on nobody.
fn log(line: &str) {
    writeln!(std::io::stderr(), "ferry-agent: {line}").ok();
}

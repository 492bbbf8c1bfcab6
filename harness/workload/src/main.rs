//! The demo workload as a process: PID 1 of its container, ended by SIGTERM.
//!
//! Exit codes: 0 after a drain, also one that had to leave requests unfinished (the log says how many); 1 when it cannot
//! listen; 2 when a setting makes no sense.

use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use ferry_workload::{App, Config, Facts, log, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // What is not text is none of our settings.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let config = match Config::from_env(variables) {
        Ok(config) => config,
        Err(error) => {
            log::line(error);
            return ExitCode::from(2);
        }
    };
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::line(format_args!("cannot listen on port {}: {error}", config.port));
            ExitCode::FAILURE
        }
    }
}

/// One thread: thousands of requests per second are more than a demo is asked for, and it starts in a millisecond.
#[tokio::main(flavor = "current_thread")]
async fn run(config: &Config) -> io::Result<()> {
    // PID 1 has no default action for signals, so both must be handled, and before anyone can connect.
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, config.port)).await?;
    log::line(format_args!("version {} listening on {}", config.version, listener.local_addr()?));
    let terminate = async {
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    serve(listener, App::new(Facts::new(config)), config, terminate).await;
    log::line("bye");
    Ok(())
}

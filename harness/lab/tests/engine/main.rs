//! The lab on a real engine: trials that `cargo test` and nextest list and run alike.
//!
//! Each trial makes things of its own, with a run's label of its own, and removes them whatever becomes of it; nothing else on
//! the engine is touched, so that several of these binaries, and scenarios, can be at it at once. Listing asks no engine.
//! `FERRY_CLUSTER=0` lists the trials as ignored; nothing is skipped unasked. `FERRY_PROVISION=1` lets the first of them mend
//! what is missing, the engine included.
//!
//! A harness of its own, because this binary is also the reaper that cleans up after a killed trial (`reap`), and the owner
//! that a trial kills (`--own`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test shows how long its parts took")]

#[macro_use]
mod support;

mod bundle;
mod cluster;
mod containers;
mod doctor;
mod k3s;
mod licences;
mod listing;
mod neighbours;
mod reaper;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--own", out] => return reaper::own(Path::new(out)),
        // As `ferry_lab::reaper::spawn` asks. `reap` alone is a filter on trials' names.
        ["reap", "--run", run, "--owner", pid, "--owner-start", start] => return reaper::reap(run, pid, start),
        _ => {}
    }
    let groups = [
        // The longest first: the others run beside it.
        cluster::trials(),
        k3s::trials(),
        bundle::trials(),
        containers::trials(),
        neighbours::trials(),
        reaper::trials(),
        doctor::trials(),
        licences::trials(),
        listing::trials(),
    ];
    libtest_mimic::run(&Arguments::from_args(), groups.into_iter().flatten().collect()).exit_code()
}

//! `ferry`: carry a live cluster from `flux bootstrap` to Flux Operator, and prove that no request was lost.
//!
//! The library is what the binary and the scenario trials share; `ARCHITECTURE.md` has the map.

pub mod agent;
pub mod at_once;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod edge;
pub mod faults;
pub mod history;
pub mod host;
pub mod proof;
pub mod run;
pub mod signals;
pub mod steps;
pub mod view;
pub mod wait;
pub mod watches;

use tracing_subscriber::EnvFilter;

/// What every process of ferry does first: one crypto provider, and diagnostics of its own on standard error.
///
/// `FERRY_LOG` filters them (`ferry=debug`); by default only what went wrong is printed.
pub fn start_process() {
    // testcontainers reads the user's Docker configuration when it connects, although the lab never pulls through it.
    #[allow(unsafe_code, reason = "no other thread runs yet")]
    // SAFETY: this is the first thing that `main` does, before any thread that could read the environment.
    unsafe {
        std::env::set_var("DOCKER_AUTH_CONFIG", "{}");
    }
    // Both ring and aws-lc are in reach of rustls; without a choice it panics at the first connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A request that failed is for the step that made it to tell: it may be meant to, as while a node boots.
    let filter = EnvFilter::try_from_env("FERRY_LOG").unwrap_or_else(|_| EnvFilter::new("error,kube_client=off"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

//! Is there a Rust that builds the lab's own images?

use crate::doctor::{Check, Context, Outcome};

/// See [`Check::why`].
#[derive(Debug)]
pub struct Rust;

impl Check for Rust {
    fn name(&self) -> &'static str {
        "rust"
    }

    fn why(&self) -> &'static str {
        "the demo workload and the probe agent are built from this workspace where image registries cannot be reached"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        if !cx.builds() {
            return Outcome::skip("nothing is built from source");
        }
        let missing: Vec<_> = ["cargo", "rustc"].into_iter().filter(|program| !cx.machine.has(program)).collect();
        if missing.is_empty() {
            return Outcome::ok("cargo, rustc");
        }
        Outcome::fail(format!("not on PATH: {}", missing.join(", "))).remedy("install Rust from https://rustup.rs")
    }
}

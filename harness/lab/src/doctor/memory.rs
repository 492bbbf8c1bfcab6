//! Is there memory for a cluster?

use crate::doctor::{Check, Context, Machine, Outcome, size};

/// See [`Check::why`].
#[derive(Debug)]
pub struct Memory;

impl Check for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn why(&self) -> &'static str {
        "a machine short of memory kills or delays workloads, and a verdict about them says nothing then"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        let (bytes, what) = if cx.engine_here() {
            match available(cx.machine) {
                Some(bytes) => (bytes, "free"),
                None => return Outcome::warn("cannot tell how much memory is free: /proc/meminfo does not say"),
            }
        } else {
            match cx.engine() {
                Some(engine) => (engine.memory_bytes, "in all on the engine's machine"),
                None => return Outcome::skip("no engine to ask"),
            }
        };
        let observed = format!("{} {what}", size(bytes));
        if bytes >= cx.needs.memory_bytes {
            return Outcome::ok(observed);
        }
        Outcome::fail(observed).remedy(format!(
            "{} are needed: end other programs and clusters, or give the engine's machine more",
            size(cx.needs.memory_bytes)
        ))
    }
}

fn available(machine: &dyn Machine) -> Option<u64> {
    let text = machine.read("/proc/meminfo").ok()?;
    let field = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(field.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

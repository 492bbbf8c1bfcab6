//! Checks what a run needs of the machine, and says the remedy for whatever is missing.
//!
//! [`doctor`] only looks. [`provision()`] carries remedies out, and only where it is asked to.

mod capability;
mod cgroup;
mod check;
mod clock;
mod disk;
mod engine;
mod go;
mod inotify;
mod kernel;
mod machine;
mod memory;
mod needs;
mod packages;
mod ports;
mod privileged;
mod probes;
pub mod provision;
mod registries;
mod report;
mod rust;
#[cfg(test)]
mod tests;

pub use self::{
    capability::CapabilitySet,
    check::{Check, Context, Outcome},
    machine::{Host, Machine, Space},
    needs::{Images, Needs, Provider},
    probes::{Probes, REGISTRY_DEADLINE, Registry, ask_registries},
    provision::{provision, stop_engine},
    report::{Finding, Fix, Remedy, Report, Status, Style},
};

/// Bytes in a GiB.
pub const GIB: u64 = 1 << 30;

/// Every check, in the order of the report: what most often is missing comes first.
pub static CHECKS: &[&dyn Check] = &[
    &engine::Reachable,
    &privileged::Privileged,
    &cgroup::Cgroup,
    &kernel::Kernel,
    &kernel::Modules,
    &inotify::Inotify,
    &disk::Disk,
    &memory::Memory,
    &ports::Ports,
    &registries::Registries,
    &go::Go,
    &rust::Rust,
    &packages::Packages,
    &clock::Clock,
];

/// Looks at this machine, its engine and the registries.
///
/// Changes nothing, but for a privileged container without a file in it that lives for half a second, where nodes are to run.
/// Takes at most [`ANSWER_DEADLINE`](crate::engine::ANSWER_DEADLINE) and the longest of its probes, 20 s.
pub async fn doctor(needs: &Needs) -> Report {
    examine(needs, &Host, &Probes::gather(needs).await)
}

/// As [`doctor`], of a given machine and given answers.
pub fn examine(needs: &Needs, machine: &dyn Machine, probes: &Probes) -> Report {
    let cx = Context { needs, machine, probes };
    Report { findings: CHECKS.iter().map(|check| check.find(&cx)).collect() }
}

/// `66.0 GiB`, `512 MiB`.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes < GIB { format!("{} MiB", bytes / MIB) } else { format!("{:.1} GiB", bytes as f64 / GIB as f64) }
}

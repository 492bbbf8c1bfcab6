//! The frame of a run: what was planned, and how it will be judged.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::FORMAT;
use super::Nanos;

/// The frame of a run: enough to judge the record without the scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`FORMAT`].
    pub format: u32,
    /// The run's id, also the label of everything it made.
    pub run: String,
    /// `area/name`.
    pub scenario: String,
    /// The scenario's summary line.
    pub summary: String,
    /// The matrix cell, e.g. `k8s_1_34::kind`.
    pub cell: String,
    /// Version of ferry.
    pub ferry: String,
    /// Calendar time of `t` = 0.
    pub wall: Timestamp,
    /// The run's clusters, where there are several; the record tells of the first as if it were the only one, and of the others
    /// by [`Beside`](super::EventKind::Beside).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterInfo>,
    /// Phases in order.
    pub phases: Vec<PhaseInfo>,
    /// Names of the invariants to judge.
    pub invariants: Vec<String>,
    /// The scenario's own rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<OwnRule>,
    /// The namespace of Flux' controllers.
    #[serde(default = "flux_system")]
    pub flux_namespace: String,
    /// Whether the probes prove themselves first; the evidence is not sufficient when they then did not.
    #[serde(default)]
    pub self_proof: bool,
    /// How the scenario says that it must end; `pass` unless it is a self-test or a trap.
    pub expect: Option<Expectation>,
    /// What ran it (kernel, cores, engine, image source).
    pub host: BTreeMap<String, String>,
}

fn flux_system() -> String {
    "flux-system".into()
}

/// One of several clusters of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Its name.
    pub name: String,
    /// Names of the probes that ask it, without place and connection.
    pub probes: Vec<String>,
}

/// A rule of a scenario's own: a CEL expression over the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRule {
    /// Its name in reports.
    pub name: String,
    /// Must be true.
    pub cel: String,
}

/// How a run is expected to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// The verdict that counts as success.
    pub verdict: crate::verdict::Verdict,
    /// The rule that must be named by it.
    pub rule: Option<String>,
    /// Rules that must hold nevertheless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
}

/// A phase as planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseInfo {
    /// Its name.
    pub name: String,
    /// The disruption it may cause.
    pub budget: Budget,
    /// Steps as planned, for progress.
    pub steps: usize,
    /// Whose it is.
    #[serde(default)]
    pub role: PhaseRole,
    /// Objects that the phase is meant to change, as `kind/namespace/name` with `*` for any part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// What a phase is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseRole {
    /// Told by the scenario.
    #[default]
    Scenario,
    /// Nothing is done: how the workloads are without a migration.
    Quiet,
    /// Nothing more is done: what comes late is still seen.
    Soak,
}

/// The disruption that a phase may cause. All zero unless the scenario says otherwise.
///
/// A phase that sets only one of the two leaves the other unbounded: `longest: 2s` says nothing about how many samples
/// fall into those two seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Failed samples allowed, over all probes.
    pub failed: u64,
    /// Longest single outage allowed.
    pub longest: Nanos,
}

impl Budget {
    /// The most failed samples allowed; none when only the length of an outage is bounded.
    pub fn failed_limit(&self) -> Option<u64> {
        (self.failed > 0 || self.longest == 0).then_some(self.failed)
    }

    /// The longest outage allowed; none when only the number of failed samples is bounded.
    pub fn longest_limit(&self) -> Option<Nanos> {
        (self.longest > 0 || self.failed == 0).then_some(self.longest)
    }

    /// Whether nothing at all may fail.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

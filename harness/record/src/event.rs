//! The vocabulary of a run's record. Everything shown about a run is a fold over these events.
//!
//! Each line of `record.jsonl` is one [`Event`]. Times are nanoseconds of one monotonic clock since the run's start;
//! [`RunStarted::wall`] ties them to the calendar. Fields are only ever added: a reader skips events that it does not know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the record's format, in [`RunStarted::format`].
pub const FORMAT: u32 = 1;

/// Nanoseconds of the run's monotonic clock since its start.
pub type Nanos = u64;

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it was noted.
    pub t: Nanos,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// First line of every record.
    RunStarted(Box<RunStarted>),
    /// A fact about the run that became known on the way (versions, image digests, node names).
    Fact { key: String, value: String },
    /// A stretch of the lab's work began (bundle, cluster, tear-down, …); the summary's time table is made of these.
    ActivityStarted { activity: String },
    /// It ended; `error` says why when it did not succeed.
    ActivityEnded { activity: String, error: Option<String> },
    /// A phase began.
    PhaseStarted { phase: usize },
    /// A phase ended.
    PhaseEnded { phase: usize, outcome: Outcome },
    /// A step began. `step` counts from 0 over the whole run, rollback steps included.
    StepStarted { step: usize, phase: usize, kind: String, title: String, place: Option<Place>, deadline: Option<Nanos> },
    /// A step ended.
    StepEnded { step: usize, outcome: Outcome },
    /// The reason why the current wait is not yet met changed.
    NotYet { step: usize, reason: String },
    /// A probe will sample from now on.
    ProbeStarted(ProbeInfo),
    /// A probe takes no more samples. `planned` is how many were due over its life.
    ProbeStopped { probe: String, planned: u64 },
    /// Samples of one probe, in the order of their intended times.
    Samples(SampleBlock),
    /// The sampler itself was late or silent: nothing is known about the workload between these times.
    SamplerOutage { probe: String, from: Nanos, to: Nanos, reason: String },
    /// A line worth keeping from the harness itself.
    Log { level: Level, message: String },
    /// The lab broke: this is never the workload's fault.
    Infra { what: String, error: String, hint: Option<String> },
    /// A signal or key asked the run to end.
    Cancelled { by: String },
    /// The judgement over everything before it.
    Verdict(crate::verdict::Judgement),
    /// Last line of a complete record.
    RunEnded,
}

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
    /// Phases in order.
    pub phases: Vec<PhaseInfo>,
    /// Names of the invariants to judge.
    pub invariants: Vec<String>,
    /// How the scenario says that it must end; `pass` unless it is a self-test or a trap.
    pub expect: Option<Expectation>,
    /// What ran it (kernel, cores, engine, image source).
    pub host: BTreeMap<String, String>,
}

/// How a run is expected to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// The verdict that counts as success.
    pub verdict: crate::verdict::Verdict,
    /// The rule that must be named by it.
    pub rule: Option<String>,
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
}

/// The disruption that a phase may cause. All zero unless the scenario says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Failed samples allowed, over all probes.
    pub failed: u64,
    /// Longest single outage allowed.
    pub longest: Nanos,
}

/// A probe as it runs: one place, one way of connecting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeInfo {
    /// Unique: `name/place/connection`, e.g. `web/outside/new`.
    pub probe: String,
    /// `http`, `tcp`, …
    pub kind: String,
    /// What is asked, as a person would write it.
    pub target: String,
    /// `outside` or `inside`.
    pub place: String,
    /// `new` or `reused`.
    pub connection: String,
    /// Intended time of the first sample.
    pub start: Nanos,
    /// Time between intended times.
    pub interval: Nanos,
    /// After this a sample failed with `timeout`.
    pub timeout: Nanos,
}

/// A run of samples of one probe: sample *i* was due at `start + i × interval`.
///
/// Latencies count from the intended time, so a late sampler shows up in `slip` and never flatters the workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleBlock {
    /// [`ProbeInfo::probe`].
    pub probe: String,
    /// Intended time of the first sample in the block.
    pub start: Nanos,
    /// Time between intended times.
    pub interval: Nanos,
    /// Microseconds from intended time to the answer (or failure), a value for each sample.
    pub latency: Vec<u32>,
    /// Microseconds from intended time to the moment it was really sent, a value for each sample.
    pub slip: Vec<u32>,
    /// Samples that did not succeed: (index in the block, what went wrong).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<(u32, Failure)>,
}

/// What a failed sample ran into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Failure {
    /// Connection refused.
    Refused,
    /// Connection reset or closed before a complete answer.
    Reset,
    /// No answer within the probe's timeout.
    Timeout,
    /// An HTTP status other than the expected.
    Status(u16),
    /// An answer with the wrong content.
    Body(String),
    /// The name did not resolve.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// No route, no network.
    Unreachable,
    /// Anything else, in its own words.
    Other(String),
}

/// How a phase or step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it says.
    Done,
    /// It did not.
    Failed { error: String, hint: Option<String> },
    /// Not started, because something before it failed.
    Skipped,
    /// Interrupted by the user.
    Cancelled,
}

/// A position in a scenario file, 1-based.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Path as given.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For developers.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

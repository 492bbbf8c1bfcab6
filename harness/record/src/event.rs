//! The vocabulary of a run's record. Everything shown about a run is a fold over these events.
//!
//! Each line of `record.jsonl` is one [`Event`]. Times are nanoseconds of one monotonic clock since the run's start;
//! [`RunStarted::wall`] ties them to the calendar. Fields are only ever added: a reader skips events that it does not know.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::{ErrorLine, Notice, ObjectSeen};

mod beside;
mod frame;

pub use frame::{Budget, ClusterInfo, Expectation, OwnRule, PhaseInfo, PhaseRole, RunStarted};

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
    Fact {
        /// What it is about; dots group, e.g. `image.flux-operator`.
        key: String,
        /// The fact.
        value: String,
    },
    /// A stretch of the lab's work began (bundle, cluster, tear-down, …); the summary's time table is made of these.
    ActivityStarted {
        /// Its name.
        activity: String,
    },
    /// It ended; `error` says why when it did not succeed.
    ActivityEnded {
        /// The name it started with.
        activity: String,
        /// Why it did not succeed.
        error: Option<String>,
    },
    /// A phase began.
    PhaseStarted {
        /// Index in [`RunStarted::phases`].
        phase: usize,
    },
    /// A phase ended.
    PhaseEnded {
        /// Index in [`RunStarted::phases`].
        phase: usize,
        /// How it ended.
        outcome: Outcome,
    },
    /// A step began. `step` counts from 0 over the whole run, rollback steps included.
    StepStarted {
        /// Its number.
        step: usize,
        /// Index in [`RunStarted::phases`].
        phase: usize,
        /// `bootstrap`, `wait`, …
        kind: String,
        /// What it does, as a person would say it.
        title: String,
        /// Where the scenario asks for it.
        place: Option<Place>,
        /// How long it may take.
        deadline: Option<Nanos>,
        /// The step that it is within, if it is not one of the phase's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<usize>,
    },
    /// A step ended.
    StepEnded {
        /// Its number.
        step: usize,
        /// How it ended.
        outcome: Outcome,
    },
    /// The reason why the current wait is not yet met changed.
    NotYet {
        /// The waiting step.
        step: usize,
        /// What is missing.
        reason: String,
    },
    /// A probe will sample from now on.
    ProbeStarted(ProbeInfo),
    /// A probe takes no more samples.
    ProbeStopped {
        /// [`ProbeInfo::probe`].
        probe: String,
        /// How many samples were due since its start.
        planned: u64,
    },
    /// Samples of one probe, in the order of their intended times.
    Samples(SampleBlock),
    /// The sampler itself was late or silent: nothing is known about the workload between these times.
    SamplerOutage {
        /// [`ProbeInfo::probe`].
        probe: String,
        /// First moment that nothing is known of.
        from: Nanos,
        /// First moment that something is known of again.
        to: Nanos,
        /// What kept the sampler from its work.
        reason: String,
    },
    /// From now on every object of a resource is known: what was not recorded does not exist.
    WatchStarted {
        /// The resource with its group, e.g. `deployments.apps`.
        resource: String,
    },
    /// A watch had to list anew: what came and went in between was not seen.
    WatchGap {
        /// The resource.
        resource: String,
        /// The last moment that was seen.
        from: Nanos,
        /// The moment of the new list.
        to: Nanos,
        /// What broke the watch.
        reason: String,
        /// The new list had the objects that were known, under their UIDs, and no others.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
    },
    /// A resource is no longer watched.
    WatchEnded {
        /// The resource.
        resource: String,
        /// Its definition is gone, or the run is over.
        reason: String,
    },
    /// An object was seen for the first time, or changed.
    Object(Box<ObjectSeen>),
    /// An object is gone.
    ObjectGone {
        /// [`ObjectSeen::object`].
        object: String,
        /// [`ObjectSeen::uid`].
        uid: String,
        /// Found out by a new list: it went at some time within the gap before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        late: bool,
    },
    /// A Kubernetes event.
    Notice(Box<Notice>),
    /// A controller logged an error.
    ErrorLogged(Box<ErrorLine>),
    /// The log of a controller's pod was read up to its end, or up to now.
    LogRead {
        /// `pod/namespace/name`.
        pod: String,
        /// The controller.
        controller: String,
        /// Lines read.
        lines: u64,
        /// Those with level error.
        errors: u64,
        /// Why it could not be read to its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        broken: Option<String>,
    },
    /// A commit was pushed; what applies it is seen by the watches.
    Committed {
        /// `branch@sha1:…`, as Flux writes revisions.
        revision: String,
    },
    /// A fault was injected on purpose.
    Fault {
        /// What kind, e.g. `cut`.
        fault: String,
        /// What was hit.
        target: String,
        /// It was in effect from here, at the latest.
        from: Nanos,
        /// It was lifted here, at the earliest.
        to: Nanos,
        /// How much earlier it may have begun, and later ended.
        margin: Nanos,
    },
    /// What the probes were put to the test with, before they were trusted.
    SelfProof {
        /// `rollout` or `outage`.
        check: String,
        /// Whether the probes said what was true.
        passed: bool,
        /// What was done, and what the probes said.
        message: String,
    },
    /// How the clock of a probe agent stands to the run's; its samples are recorded by the run's clock.
    AgentClock {
        /// The agent.
        agent: String,
        /// The agent's clock minus the run's, in nanoseconds.
        offset: i64,
        /// Half the time that asking took: how wrong the offset can be.
        uncertainty: Nanos,
    },
    /// A line worth keeping from the harness itself.
    Log {
        /// Its severity.
        level: Level,
        /// Its text.
        message: String,
    },
    /// The lab broke: this is never the workload's fault.
    Infra {
        /// What was tried, on what.
        what: String,
        /// What came back.
        error: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A signal or key asked the run to end.
    Cancelled {
        /// `SIGINT`, `SIGTERM`, a key, …
        by: String,
    },
    /// Something of a cluster beside the run's first one.
    Beside {
        /// The cluster, one of [`RunStarted::clusters`].
        cluster: String,
        /// What is told of it; as if the run had no other.
        told: Box<EventKind>,
    },
    /// The judgement over everything before it.
    Verdict(crate::verdict::Judgement),
    /// Last line of a complete record.
    RunEnded,
    /// An event of a newer ferry. Only ever read, never written.
    #[serde(other)]
    Unknown,
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
/// Latencies count from the intended time, so a late sampler shows up in `slip` and never flatters the workload. In a record
/// both lists are one text, [`crate::packed`]; records with two arrays are read as well.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "crate::packed::Stored")]
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

/// Characters of a failure's own words that go into its label.
const MAX_LABEL: usize = 60;

impl Failure {
    /// A short name to count by: `refused`, `status 503`, `wrong body`, …
    pub fn label(&self) -> Cow<'_, str> {
        match self {
            Self::Refused => "refused".into(),
            Self::Reset => "reset".into(),
            Self::Timeout => "timeout".into(),
            Self::Status(code) => format!("status {code}").into(),
            Self::Body(_) => "wrong body".into(),
            Self::Dns => "dns".into(),
            Self::Tls => "tls".into(),
            Self::Unreachable => "unreachable".into(),
            Self::Other(words) => {
                let line = words.lines().next().unwrap_or_default();
                line.char_indices().nth(MAX_LABEL).map_or(line, |(end, _)| &line[..end]).into()
            }
        }
    }
}

/// How a phase or step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it says.
    Done,
    /// It did not.
    Failed {
        /// What came back.
        error: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Not started, because something before it failed.
    Skipped,
    /// Interrupted by the user.
    Cancelled,
}

impl Outcome {
    /// The error of a failed one.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Failed { error, .. } => Some(error),
            Self::Done | Self::Skipped | Self::Cancelled => None,
        }
    }
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
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

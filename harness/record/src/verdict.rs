//! The judgement over a record.

use serde::{Deserialize, Serialize};

/// What a run amounts to. The order is the priority when several apply: the first that applies wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The user or the system ended the run.
    Cancelled,
    /// The lab broke; nothing is said about the migration.
    Infra,
    /// A rule was violated.
    Fail,
    /// The evidence is too thin to say.
    Inconclusive,
    /// Every rule was judged on sufficient evidence and holds.
    Pass,
}

/// The verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether this is how the scenario says it must end.
    pub as_expected: bool,
    /// One finding for each rule that was judged, and for each reason outside the rules.
    pub findings: Vec<Finding>,
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name (`no-lost-request`, `steps`, `evidence`, …).
    pub rule: String,
    /// Its own verdict.
    pub verdict: Verdict,
    /// `rule — observed`, in one sentence.
    pub message: String,
    /// References into the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// A reference into the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// An outage of a probe.
    Outage { probe: String, from: u64, to: u64, failed: u64 },
    /// A step by its number.
    Step(usize),
    /// A moment of the record's clock.
    At(u64),
    /// Samples taken and planned.
    Samples { probe: String, taken: u64, planned: u64 },
}

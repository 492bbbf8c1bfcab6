//! The judgement over a record.

#[cfg(feature = "judge")]
mod judge;

use serde::{Deserialize, Serialize};

use crate::event::Nanos;

#[cfg(feature = "judge")]
pub use judge::{judge, judge_live};

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

impl Verdict {
    /// As it is written in records and scenarios.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Infra => "infra",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether this is how the scenario says that it must end.
    pub as_expected: bool,
    /// One finding for each rule that was judged, and for each reason outside the rules.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// Exit code of the process: 0 when the run ended as its scenario says, else 1 fail (also a pass where a failure was
    /// expected), 3 infra, 4 inconclusive, 130 cancelled. 2 is for usage and lint, which have no judgement.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            _ if self.as_expected => 0,
            Verdict::Pass | Verdict::Fail => 1,
            Verdict::Infra => 3,
            Verdict::Inconclusive => 4,
            Verdict::Cancelled => 130,
        }
    }

    /// The findings that made the verdict; for a pass, all.
    pub fn deciding(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.verdict == self.verdict)
    }
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name (`no-lost-request`, `steps`, `evidence`, …).
    pub rule: String,
    /// Its own verdict.
    pub verdict: Verdict,
    /// What was observed, in one sentence; shown as `rule — message`.
    pub message: String,
    /// The single observations behind it, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// References into the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// A finding without details.
    pub fn new(rule: &str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { rule: rule.into(), verdict, message: message.into(), details: Vec::new(), evidence: Vec::new() }
    }
}

/// A reference into the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// An outage of a probe.
    Outage {
        /// The probe.
        probe: String,
        /// Intended time of the first failed sample.
        from: Nanos,
        /// Intended time of the next good one.
        to: Nanos,
        /// Samples that failed.
        failed: u64,
    },
    /// A step by its number.
    Step(usize),
    /// A moment of the record's clock.
    At(Nanos),
    /// An object as the watches saw it.
    Object {
        /// [`ObjectSeen::object`](crate::cluster::ObjectSeen::object).
        object: String,
        /// When.
        at: Nanos,
    },
    /// Samples of a probe.
    Samples {
        /// The probe.
        probe: String,
        /// Taken, and on time.
        taken: u64,
        /// Planned.
        planned: u64,
    },
}

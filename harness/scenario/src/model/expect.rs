//! How a run must end.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names;
use crate::span::Spanned;

/// How the run must end: then ending so is success, and anything else is not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// The verdict.
    pub verdict: Spanned<ExpectedVerdict>,
    /// The rule that the verdict must name: one of `invariants`, `budget` (a phase cost more than its budget), `steps` (a step
    /// failed), `evidence` (too few samples), `self-proof` (the probes did not prove themselves) or `watches` (too little was
    /// seen of the cluster's objects). With another rule than `steps`, all steps must succeed nevertheless.
    pub rule: Option<Spanned<String>>,
    /// Rules that must hold nevertheless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Spanned<String>>,
}

/// A verdict that a scenario can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Verdict", rename_all = "kebab-case")]
pub enum ExpectedVerdict {
    /// Every rule holds on sufficient evidence.
    Pass,
    /// A rule is violated.
    Fail,
    /// The evidence is too thin to say.
    Inconclusive,
    /// The lab broke, as when an image cannot be pulled; nothing is said about the migration.
    Infra,
}

impl fmt::Display for ExpectedVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExpectedVerdict::Pass => "pass",
            ExpectedVerdict::Fail => "fail",
            ExpectedVerdict::Inconclusive => "inconclusive",
            ExpectedVerdict::Infra => "infra",
        })
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict.fmt(f)?;
        if let Some(rule) = &self.rule {
            write!(f, " by {rule}")?;
        }
        match self.holds.len() {
            0 => Ok(()),
            1 => write!(f, ", while {} holds", names::and(&self.holds)),
            _ => write!(f, ", while {} hold", names::and(&self.holds)),
        }
    }
}

/// Rules of the verdict that are no invariants: they apply to every run, or to every run that has what they look at.
pub const RULES_BEYOND_INVARIANTS: [&str; 5] = ["budget", "steps", "evidence", "self-proof", "watches"];

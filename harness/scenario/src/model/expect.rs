//! How a run must end.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::Spanned;

/// How the run must end: then ending so is success, and anything else is not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// The verdict.
    pub verdict: Spanned<ExpectedVerdict>,
    /// The rule that the verdict must name: an invariant, `budget` (a phase cost more than its budget),
    /// `steps` (a step failed) or `evidence` (too little of it).
    pub rule: Option<Spanned<String>>,
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
}

impl fmt::Display for ExpectedVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExpectedVerdict::Pass => "pass",
            ExpectedVerdict::Fail => "fail",
            ExpectedVerdict::Inconclusive => "inconclusive",
        })
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict.fmt(f)?;
        self.rule.as_ref().map_or(Ok(()), |rule| write!(f, " by {rule}"))
    }
}

/// Rules of the verdict that are no invariants: they apply to every run.
pub const RULES_BEYOND_INVARIANTS: [&str; 3] = ["budget", "steps", "evidence"];

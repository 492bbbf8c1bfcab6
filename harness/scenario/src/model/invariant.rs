//! Rules over the whole record.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule over the whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// No sample of any probe failed beyond the budget of the phase that it fell into.
    NoLostRequest,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Invariant; 1] = [Invariant::NoLostRequest];

    /// As in `invariants:`, and as the rule's name in the verdict.
    pub fn as_str(self) -> &'static str {
        match self {
            Invariant::NoLostRequest => "no-lost-request",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

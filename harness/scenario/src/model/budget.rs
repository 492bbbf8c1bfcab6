//! What a phase may cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::HumanDuration;

/// The disruption that a phase may cause. Nothing, unless it says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Budget {
    /// Failed samples allowed over all probes together. Default: 0.
    pub failed: u64,
    /// Longest single outage allowed. Default: 0s.
    pub longest: HumanDuration,
}

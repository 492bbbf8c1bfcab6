//! Whose agents sample.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which nodes' agents ask for probes `from: [inside]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Agents {
    /// The first node's: one view from inside.
    #[default]
    FirstNode,
    /// Every node's: as many views as nodes, so that an outage of one node's network is seen, at the cost of as many samples.
    EveryNode,
}

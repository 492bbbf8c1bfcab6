//! A named stretch of a scenario.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Budget;
use crate::span::Spanned;
use crate::steps::Step;

/// A named stretch with its own budget and, if wanted, a way back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Phase {
    /// Its name, in plain words.
    pub phase: Spanned<String>,
    /// The disruption that it may cause. Default: none.
    #[serde(default)]
    pub budget: Budget,
    /// What is done, in order; the first step that fails ends the phase.
    pub steps: Vec<Spanned<Step>>,
    /// Steps that lead back to where the phase began, for when it fails.
    #[serde(default)]
    pub rollback: Vec<Spanned<Step>>,
}

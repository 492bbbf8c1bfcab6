//! A named stretch of a scenario.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Budget;
use crate::span::Spanned;
use crate::steps::Step;
use crate::text::ObjectGlob;

/// A named stretch with its own budget and, if wanted, a way back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Phase {
    /// Its name, in plain words.
    pub phase: Spanned<String>,
    /// The disruption that it may cause. Default: none.
    #[serde(default)]
    pub budget: Budget,
    /// Objects that the phase is meant to change: what becomes of them and of what they own, such as a Deployment's pods,
    /// violates no rule there. Default: none.
    #[serde(default)]
    pub changes: Vec<Spanned<ObjectGlob>>,
    /// What is done, in order; the first step that fails ends the phase.
    pub steps: Vec<Spanned<Step>>,
    /// Steps that lead back to where the phase began, for when it fails.
    #[serde(default)]
    pub rollback: Vec<Spanned<Step>>,
}

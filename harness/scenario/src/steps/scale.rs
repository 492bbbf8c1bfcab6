//! `scale`: a workload's replicas.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::ObjectRef;

/// Sets a workload's replicas; it ends when the change is accepted, so that a `wait` can follow or not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scale {
    /// The Deployment or StatefulSet.
    pub object: Spanned<ObjectRef>,
    /// How many.
    pub replicas: u32,
}

impl StepKind for Scale {
    const KIND: &'static str = "scale";
    const EXAMPLE: &'static str = "scale: {object: deployment/apps/web, replicas: 3}";
}

impl Action for Scale {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("scale {} to {}", self.object, self.replicas)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Scale, None, scenario)
    }
}

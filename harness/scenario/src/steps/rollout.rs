//! `rollout`: every pod of a workload anew.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{HumanDuration, ObjectRef};

/// Restarts a workload as `kubectl rollout restart` does, and waits until every pod is new and ready.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rollout {
    /// The Deployment, StatefulSet or DaemonSet.
    pub restart: Spanned<ObjectRef>,
    /// How long it may take. Default: 5m.
    pub within: Option<Spanned<HumanDuration>>,
}

impl StepKind for Rollout {
    const KIND: &'static str = "rollout";
    const EXAMPLE: &'static str = "rollout: {restart: deployment/apps/web}";
}

impl Action for Rollout {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("restart {}", self.restart)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Rollout, self.within.as_deref().copied(), scenario)
    }
}

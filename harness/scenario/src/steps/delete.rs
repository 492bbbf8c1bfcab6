//! `delete`: an object, and its absence awaited.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::ObjectRef;

/// Deletes an object and waits until it is gone. An object that does not exist is an error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Delete(pub Spanned<ObjectRef>);

impl StepKind for Delete {
    const KIND: &'static str = "delete";
    const EXAMPLE: &'static str = "delete: fluxinstance/flux-system/flux";
}

impl Action for Delete {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("delete {}", self.0)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Delete, None, scenario)
    }
}

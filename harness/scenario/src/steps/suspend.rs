//! `suspend`: an object left alone by Flux.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind, flux_kind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::Findings;
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::ObjectRef;

/// Makes Flux or its operator leave an object alone, as `flux suspend` and `flux-operator suspend` do; it ends when the change
/// is accepted. What was reconciled so far stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Suspend(pub Spanned<ObjectRef>);

impl StepKind for Suspend {
    const KIND: &'static str = "suspend";
    const EXAMPLE: &'static str = "suspend: kustomization/flux-system/apps";
}

impl Action for Suspend {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("suspend {}", self.0)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Suspend, None, scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        flux_kind::check(&self.0, findings);
    }
}

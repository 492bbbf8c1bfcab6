//! `resume`: an object back in Flux' care.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind, flux_kind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::Findings;
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::ObjectRef;

/// Puts a suspended object back in the care of Flux or its operator, and asks for a reconciliation now; it ends when the
/// change is accepted. Whether the object becomes ready is for a `wait` to say.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Resume(pub Spanned<ObjectRef>);

impl StepKind for Resume {
    const KIND: &'static str = "resume";
    const EXAMPLE: &'static str = "resume: fluxinstance/flux-system/flux";
}

impl Action for Resume {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("resume {}", self.0)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Resume, None, scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        flux_kind::check(&self.0, findings);
    }
}

//! `patch`: fields of a live object.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::ObjectRef;

/// Changes fields of a live object by a JSON merge patch, as `kubectl patch --type merge` does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Patch {
    /// The object.
    pub object: Spanned<ObjectRef>,
    /// The fields to set; null removes one.
    pub merge: Spanned<Map<String, Value>>,
}

impl StepKind for Patch {
    const KIND: &'static str = "patch";
    const EXAMPLE: &'static str = "patch: {object: service/apps/web, merge: {spec: {selector: {app: nobody}}}}";
    const RULES: &'static [Rule] = &[EMPTY_PATCH];
}

const EMPTY_PATCH: Rule = Rule {
    code: "F203",
    name: "empty-patch",
    explain: "A patch without fields changes nothing, and what follows would be judged as if it had.",
    failing: "- patch: {object: service/apps/web, merge: {}}",
    passing: "- patch: {object: service/apps/web, merge: {spec: {type: NodePort}}}\n- sleep: {for: 1s, reason: soak}",
    ..Rule::ERROR
};

impl Action for Patch {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("patch {}", self.object)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Patch, None, scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.merge.is_empty() {
            findings.report(
                &EMPTY_PATCH,
                self.merge.span,
                "the patch changes nothing",
                "name the fields to set, such as `merge: {spec: {suspend: true}}`",
            );
        }
    }
}

//! `assert`: a fact about a live object.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{FieldPath, HumanDuration, ObjectRef};

/// Holds when a field of a live object has a value; it must come to hold within its deadline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Assert {
    /// The object.
    pub object: Spanned<ObjectRef>,
    /// The field, such as `spec.replicas`.
    pub path: Spanned<FieldPath>,
    /// The value that it must have; null stands for a field that is absent.
    pub equals: Spanned<Value>,
    /// How long it may take to hold. Default: 30s.
    pub within: Option<Spanned<HumanDuration>>,
}

impl StepKind for Assert {
    const KIND: &'static str = "assert";
    const EXAMPLE: &'static str =
        "assert: {object: fluxreport/flux-system/flux, path: spec.distribution.managedBy, equals: flux-operator}";
}

impl Action for Assert {
    fn title(&self, _scenario: &Scenario) -> String {
        let (object, path) = (&self.object, &self.path);
        match &self.equals.value {
            Value::Null => format!("assert that {object} has no {path}"),
            Value::String(text) => format!("assert that {object} has {path} = {text}"),
            value => format!("assert that {object} has {path} = {value}"),
        }
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Assert, self.within.as_deref().copied(), scenario)
    }
}

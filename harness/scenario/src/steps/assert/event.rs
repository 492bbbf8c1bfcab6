//! `event`: what controllers have said about an object.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lint::{Findings, Rule};
use crate::span::{Span, Spanned};
use crate::text::ObjectRef;

/// A Kubernetes event about an object, since the run began.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventSeen {
    /// The object that it is about.
    pub of: Spanned<ObjectRef>,
    /// Its reason, such as `ReconciliationSucceeded`. Default: any.
    pub reason: Option<String>,
    /// A text that its message contains. Default: any.
    pub contains: Option<String>,
    /// Its type. Default: any.
    pub r#type: Option<EventType>,
}

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventType {
    /// Something happened as it should.
    Normal,
    /// Something did not.
    Warning,
}

impl EventType {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        }
    }
}

impl fmt::Display for EventSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has had ", self.of)?;
        match self.r#type {
            Some(kind) => write!(f, "a {} event", kind.as_str())?,
            None => f.write_str("an event")?,
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " with reason {reason}"))?;
        self.contains.as_ref().map_or(Ok(()), |text| write!(f, " that says “{text}”"))
    }
}

pub(super) const ANY_EVENT: Rule = Rule {
    code: "F231",
    name: "any-event",
    explain: "Objects have events all the time: one that may have any reason and message, or is merely a normal one, tells nothing.",
    failing: "- assert: {event: {of: kustomization/flux-system/apps}}",
    passing: "- assert: {event: {of: kustomization/flux-system/apps, reason: ReconciliationSucceeded}}",
    ..Rule::ERROR
};

impl EventSeen {
    pub(super) fn lint(&self, span: Span, findings: &mut Findings<'_>) {
        let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if !says(&self.reason) && !says(&self.contains) && self.r#type != Some(EventType::Warning) {
            findings.report(&ANY_EVENT, span, "any event would do", "say its `reason`, or what its message `contains`");
        }
    }
}

//! `matches`: part of an object.

use std::fmt;

use serde_json::{Map, Value};

use crate::lint::{Findings, Rule};
use crate::names::and;
use crate::span::Spanned;
use crate::text::ObjectRef;

/// An object has these fields, whatever others it has.
#[derive(Debug, Clone)]
pub struct Matches {
    /// The object.
    pub object: Spanned<ObjectRef>,
    /// Maps are compared by the keys given here, lists element by element; null stands for a field that is absent.
    pub partial: Spanned<Map<String, Value>>,
}

impl fmt::Display for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} matches {}", self.object, and(self.partial.keys()))
    }
}

pub(super) const EMPTY: Rule = Rule {
    code: "F230",
    name: "empty-match",
    explain: "Every object has no fields and any others: an empty pattern asserts nothing.",
    failing: "- assert: {object: deployment/apps/web, matches: {}}",
    passing: "- assert: {object: deployment/apps/web, matches: {spec: {replicas: 2}}}",
    ..Rule::ERROR
};

impl Matches {
    pub(super) fn lint(&self, findings: &mut Findings<'_>) {
        if self.partial.is_empty() {
            findings.report(
                &EMPTY,
                self.partial.span,
                "every object matches this",
                "name the fields to compare; that an object exists is for `wait: {ready: …}` to say",
            );
        }
    }
}

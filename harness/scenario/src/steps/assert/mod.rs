//! `assert`: a fact about live objects. One file for each kind of fact.

mod cel;
mod event;
mod field;
mod matches;
mod unchanged;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use cel::Cel;
pub(crate) use cel::check_expression;
pub use event::{EventSeen, EventType};
pub use field::FieldEquals;
pub use matches::Matches;
pub use unchanged::{Facet, Unchanged};

use super::one_of::{no_strays, one_of, required};
use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{FieldPath, HINT, HumanDuration, Name, ObjectRef};

/// Holds when live objects are as it says; they must come to be so within its deadline.
///
/// Exactly one of `path` (with `equals`), `cel`, `matches`, `event` and `unchanged` says what.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "AssertFile")]
#[schemars(with = "AssertFile")]
pub struct Assert {
    /// What must hold.
    pub fact: Fact,
    /// How long it may take to hold.
    pub within: Option<Spanned<HumanDuration>>,
}

/// What can be asserted.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A field has a value.
    Field(FieldEquals),
    /// An expression over one object or several is true.
    Cel(Cel),
    /// An object has these fields.
    Matches(Matches),
    /// An event about an object was seen.
    Event(Spanned<EventSeen>),
    /// Objects are as they were when a snapshot was taken.
    Unchanged(Unchanged),
}

/// The keys that say what is asserted.
const CHECKS: [&str; 5] = ["path", "cel", "matches", "event", "unchanged"];

/// [`Assert`] as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Assert", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend(
    "oneOf" = required(&CHECKS),
    "dependentRequired" = json!({"path": ["object", "equals"], "equals": ["path"], "matches": ["object"]}),
))]
struct AssertFile {
    /// The object, for `path`, `cel` and `matches`.
    object: Option<Spanned<ObjectRef>>,
    /// Several objects for `cel`, each by the name that the expression knows it by.
    objects: Option<BTreeMap<Spanned<String>, Spanned<ObjectRef>>>,
    /// A field of the object, such as `spec.replicas`; `equals` says what it must be.
    path: Option<Spanned<FieldPath>>,
    /// The value that the field at `path` must have; null stands for a field that is absent.
    #[serde(default, deserialize_with = "given")]
    equals: Option<Spanned<Value>>,
    /// An expression that must be true, over `object` or the names under `objects`. An object that does not exist is null.
    cel: Option<Spanned<String>>,
    /// Fields that the object must have: maps are compared by the keys given here, lists element by element. Null stands
    /// for a field that is absent.
    matches: Option<Spanned<Map<String, Value>>>,
    /// An event about an object that must have been seen since the run began.
    event: Option<Spanned<EventSeen>>,
    /// The name of a snapshot: its objects must be as they were when it was taken.
    unchanged: Option<Spanned<Name>>,
    /// Of the snapshot's objects only these. Default: all.
    of: Option<Vec<Spanned<ObjectRef>>>,
    /// What must not have changed. Default: everything.
    fields: Option<Vec<Spanned<Facet>>>,
    /// How long it may take to hold. Default: 30s.
    within: Option<Spanned<HumanDuration>>,
}

/// A value that may be null, which is not the same as none.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl TryFrom<AssertFile> for Assert {
    type Error = String;

    fn try_from(file: AssertFile) -> Result<Assert, String> {
        let AssertFile { object, objects, path, equals, cel, matches, event, unchanged, of, fields, within } = file;
        let given = [
            path.is_some() || equals.is_some(),
            cel.is_some(),
            matches.is_some(),
            event.is_some(),
            unchanged.is_some(),
        ];
        let mut choices = CHECKS.map(|key| (key, None));
        for (choice, given) in choices.iter_mut().zip(given) {
            choice.1 = given.then_some(choice.0);
        }
        let chosen = one_of(Assert::KIND, "check", Assert::EXAMPLE, choices)?;
        no_strays(
            chosen,
            &[
                ("object", object.is_some(), &["path", "cel", "matches"]),
                ("objects", objects.is_some(), &["cel"]),
                ("of", of.is_some(), &["unchanged"]),
                ("fields", fields.is_some(), &["unchanged"]),
            ],
        )?;
        let missing = |key: &str, example: &str| {
            format!("`assert` by `{chosen}` needs `{key}`{HINT}write `{key}:` beside it, such as `{example}`")
        };
        let no_object = || missing("object", "object: deployment/apps/web");
        let fact = if let Some(expression) = cel {
            Fact::Cel(Cel::new(expression, object, objects)?)
        } else if let Some(partial) = matches {
            Fact::Matches(Matches { object: object.ok_or_else(no_object)?, partial })
        } else if let Some(event) = event {
            Fact::Event(event)
        } else if let Some(snapshot) = unchanged {
            Fact::Unchanged(Unchanged { snapshot, of: of.unwrap_or_default(), fields: fields.unwrap_or_default() })
        } else {
            Fact::Field(FieldEquals {
                object: object.ok_or_else(no_object)?,
                path: path.ok_or_else(|| missing("path", "path: spec.replicas"))?,
                equals: equals.ok_or_else(|| missing("equals", "equals: 2"))?,
            })
        };
        Ok(Assert { fact, within })
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Field(field) => field.fmt(f),
            Fact::Cel(cel) => cel.fmt(f),
            Fact::Matches(matches) => matches.fmt(f),
            Fact::Event(event) => event.fmt(f),
            Fact::Unchanged(unchanged) => unchanged.fmt(f),
        }
    }
}

impl StepKind for Assert {
    const KIND: &'static str = "assert";
    const EXAMPLE: &'static str =
        "assert: {object: fluxreport/flux-system/flux, path: spec.distribution.managedBy, equals: flux-operator}";
    const RULES: &'static [Rule] = &[
        cel::SYNTAX,
        cel::UNKNOWN_NAME,
        cel::LOOKS_AT_NOTHING,
        matches::EMPTY,
        event::ANY_EVENT,
        unchanged::UNKNOWN_SNAPSHOT,
        unchanged::NOT_IN_SNAPSHOT,
    ];
}

impl Action for Assert {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("assert that {}", self.fact)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Assert, self.within.as_deref().copied(), scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        match &self.fact {
            Fact::Field(_) => {}
            Fact::Cel(cel) => cel.lint(findings),
            Fact::Matches(matches) => matches.lint(findings),
            Fact::Event(event) => event.lint(event.span, findings),
            Fact::Unchanged(unchanged) => unchanged.lint(findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("object: a/b, path: spec.replicas, equals: 2", "a/b has spec.replicas = 2")]
    #[case("object: a/b, path: spec.mode, equals: x", "a/b has spec.mode = x")]
    #[case("object: a/b, path: spec.suspend, equals: null", "a/b has no spec.suspend")]
    #[case("object: a/b, cel: object.spec.replicas > 1", "of a/b: object.spec.replicas > 1")]
    #[case("objects: {x: a/b, y: c/d}, cel: x == y", "of a/b and c/d: x == y")]
    #[case("object: a/b, matches: {spec: {replicas: 2}, status: {}}", "a/b matches spec and status")]
    #[case("event: {of: a/b, reason: Progressing, type: Normal}", "a/b has had a Normal event with reason Progressing")]
    #[case("event: {of: a/b, contains: pruned}", "a/b has had an event that says “pruned”")]
    #[case("unchanged: before", "everything is unchanged since snapshot before")]
    #[case(
        "unchanged: before, of: [a/b, c/d], fields: [uid, pods]",
        "a/b and c/d are unchanged since snapshot before in uid and pods"
    )]
    fn titles(#[case] assert: &str, #[case] title: &str) {
        let assert: Assert = crate::parse::tests::step(&format!("assert: {{{assert}}}"));
        assert_eq!(assert.fact.to_string(), title);
    }
}

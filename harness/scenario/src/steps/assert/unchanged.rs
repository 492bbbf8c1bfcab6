//! `unchanged`: as it was when a snapshot was taken.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lint::{Findings, Rule};
use crate::names::{self, and};
use crate::span::Spanned;
use crate::steps::{Snapshot, Step};
use crate::text::{Name, ObjectRef};

/// Objects are as they were when a snapshot was taken.
#[derive(Debug, Clone)]
pub struct Unchanged {
    /// The snapshot's name.
    pub snapshot: Spanned<Name>,
    /// Of its objects only these; none: all.
    pub of: Vec<Spanned<ObjectRef>>,
    /// What must not have changed; none: everything.
    pub fields: Vec<Spanned<Facet>>,
}

/// What of an object may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Field", rename_all = "kebab-case")]
pub enum Facet {
    /// Its UID: another one means that it was deleted and created again.
    Uid,
    /// Its generation: it counts changes of the specification.
    Generation,
    /// Everything beside metadata and status: the specification, or a ConfigMap's data.
    Spec,
    /// The UIDs of a workload's pods: others mean a rollout or an eviction.
    Pods,
    /// How often the containers of its pods were restarted.
    Restarts,
}

impl Facet {
    /// All, in the order in which they are compared.
    pub const ALL: [Facet; 5] = [Facet::Uid, Facet::Generation, Facet::Spec, Facet::Pods, Facet::Restarts];

    /// As in `fields`.
    pub fn as_str(self) -> &'static str {
        match self {
            Facet::Uid => "uid",
            Facet::Generation => "generation",
            Facet::Spec => "spec",
            Facet::Pods => "pods",
            Facet::Restarts => "restarts",
        }
    }
}

impl Unchanged {
    /// What must not have changed.
    pub fn facets(&self) -> Vec<Facet> {
        if self.fields.is_empty() { Facet::ALL.into() } else { self.fields.iter().map(|field| field.value).collect() }
    }
}

impl fmt::Display for Unchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of.len() {
            0 => f.write_str("everything is")?,
            1 => write!(f, "{} is", and(&self.of))?,
            _ => write!(f, "{} are", and(&self.of))?,
        }
        write!(f, " unchanged since snapshot {}", self.snapshot)?;
        if self.fields.is_empty() {
            return Ok(());
        }
        write!(f, " in {}", and(self.fields.iter().map(|field| field.as_str())))
    }
}

pub(super) const UNKNOWN_SNAPSHOT: Rule = Rule {
    code: "F232",
    name: "unknown-snapshot",
    explain: "What was not taken before cannot be compared with.",
    failing: "- snapshot: {name: before, of: [deployment/apps/web]}\n- assert: {unchanged: befor}",
    passing: "- snapshot: {name: before, of: [deployment/apps/web]}\n- assert: {unchanged: before}",
    ..Rule::ERROR
};

pub(super) const NOT_IN_SNAPSHOT: Rule = Rule {
    code: "F233",
    name: "not-in-snapshot",
    explain: "Only objects that a snapshot was taken of can be compared with it.",
    failing: "- snapshot: {name: before, of: [deployment/apps/web]}\n- assert: {unchanged: before, of: [service/apps/web]}",
    passing: "- snapshot: {name: before, of: [deployment/apps/web]}\n- assert: {unchanged: before, of: [deployment/apps/web]}",
    ..Rule::ERROR
};

impl Unchanged {
    pub(super) fn lint(&self, findings: &mut Findings<'_>) {
        let (scenario, here) = (findings.scenario(), findings.here());
        let (mut before, mut later): (Vec<&Snapshot>, Vec<&Snapshot>) = Default::default();
        let mut reached = false;
        for step in scenario.steps() {
            reached |= step.span == here;
            if let Step::Snapshot(snapshot) = &step.value {
                if reached { &mut later } else { &mut before }.push(snapshot);
            }
        }
        let named = |snapshots: &[&Snapshot]| snapshots.iter().any(|s| s.name.value == self.snapshot.value);
        let Some(taken) = before.iter().find(|s| s.name.value == self.snapshot.value) else {
            let known: Vec<&str> = before.iter().map(|s| s.name.as_str()).collect();
            let meant = names::nearest(self.snapshot.as_str(), known.iter().copied());
            let (message, help) = if named(&later) {
                let help = "take it before what must change nothing";
                (format!("the snapshot `{}` is taken only later", self.snapshot), help.to_owned())
            } else {
                let help = match (meant, known.as_slice()) {
                    (Some(meant), _) => format!("did you mean `{meant}`? taken before: {}", names::list(&known)),
                    (None, []) => {
                        format!("take one: `snapshot: {{name: {}, of: [deployment/apps/web]}}`", self.snapshot)
                    }
                    (None, _) => format!("taken before: {}", names::list(&known)),
                };
                (format!("there is no snapshot `{}`", self.snapshot), help)
            };
            findings.report(&UNKNOWN_SNAPSHOT, self.snapshot.span, message, help);
            return;
        };
        for object in &self.of {
            if !taken.of.iter().any(|known| known.value == object.value) {
                findings.report(
                    &NOT_IN_SNAPSHOT,
                    object.span,
                    format!("the snapshot `{}` does not hold {object}", self.snapshot),
                    format!("add it there, or name one of {}", and(taken.of.iter())),
                );
            }
        }
    }
}

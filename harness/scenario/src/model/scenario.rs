//! The whole file.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Expect, Flux, Invariant, Operator, Phase};
use crate::deadlines::DeadlineName;
use crate::folders;
use crate::probes::Probe;
use crate::span::{Place, Source, Span, Spanned};
use crate::steps::Step;
use crate::text::{HumanDuration, Name, ObjectRef, RelPath};

/// One migration, told in phases, with traffic flowing all the while.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// The file this was parsed from.
    #[serde(skip)]
    pub source: Source,

    /// The scenario's name: that of its file without `.yaml`. Its area is the folder that the file is in.
    pub scenario: Spanned<Name>,
    /// One line that says what it proves.
    pub summary: Spanned<String>,
    /// Labels to select scenarios by.
    #[serde(default)]
    pub tags: Vec<Spanned<Name>>,
    /// The cluster's profile: the name of a file in kind-configs without its provider and ending.
    pub cluster: Spanned<Name>,
    /// Folder under scenarios that becomes the content of the git repository.
    pub fleet: Spanned<RelPath>,
    /// The Flux that the cluster is bootstrapped with.
    pub flux: Flux,
    /// The Flux Operator that takes over.
    pub operator: Option<Operator>,
    /// Objects that carry the traffic. Sampling begins after the first phase, as soon as all of them are ready.
    #[serde(default)]
    pub workloads: Vec<Spanned<ObjectRef>>,
    /// Who asks the workloads, how, and how often.
    pub probes: Vec<Spanned<Probe>>,
    /// What happens, in order.
    pub phases: Vec<Spanned<Phase>>,
    /// Rules over the whole record that must hold.
    #[serde(default)]
    pub invariants: Vec<Spanned<Invariant>>,
    /// Deadlines other than the defaults, by name.
    #[serde(default)]
    #[schemars(schema_with = "timeouts_schema")]
    pub timeouts: BTreeMap<DeadlineName, Spanned<HumanDuration>>,
    /// How the run must end. Default: verdict pass. Self-tests and traps say otherwise.
    pub expect: Option<Spanned<Expect>>,
}

impl Scenario {
    /// `area/name`, by its file's folder and its own name.
    pub fn id(&self) -> String {
        format!("{}/{}", folders::area(self), self.scenario)
    }

    /// Every step, in order, each phase's rollback after its steps.
    pub fn steps(&self) -> impl Iterator<Item = &Spanned<Step>> {
        self.phases.iter().flat_map(|phase| phase.steps.iter().chain(&phase.rollback))
    }

    /// The position of something in this file.
    pub fn place(&self, span: Span) -> Place {
        self.source.place(span)
    }
}

/// A map by enum: schemars alone would allow any key.
fn timeouts_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": generator.subschema_for::<DeadlineName>(),
        "additionalProperties": generator.subschema_for::<HumanDuration>(),
    })
}

//! The whole file.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use serde_json::Value;

use super::{Agents, Expect, Flux, Invariant, Judged, Matrix, Operator, Phase, Proof};
use crate::cell::Cell;
use crate::deadlines::DeadlineName;
use crate::folders;
use crate::probes::Probe;
use crate::span::{Place, Source, Span, Spanned};
use crate::steps::{Step, walk};
use crate::text::{HumanDuration, Name, ObjectRef, RelPath, VarName};
use crate::vars::Variables;

/// One migration, told in phases, with traffic flowing all the while.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// The file this was parsed from.
    #[serde(skip)]
    pub source: Source,
    /// Every cell of its matrix.
    #[serde(skip)]
    pub cells: Vec<Cell>,
    /// The cell that it was parsed for.
    #[serde(skip)]
    pub cell: Cell,
    /// The values of its variables in this cell.
    #[serde(skip)]
    pub variables: Variables,

    /// The scenario's name: that of its file without `.yaml`. Its area is the folder that the file is in.
    pub scenario: Spanned<Name>,
    /// One line that says what it proves.
    pub summary: Spanned<String>,
    /// Labels to select scenarios by.
    #[serde(default)]
    pub tags: Vec<Spanned<Name>>,
    /// Variables and their defaults, for templates: `{{ name }}` in any text of this file, and in files of the fleet that
    /// end in `.j2`. A default of `null` means that a value must be given, by `--set name=value` or the matrix.
    #[serde(default)]
    pub vars: BTreeMap<Spanned<VarName>, Value>,
    /// Dimensions and their values: the scenario runs once for each combination. A dimension is `kubernetes`, `provider`
    /// or a variable.
    #[serde(default)]
    pub matrix: Matrix,
    /// The cluster's profile: the name of a file in kind-configs without its provider and ending.
    pub cluster: Spanned<Name>,
    /// Names of the run's clusters, where it has several, each of that profile: `on` says in which of them steps are carried out,
    /// in the first by default. They share the repository and the registry; every rule is judged for each. Default: one cluster.
    #[serde(default)]
    pub clusters: Vec<Spanned<Name>>,
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
    /// Which nodes' agents ask for probes `from: [inside]`. Default: the first node's.
    pub agents: Option<Spanned<Agents>>,
    /// What happens, in order.
    pub phases: Vec<Spanned<Phase>>,
    /// Rules over the whole record that must hold: known ones by their names, and rules of the scenario's own.
    #[serde(default)]
    pub invariants: Vec<Spanned<Judged>>,
    /// How the probes are proven, and what the migration is compared with. Default: self-proof, and 10s each of quiet and soak.
    #[serde(default)]
    pub proof: Proof,
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

    /// Every step, in order: each phase's rollback after its steps, and each step before those within it.
    pub fn steps(&self) -> impl Iterator<Item = &Spanned<Step>> {
        let outermost = self.phases.iter().flat_map(|phase| phase.steps.iter().chain(&phase.rollback));
        outermost.flat_map(walk)
    }

    /// Whether the run is judged by a known rule.
    pub fn is_judged_by(&self, invariant: Invariant) -> bool {
        self.invariants.iter().any(|judged| judged.known() == Some(invariant))
    }

    /// Which nodes' agents ask from inside.
    pub fn agents(&self) -> Agents {
        self.agents.as_ref().map_or_else(Agents::default, |agents| agents.value)
    }

    /// The cluster that a probe asks: the first, unless it names another. None where the run has only one.
    pub fn asked<'s>(&'s self, probe: &'s Probe) -> Option<&'s Name> {
        probe.question().cluster().or_else(|| self.clusters.first()).map(|name| &name.value)
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

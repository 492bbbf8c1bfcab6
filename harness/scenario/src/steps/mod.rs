//! Steps: what a phase does. One file for each kind, and one line in the table below.
//!
//! A kind's file has its model with docs, its title in plans, its deadline, its needs and its lint. Executing it is
//! the engine's work.

mod apply;
mod assert;
mod bootstrap;
mod bounds;
mod command_expect;
mod commit;
mod cut;
mod delete;
mod exec;
mod expect_failure;
mod flux;
mod flux_kind;
mod include;
mod install_operator;
mod kill;
mod on;
mod one_of;
mod parallel;
mod patch;
mod probe_snat;
mod push_artifact;
mod reconcile;
mod repeat;
mod restart;
mod resume;
mod rollout;
mod scale;
mod short;
mod sleep;
mod snapshot;
mod stall_sampler;
mod suspend;
mod wait;

use schemars::JsonSchema;
use serde::Deserialize;

pub use apply::{Apply, Manifests};
pub(crate) use assert::check_expression;
pub use assert::{Assert, Cel, EventSeen, EventType, Facet, Fact, FieldEquals, Matches, Unchanged};
pub use bootstrap::{Bootstrap, Transport};
pub use bounds::Bounds;
pub use command_expect::{CommandExpect, Unexpected};
pub use commit::{Commit, Content, Revert};
pub use cut::Cut;
pub use delete::Delete;
pub use exec::{Exec, ExecIn};
pub use expect_failure::ExpectFailure;
pub use flux::Flux;
pub use include::Include;
pub use install_operator::{InstallOperator, Via};
pub use kill::{Agents, Kill};
pub use on::On;
pub use parallel::Parallel;
pub use patch::Patch;
pub use probe_snat::ProbeSnat;
pub use push_artifact::PushArtifact;
pub use reconcile::Reconcile;
pub use repeat::Repeat;
pub use restart::{ControlPlane, Restart, Server, Victim};
pub use resume::Resume;
pub use rollout::Rollout;
pub use scale::Scale;
pub use sleep::Sleep;
pub use snapshot::Snapshot;
pub use stall_sampler::{StallSampler, Starving};
pub use suspend::Suspend;
pub use wait::{
    Condition, Count, Log, Metric, ObjectCondition, Pattern, ProbeHealth, Since, Status, SyncRevision, Wait,
};

use crate::deadlines::{Deadline, SetBy};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::plan::Needs;
use crate::span::Spanned;

/// What every kind of step can say of itself.
pub trait Action: std::fmt::Debug {
    /// What it does, as one line of a plan or a progress view.
    fn title(&self, scenario: &Scenario) -> String;

    /// How long it may take.
    fn deadline(&self, scenario: &Scenario) -> Deadline;

    /// Images and tools that it needs beyond those of every run.
    fn needs(&self, _scenario: &Scenario, _needs: &mut Needs) {}

    /// The steps within it.
    fn nested(&self) -> &[Spanned<Step>] {
        &[]
    }

    /// What is wrong with it although it parses. The steps within it are asked themselves.
    fn lint(&self, _findings: &mut Findings<'_>) {}
}

/// What is known of a kind of step without a scenario.
pub trait StepKind: Action {
    /// The key in the file.
    const KIND: &'static str;
    /// A step as authors write it.
    const EXAMPLE: &'static str;
    /// The rules that its lint reports by.
    const RULES: &'static [Rule] = &[];
}

/// A row of a table of kinds, of steps or of probes.
#[derive(Debug, Clone, Copy)]
pub struct KindInfo {
    /// The key in the file.
    pub kind: &'static str,
    /// A step as authors write it.
    pub example: &'static str,
    /// The rules that its lint reports by.
    pub rules: &'static [Rule],
}

/// Makes the step enum and the table of kinds from one list.
macro_rules! steps {
    ($($Kind:ident),+ $(,)?) => {
        /// One action or wait. Exactly one key: the kind of step.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each kind is documented on its own type")]
        pub enum Step {
            $($Kind($Kind)),+
        }

        impl Step {
            /// As the key in the file.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Step::$Kind(_) => $Kind::KIND),+
                }
            }

            /// The step as what all kinds have in common.
            pub fn action(&self) -> &dyn Action {
                match self {
                    $(Step::$Kind(step) => step),+
                }
            }
        }

        /// Every kind of step.
        pub const KINDS: &[KindInfo] = &[
            $(KindInfo { kind: $Kind::KIND, example: $Kind::EXAMPLE, rules: $Kind::RULES }),+
        ];
    };
}

/// A step and all that are within it, each before those within it.
pub fn walk(step: &Spanned<Step>) -> Vec<&Spanned<Step>> {
    let mut all = vec![step];
    all.extend(step.action().nested().iter().flat_map(walk));
    all
}

/// How long steps may take one after the other.
fn in_turn(steps: &[Spanned<Step>], scenario: &Scenario) -> Deadline {
    let limit = steps.iter().map(|step| step.action().deadline(scenario).limit).sum();
    Deadline { name: "steps", limit, set_by: SetBy::Nested }
}

steps! {
    Bootstrap,
    InstallOperator,
    Apply,
    Delete,
    Patch,
    Scale,
    Rollout,
    Restart,
    Reconcile,
    Suspend,
    Resume,
    Commit,
    PushArtifact,
    Exec,
    Flux,
    Wait,
    Assert,
    Sleep,
    Parallel,
    Repeat,
    Include,
    On,
    ExpectFailure,
    StallSampler,
    Cut,
    ProbeSnat,
    Kill,
    Snapshot,
}

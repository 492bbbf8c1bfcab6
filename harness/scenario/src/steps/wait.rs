//! `wait`: until the cluster is as it should be.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{HumanDuration, ObjectRef};

/// Waits until something is so. The cluster is watched, not polled; the reason why it is not yet so is shown.
///
/// Exactly one of `ready`, `revision`, `gone` and `condition` says what.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "WaitFile")]
#[schemars(with = "WaitFile")]
pub struct Wait {
    /// What is awaited.
    pub until: Condition,
    /// How long at most.
    pub within: Option<Spanned<HumanDuration>>,
}

/// What can be awaited.
#[derive(Debug, Clone)]
pub enum Condition {
    /// The object is ready and has seen its latest generation.
    Ready(Spanned<ObjectRef>),
    /// Every Flux sync of the fleet has applied this revision and is ready.
    Revision(Spanned<Revision>),
    /// The object does not exist.
    Gone(Spanned<ObjectRef>),
    /// A condition in the object's status is as given.
    Object(Spanned<ObjectCondition>),
}

/// A revision of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Revision {
    /// The last commit that was pushed.
    Head,
}

/// A condition in an object's status.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ObjectCondition {
    /// The object.
    pub object: Spanned<ObjectRef>,
    /// The condition's type, such as `Ready` or `Stalled`.
    pub r#type: String,
    /// Its status. Default: "True".
    #[serde(default)]
    pub status: Status,
    /// Its reason, where that matters.
    pub reason: Option<String>,
}

/// A condition's status, in quotes as in Kubernetes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Status {
    #[default]
    True,
    False,
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::True => "True",
            Status::False => "False",
            Status::Unknown => "Unknown",
        })
    }
}

/// [`Wait`] as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Wait", extend("oneOf" = [
    {"required": ["ready"]},
    {"required": ["revision"]},
    {"required": ["gone"]},
    {"required": ["condition"]},
]))]
struct WaitFile {
    /// The object that becomes ready, having seen its latest generation.
    ready: Option<Spanned<ObjectRef>>,
    /// The revision of the fleet that every Flux sync applies.
    revision: Option<Spanned<Revision>>,
    /// The object that disappears.
    gone: Option<Spanned<ObjectRef>>,
    /// A condition in an object's status.
    condition: Option<Spanned<ObjectCondition>>,
    /// How long at most. Default: 5m.
    within: Option<Spanned<HumanDuration>>,
}

impl TryFrom<WaitFile> for Wait {
    type Error = String;

    fn try_from(wait: WaitFile) -> Result<Wait, String> {
        let hint = "\nhint: write one of `ready`, `revision`, `gone` and `condition`, such as \
                    `wait: {ready: kustomization/flux-system/apps, within: 2m}`";
        let conditions: Vec<Condition> = [
            wait.ready.map(Condition::Ready),
            wait.revision.map(Condition::Revision),
            wait.gone.map(Condition::Gone),
            wait.condition.map(Condition::Object),
        ]
        .into_iter()
        .flatten()
        .collect();
        match <[Condition; 1]>::try_from(conditions) {
            Ok([until]) => Ok(Wait { until, within: wait.within }),
            Err(conditions) if conditions.is_empty() => Err(format!("`wait` does not say for what{hint}")),
            Err(conditions) => Err(format!("`wait` waits for {} things at once{hint}", conditions.len())),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Ready(object) => write!(f, "{object} is ready"),
            Condition::Revision(revision) => match revision.value {
                Revision::Head => f.write_str("every sync has applied the latest commit"),
            },
            Condition::Gone(object) => write!(f, "{object} is gone"),
            Condition::Object(condition) => {
                let ObjectCondition { object, r#type, status, reason } = &condition.value;
                write!(f, "{object} has {type}={status}")?;
                reason.as_ref().map_or(Ok(()), |reason| write!(f, " because of {reason}"))
            }
        }
    }
}

impl StepKind for Wait {
    const KIND: &'static str = "wait";
    const EXAMPLE: &'static str = "wait: {ready: kustomization/flux-system/apps, within: 2m}";
}

impl Action for Wait {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("wait until {}", self.until)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Wait, self.within.as_deref().copied(), scenario)
    }
}

//! Every deadline by name, its default and the reason for it. Nothing in a run waits without one of these.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Scenario;
use crate::text::HumanDuration;

/// What a deadline is for. A scenario changes one for all its steps by `timeouts:`, a step its own by `within:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Deadline", rename_all = "kebab-case")]
pub enum DeadlineName {
    /// `flux bootstrap`, from its start to its exit. Default: 3m.
    Bootstrap,
    /// From the operator's first manifest to the API server serving FluxInstance. Default: 2m.
    InstallOperator,
    /// Applying manifests. Default: 1m.
    Apply,
    /// From the request to delete an object to its absence. Default: 2m.
    Delete,
    /// A `wait` without its own `within`. Default: 5m.
    Wait,
    /// An `assert` without its own `within`. Default: 30s.
    Assert,
    /// Commit, push, and the request to Flux to look at it. Default: 1m.
    Commit,
    /// A patch of an object. Default: 1m.
    Patch,
    /// A change of an object's replicas. Default: 1m.
    Scale,
    /// From a restart to the last new pod being ready. Default: 5m.
    Rollout,
    /// From the request to reconcile an object to its being ready, its source's included. Default: 2m.
    Reconcile,
    /// A request to leave an object alone. Default: 1m.
    Suspend,
    /// A request to look after an object again. Default: 1m.
    Resume,
    /// From a kill to everything being ready again. Default: 3m.
    Restart,
    /// A command, from its start to its exit. Default: 1m.
    Exec,
    /// A call of the flux command, from its start to its exit. Default: 2m.
    Flux,
    /// A push of an artifact into the registry. Default: 1m.
    PushArtifact,
    /// Looking at every object of a snapshot. Default: 30s.
    Snapshot,
    /// Cutting pods off and joining them again, beyond the time between the two. Default: 30s.
    Cut,
    /// Having every node's probes come from a mesh's address. Default: 30s.
    ProbeSnat,
    /// From the kill of a probe agent to its answering again. Default: 1m.
    Kill,
}

impl DeadlineName {
    /// All, in the order of this file.
    pub const ALL: [DeadlineName; 21] = [
        DeadlineName::Bootstrap,
        DeadlineName::InstallOperator,
        DeadlineName::Apply,
        DeadlineName::Delete,
        DeadlineName::Wait,
        DeadlineName::Assert,
        DeadlineName::Commit,
        DeadlineName::Patch,
        DeadlineName::Scale,
        DeadlineName::Rollout,
        DeadlineName::Reconcile,
        DeadlineName::Suspend,
        DeadlineName::Resume,
        DeadlineName::Restart,
        DeadlineName::Exec,
        DeadlineName::Flux,
        DeadlineName::PushArtifact,
        DeadlineName::Snapshot,
        DeadlineName::Cut,
        DeadlineName::ProbeSnat,
        DeadlineName::Kill,
    ];

    /// As in `timeouts:`.
    pub fn as_str(self) -> &'static str {
        match self {
            DeadlineName::Bootstrap => "bootstrap",
            DeadlineName::InstallOperator => "install-operator",
            DeadlineName::Apply => "apply",
            DeadlineName::Delete => "delete",
            DeadlineName::Wait => "wait",
            DeadlineName::Assert => "assert",
            DeadlineName::Commit => "commit",
            DeadlineName::Patch => "patch",
            DeadlineName::Scale => "scale",
            DeadlineName::Rollout => "rollout",
            DeadlineName::Reconcile => "reconcile",
            DeadlineName::Suspend => "suspend",
            DeadlineName::Resume => "resume",
            DeadlineName::Restart => "restart",
            DeadlineName::Exec => "exec",
            DeadlineName::Flux => "flux",
            DeadlineName::PushArtifact => "push-artifact",
            DeadlineName::Snapshot => "snapshot",
            DeadlineName::Cut => "cut",
            DeadlineName::ProbeSnat => "probe-snat",
            DeadlineName::Kill => "kill",
        }
    }

    /// The time allowed unless the scenario says otherwise, and why it is that long.
    pub fn default(self) -> (Duration, &'static str) {
        let (secs, reason) = match self {
            DeadlineName::Bootstrap => (180, "measured 6 s with images present; a cold start pulls four of them"),
            DeadlineName::InstallOperator => {
                (120, "manifests take 2 s; installed by Flux it also starts, and pulls its image")
            }
            DeadlineName::Apply => (60, "twice the 30 s that an admission webhook may take at most"),
            DeadlineName::Delete => (120, "finalizers of Flux objects run garbage collection, each within a minute"),
            DeadlineName::Wait => (300, "Flux's own default timeout of a Kustomization's reconciliation"),
            DeadlineName::Assert => (30, "what is asserted has already happened; only its report may lag"),
            DeadlineName::Commit => (60, "a push into a container of the same machine takes under a second"),
            DeadlineName::Patch => (60, "as apply"),
            DeadlineName::Scale => (60, "as apply: it ends when the change is accepted"),
            DeadlineName::Rollout => (300, "termination grace of 30 s and readiness of every replica in turn"),
            DeadlineName::Reconcile => (
                120,
                "fetching, applying and health checks, each measured in seconds; an object's own timeout may be longer",
            ),
            DeadlineName::Suspend => (60, "as apply"),
            DeadlineName::Resume => (60, "as apply: it ends when the change is accepted"),
            DeadlineName::Restart => {
                (180, "a node boots in 20 s, and its pods wait for probes and back-off after that")
            }
            DeadlineName::Exec => (60, "as kubectl's own patience with a pod that is not running yet"),
            DeadlineName::Flux => (120, "before its own timeout of 5m, whose message says less than ours"),
            DeadlineName::PushArtifact => (60, "as commit: a fleet is some kilobytes"),
            DeadlineName::Snapshot => (30, "two requests for each object"),
            DeadlineName::Cut => (30, "one command on each node, twice"),
            DeadlineName::ProbeSnat => (30, "one command on each node"),
            DeadlineName::Kill => {
                (60, "the kubelet starts it again at once, and with back-off when it was killed before")
            }
        };
        (Duration::from_secs(secs), reason)
    }
}

/// How long a step may take, under which name, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Deadline {
    /// The name in reports: a [`DeadlineName`], or the step's own field.
    pub name: &'static str,
    /// The time allowed.
    #[serde(serialize_with = "as_text")]
    pub limit: Duration,
    /// Who set it.
    pub set_by: SetBy,
}

/// Who set a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetBy {
    /// [`DeadlineName::default`].
    Default,
    /// The scenario's `timeouts:`.
    Scenario,
    /// The step itself.
    Step,
    /// The steps within it, together.
    Nested,
}

impl Deadline {
    /// The step's own time, else the scenario's, else the default.
    pub fn of(name: DeadlineName, own: Option<HumanDuration>, scenario: &Scenario) -> Deadline {
        let (limit, set_by) = match (own, scenario.timeouts.get(&name)) {
            (Some(own), _) => (own.get(), SetBy::Step),
            (None, Some(time)) => (time.get(), SetBy::Scenario),
            (None, None) => (name.default().0, SetBy::Default),
        };
        Deadline { name: name.as_str(), limit, set_by }
    }
}

/// A duration as people write it.
pub(crate) fn as_text<S: serde::Serializer>(limit: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&HumanDuration::from(*limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema shows the defaults in the doc comments: they must be the real ones.
    #[test]
    fn documented_defaults_are_the_defaults() {
        let schema = serde_json::to_value(schemars::schema_for!(DeadlineName)).unwrap();
        let variants = schema["oneOf"].as_array().unwrap();
        assert_eq!(variants.len(), DeadlineName::ALL.len());
        for (name, variant) in DeadlineName::ALL.into_iter().zip(variants) {
            assert_eq!(variant["const"], name.as_str());
            let default = HumanDuration::from(name.default().0);
            let description = variant["description"].as_str().unwrap();
            assert!(description.ends_with(&format!("Default: {default}.")), "{description} ≠ {default}");
        }
    }
}

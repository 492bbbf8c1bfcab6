//! `restart`: pods killed, or a node's power cut.

use schemars::JsonSchema;
use serde::Deserialize;

use super::short::Short;
use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{HumanDuration, Name, ObjectRef};

/// Kills what runs, and waits until it runs again: all pods of a workload, or a node. `rollout` is the gentle one.
///
/// `restart: deployment/flux-system/kustomize-controller` deletes the controller's pods without grace: the kubelet ends them
/// within a second, whatever they are doing. A map says more: `{pods: …, grace: 30s}`, or `{node: worker}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "Spanned<Short<RestartFields>>")]
#[schemars(with = "Short<RestartFields>")]
pub struct Restart {
    /// What is killed.
    pub victim: Victim,
    /// How long it may take.
    pub within: Option<Spanned<HumanDuration>>,
}

/// What can be killed.
#[derive(Debug, Clone)]
pub enum Victim {
    /// Pods.
    Pods {
        /// A workload, or one pod that somebody makes anew under the same name.
        of: Spanned<ObjectRef>,
        /// The time that they have to end by themselves.
        grace: HumanDuration,
    },
    /// A node, as a power cut would.
    Node(Spanned<Name>),
}

/// [`Restart`] as a map.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "RestartFields", rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [{"required": ["pods"]}, {"required": ["node"]}]))]
struct RestartFields {
    /// The workload whose pods are deleted, or one pod of a StatefulSet.
    pods: Option<Spanned<ObjectRef>>,
    /// The time that pods have to end by themselves. Default: 0s, a kill.
    grace: Option<Spanned<HumanDuration>>,
    /// The node whose power is cut: `control-plane`, `worker`, `worker2`, ….
    node: Option<Spanned<Name>>,
    /// How long it may take until everything is ready again. Default: 3m.
    within: Option<Spanned<HumanDuration>>,
}

impl TryFrom<Spanned<Short<RestartFields>>> for Restart {
    type Error = String;

    fn try_from(written: Spanned<Short<RestartFields>>) -> Result<Restart, String> {
        let hint = "\nhint: write `restart: deployment/apps/web`, `restart: {pods: deployment/apps/web, grace: 5s}` or \
                    `restart: {node: worker}`";
        let fields = match written.value {
            Short::Object(value) => {
                let of = Spanned { value, span: written.span };
                return Ok(Restart { victim: Victim::Pods { of, grace: HumanDuration::default() }, within: None });
            }
            Short::Map(fields) => fields,
        };
        let victim = match (fields.pods, fields.node, fields.grace) {
            (Some(of), None, grace) => Victim::Pods { of, grace: grace.map(|g| g.value).unwrap_or_default() },
            (None, Some(node), None) => Victim::Node(node),
            (None, Some(_), Some(_)) => return Err(format!("a node whose power is cut has no `grace`{hint}")),
            (None, None, _) => return Err(format!("`restart` does not say what{hint}")),
            (Some(_), Some(_), _) => return Err(format!("`restart` takes `pods` or `node`, not both{hint}")),
        };
        Ok(Restart { victim, within: fields.within })
    }
}

/// Kinds that have pods, and of which somebody makes new ones.
const WITH_PODS: [&str; 4] = ["deployment", "statefulset", "daemonset", "pod"];

impl StepKind for Restart {
    const KIND: &'static str = "restart";
    const EXAMPLE: &'static str = "restart: deployment/flux-system/kustomize-controller";
    const RULES: &'static [Rule] = &[RESTARTED_PODS, RESTARTED_NODE, UNPAID_NODE];
}

const RESTARTED_PODS: Rule = Rule {
    code: "F244",
    name: "restarted-pods",
    explain: "What is killed must come back by itself, so it has to be a workload, or a pod that a workload makes anew.",
    failing: "- restart: kustomization/flux-system/apps",
    passing: "- restart: deployment/flux-system/kustomize-controller",
    ..Rule::ERROR
};

const RESTARTED_NODE: Rule = Rule {
    code: "F245",
    name: "restarted-node",
    explain: "Nodes are named by their role and, from the second of a role on, its number.",
    failing: "- restart: {node: node-1}",
    passing: "phases:\n  - phase: a\n    steps: [bootstrap: {path: clusters/test}]\n  - phase: b\n    budget: {failed: 100, longest: 1m}\n    steps: [restart: {node: worker2}]",
    ..Rule::ERROR
};

const UNPAID_NODE: Rule = Rule {
    code: "F246",
    name: "unpaid-node",
    explain: "A node whose power is cut takes the requests with it that it was answering. A phase that allows none of them to \
              fail does not pass.",
    failing: "- restart: {node: control-plane}",
    passing: "phases:\n  - phase: a\n    steps: [bootstrap: {path: clusters/test}]\n  - phase: b\n    budget: {failed: 100, longest: 1m}\n    steps: [restart: {node: control-plane}]",
    ..Rule::WARNING
};

impl Action for Restart {
    fn title(&self, _scenario: &Scenario) -> String {
        match &self.victim {
            Victim::Pods { of, grace } if grace.get().is_zero() => format!("kill the pods of {of}"),
            Victim::Pods { of, grace } => format!("delete the pods of {of} with {grace} of grace"),
            Victim::Node(node) => format!("cut the power of node {node}, and boot it again"),
        }
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Restart, self.within.as_deref().copied(), scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        match &self.victim {
            Victim::Pods { of, .. } => {
                if !is_one_of(&of.kind, &WITH_PODS) {
                    let message = format!("an object of kind `{}` has no pods that come back", of.kind);
                    findings.report(
                        &RESTARTED_PODS,
                        of.span,
                        message,
                        "name a deployment, statefulset, daemonset or pod",
                    );
                }
            }
            Victim::Node(node) => {
                if !is_node(node) {
                    let message = format!("no node is called `{node}`");
                    findings.report(
                        &RESTARTED_NODE,
                        node.span,
                        message,
                        "write `control-plane`, `worker` or `worker2`",
                    );
                }
                lint_budget(node, findings);
            }
        }
    }
}

fn lint_budget(node: &Spanned<Name>, findings: &mut Findings<'_>) {
    if findings.scenario().expect.is_none()
        && let Some(phase) = findings.phase().filter(|phase| phase.budget.failed == 0)
    {
        let message = format!("the phase `{}` allows no request to fail while node {node} is down", phase.phase);
        let help = "give it a budget, such as `budget: {failed: 200, longest: 30s}`";
        findings.report(&UNPAID_NODE, node.span, message, help);
    }
}

/// Whether a node can be called so: by its role and, from the second of a role on, its number.
pub(super) fn is_node(name: &Name) -> bool {
    let number = ["control-plane", "worker"].iter().find_map(|role| name.as_str().strip_prefix(role));
    number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
}

/// Whether a kind, with or without its group, is one of `kinds` or the plural of one.
pub(super) fn is_one_of(kind: &str, kinds: &[&str]) -> bool {
    let name = kind.split('.').next().unwrap_or(kind);
    kinds.iter().any(|kind| name.strip_suffix('s').unwrap_or(name) == *kind || name == *kind)
}

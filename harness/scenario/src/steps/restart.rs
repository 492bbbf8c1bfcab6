//! `restart`: something that runs is killed, and comes back.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::short::Short;
use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{HumanDuration, Name, ObjectRef};

/// Kills what runs, and waits until it runs again: all pods of a workload, a node, the API server, or a server beside the
/// cluster. `rollout` is the gentle one.
///
/// `restart: deployment/flux-system/kustomize-controller` deletes the controller's pods without grace: the kubelet ends them
/// within a second, whatever they are doing. A map says more: `{pods: …, grace: 30s}`, `{node: worker}`,
/// `{component: kube-apiserver}`, or `{server: git, down: 15s}`. When it died and when it was back is recorded as a fault.
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
    Node {
        /// Which.
        name: Spanned<Name>,
        /// How long it stays without power.
        down: HumanDuration,
    },
    /// A part of the control plane, whose kubelet starts it anew.
    Component(ControlPlane),
    /// A server beside the cluster, with what it holds.
    Server {
        /// Which.
        server: Server,
        /// How long it stays dead.
        down: HumanDuration,
    },
}

/// A part of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ControlPlane {
    /// The API server, on every node of the control plane.
    #[serde(rename = "kube-apiserver")]
    ApiServer,
}

impl ControlPlane {
    /// The name of its process, as in the file.
    pub fn process(self) -> &'static str {
        match self {
            ControlPlane::ApiServer => "kube-apiserver",
        }
    }
}

/// A server beside the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    /// The git server that Flux syncs from.
    Git,
    /// The OCI registry that images and artifacts are pulled from.
    Registry,
}

impl Server {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Server::Git => "the git server",
            Server::Registry => "the OCI registry",
        }
    }
}

/// [`Restart`] as a map.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "RestartFields", rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [
    {"required": ["pods"]}, {"required": ["node"]}, {"required": ["component"]}, {"required": ["server"]}
]))]
struct RestartFields {
    /// The workload whose pods are deleted, or one pod of a StatefulSet.
    pods: Option<Spanned<ObjectRef>>,
    /// The time that pods have to end by themselves. Default: 0s, a kill.
    grace: Option<Spanned<HumanDuration>>,
    /// The node whose power is cut: `control-plane`, `worker`, `worker2`, ….
    node: Option<Spanned<Name>>,
    /// The part of the control plane that is killed, for its kubelet to start anew.
    component: Option<Spanned<ControlPlane>>,
    /// The server beside the cluster that is killed. It comes back with what it holds, under its name and address.
    server: Option<Spanned<Server>>,
    /// How long a node or a server stays down. Default: 0s, no longer than it takes to start again.
    down: Option<Spanned<HumanDuration>>,
    /// How long it may take until everything is ready again. Default: 3m.
    within: Option<Spanned<HumanDuration>>,
}

impl TryFrom<Spanned<Short<RestartFields>>> for Restart {
    type Error = String;

    fn try_from(written: Spanned<Short<RestartFields>>) -> Result<Restart, String> {
        let hint = "\nhint: write `restart: deployment/apps/web`, `restart: {pods: deployment/apps/web, grace: 5s}`, \
                    `restart: {node: worker}`, `restart: {component: kube-apiserver}` or `restart: {server: git, down: 15s}`";
        let fields = match written.value {
            Short::Object(value) => {
                let of = Spanned { value, span: written.span };
                return Ok(Restart { victim: Victim::Pods { of, grace: HumanDuration::default() }, within: None });
            }
            Short::Map(fields) => fields,
        };
        let (grace, down) = (fields.grace.map(|grace| grace.value), fields.down.map(|down| down.value));
        let victim = match (fields.pods, fields.node, fields.component, fields.server) {
            (Some(of), None, None, None) => Victim::Pods { of, grace: grace.unwrap_or_default() },
            (None, Some(name), None, None) => Victim::Node { name, down: down.unwrap_or_default() },
            (None, None, Some(component), None) => Victim::Component(component.value),
            (None, None, None, Some(server)) => Victim::Server { server: server.value, down: down.unwrap_or_default() },
            (None, None, None, None) => return Err(format!("`restart` does not say what{hint}")),
            _ => return Err(format!("`restart` takes one of `pods`, `node`, `component` and `server`{hint}")),
        };
        match victim {
            Victim::Node { .. } if grace.is_some() => {
                return Err(format!("a node whose power is cut has no `grace`{hint}"));
            }
            Victim::Component(_) | Victim::Server { .. } if grace.is_some() => {
                return Err(format!("only `pods` have a `grace`{hint}"));
            }
            Victim::Pods { .. } | Victim::Component(_) if down.is_some() => {
                return Err(format!(
                    "only a `node` or a `server` has a `down`: the kubelet starts the others at once{hint}"
                ));
            }
            _ => {}
        }
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
    failing: "phases:\n  - phase: a\n    steps: [bootstrap: {path: clusters/test}]\n  - phase: b\n    steps: [restart: {node: control-plane}]",
    passing: "phases:\n  - phase: a\n    steps: [bootstrap: {path: clusters/test}]\n  - phase: b\n    budget: {failed: 100, longest: 1m}\n    steps: [restart: {node: control-plane}]",
    ..Rule::WARNING
};

impl Action for Restart {
    fn title(&self, _scenario: &Scenario) -> String {
        match &self.victim {
            Victim::Pods { of, grace } if grace.get().is_zero() => format!("kill the pods of {of}"),
            Victim::Pods { of, grace } => format!("delete the pods of {of} with {grace} of grace"),
            Victim::Node { name, down } if down.get().is_zero() => {
                format!("cut the power of node {name}, and boot it again")
            }
            Victim::Node { name, down } => format!("cut the power of node {name} for {down}, and boot it again"),
            Victim::Component(component) => format!("kill {}", component.process()),
            Victim::Server { server, down } if down.get().is_zero() => {
                format!("kill {}, and start it again", server.title())
            }
            Victim::Server { server, down } => format!("kill {} for {down}, and start it again", server.title()),
        }
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        let around = Deadline::of(DeadlineName::Restart, self.within.as_deref().copied(), scenario);
        let down = match self.victim {
            Victim::Node { down, .. } | Victim::Server { down, .. } if self.within.is_none() => down.get(),
            _ => Duration::ZERO,
        };
        Deadline { limit: around.limit + down, ..around }
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
            Victim::Component(_) | Victim::Server { .. } => {}
            Victim::Node { name: node, .. } => {
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
    // Nothing is sampled in the first phase.
    let first = findings.scenario().phases.first().map(|phase| phase.phase.span);
    if findings.scenario().expect.is_none()
        && let Some(phase) =
            findings.phase().filter(|phase| phase.budget.failed == 0 && Some(phase.phase.span) != first)
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

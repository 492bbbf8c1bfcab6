//! `kill`: a fault in the harness itself, for self-tests.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::restart::is_node;
use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::probes::From;
use crate::span::Spanned;
use crate::text::Name;

/// Kills the process of a probe agent without warning, and waits until it answers again. What it had sampled must still come to
/// the record, and what it could not sample must be recorded as its own outage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kill {
    /// The node whose agent is killed (`control-plane`, `worker`, `worker2`, …), or `all`.
    pub agent: Spanned<Name>,
}

/// Whose agents are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agents<'a> {
    /// Every node's.
    All,
    /// This node's.
    Of(&'a Name),
}

impl Kill {
    /// Whose agents are killed.
    pub fn agents(&self) -> Agents<'_> {
        match self.agent.as_str() {
            "all" => Agents::All,
            _ => Agents::Of(&self.agent.value),
        }
    }
}

impl fmt::Display for Agents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Agents::All => f.write_str("every probe agent"),
            Agents::Of(node) => write!(f, "the probe agent of node {node}"),
        }
    }
}

impl StepKind for Kill {
    const KIND: &'static str = "kill";
    const EXAMPLE: &'static str = "kill: {agent: all}";
    const RULES: &'static [Rule] = &[KILLED_AGENT, NO_AGENT];
}

const KILLED_AGENT: Rule = Rule {
    code: "F265",
    name: "killed-agent",
    explain: "Agents are named by their nodes, and nodes by their role and, from the second of a role on, its number.",
    failing: "probes: [kube-api: {name: api, from: [inside]}]\n- kill: {agent: node-1}",
    passing: "probes: [kube-api: {name: api, from: [inside]}]\n- kill: {agent: control-plane}",
    ..Rule::ERROR
};

const NO_AGENT: Rule = Rule {
    code: "F266",
    name: "no-agent",
    explain: "Agents ask on behalf of probes from inside. A scenario without such a probe has no agent.",
    failing: "- kill: {agent: all}",
    passing: "probes: [http: {name: web, url: \"http://web.apps.svc/\", from: [inside]}]\n- kill: {agent: all}",
    ..Rule::ERROR
};

impl Action for Kill {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("kill {}", self.agents())
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Kill, None, scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if let Agents::Of(node) = self.agents()
            && !is_node(node)
        {
            findings.report(
                &KILLED_AGENT,
                self.agent.span,
                format!("no node is called `{node}`"),
                "write `control-plane`, `worker`, `worker2`, or `all`",
            );
        }
        if !findings.scenario().probes.iter().any(|probe| probe.asks_from(From::Inside)) {
            findings.report(
                &NO_AGENT,
                self.agent.span,
                "no probe asks from inside: there is no agent to kill",
                "ask from inside as well, such as `from: [outside, inside]`",
            );
        }
    }
}

//! What is said of several clusters must name one of them.

use crate::lint::{Findings, Rule, ScenarioRule};
use crate::names::{list, nearest};
use crate::span::Span;

pub const FEW: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F152",
        name: "few-clusters",
        explain: "`clusters` names the clusters of a run that has several. A run with one names none: nothing can be said of another.",
        failing: "clusters: [edge]",
        passing: "clusters: [edge, main]\n- on: {cluster: main, steps: [wait: {ready: deployment/apps/web}]}",
        ..Rule::ERROR
    },
    check: |findings| {
        if let [only] = findings.scenario().clusters.as_slice() {
            let message = format!("`{only}` is the only cluster");
            findings.report(&FEW.rule, only.span, message, "name another, or remove `clusters`");
        }
    },
};

pub const UNKNOWN: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F153",
        name: "unknown-cluster",
        explain: "A probe's `cluster`, and the name before the `:` in `changes`, is one of the run's `clusters`: of another nothing is \
                  ever known.",
        failing: "phases: [{phase: a, steps: [bootstrap: {path: clusters/test}]}, {phase: b, changes: ['main:deployment/apps/web'], steps: [sleep: {for: 1s, reason: x}]}]",
        passing: "clusters: [edge, main]\nphases: [{phase: a, steps: [bootstrap: {path: clusters/test}]}, {phase: b, changes: ['main:deployment/apps/web'], steps: [sleep: {for: 1s, reason: x}]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let changed = scenario.phases.iter().flat_map(|phase| &phase.changes);
        let changed = changed.filter_map(|glob| Some((glob.cluster()?.to_owned(), glob.span)));
        let asked = scenario.probes.iter().filter_map(|probe| probe.question().cluster());
        let asked = asked.map(|cluster| (cluster.to_string(), cluster.span));
        for (name, span) in changed.chain(asked).collect::<Vec<_>>() {
            findings.expect_cluster(&UNKNOWN.rule, &name, span);
        }
    },
};

impl Findings<'_> {
    /// Reports a name that is not one of the run's clusters.
    pub(crate) fn expect_cluster(&mut self, rule: &Rule, name: &str, span: Span) {
        let clusters: Vec<&str> = self.scenario().clusters.iter().map(|name| name.value.as_str()).collect();
        if clusters.contains(&name) {
            return;
        }
        let help = match nearest(name, clusters.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`? (clusters: {})", list(&clusters)),
            None if clusters.is_empty() => "name the run's clusters at the top: `clusters: [edge, main]`".to_owned(),
            None => format!("clusters: {}", list(&clusters)),
        };
        self.report(rule, span, format!("there is no cluster `{name}`"), help);
    }
}

//! `cut`: pods without a network, for a known time.

use std::num::NonZeroU16;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::restart::is_one_of;
use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::{ExpectedVerdict, Scenario};
use crate::span::Spanned;
use crate::text::{HumanDuration, ObjectRef};

/// Cuts pods off the network for a known time: their nodes reject what is sent to them. The pods themselves are left as they are,
/// and Kubernetes takes no notice of a short cut. When it began and ended is recorded as a fault, which the rule `faults-seen`
/// compares with what the probes saw.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cut {
    /// Whose pods: a workload's, a Service's, or one pod.
    pub pods: Spanned<ObjectRef>,
    /// How long.
    pub r#for: Spanned<HumanDuration>,
    /// Ports of the pods that are cut off. Default: all of them.
    #[serde(default)]
    pub ports: Vec<Spanned<NonZeroU16>>,
}

/// Kinds that have pods.
const WITH_PODS: [&str; 6] = ["deployment", "statefulset", "daemonset", "replicaset", "service", "pod"];

/// The longest cut. Within it kubelet and endpoints may come to know; beyond it nothing is proven that a `scale` would not prove.
const LONGEST: Duration = Duration::from_secs(60);

impl StepKind for Cut {
    const KIND: &'static str = "cut";
    const EXAMPLE: &'static str = "cut: {pods: deployment/apps/web, for: 300ms}";
    const RULES: &'static [Rule] = &[CUT_TIME, CUT_PODS, UNSEEN_CUT, UNPAID_CUT];
}

const CUT_TIME: Rule = Rule {
    code: "F260",
    name: "cut-time",
    explain: "A cut of no time cuts nothing, and one of more than a minute is no short outage: pods fail their probes by then, and \
              what is seen is Kubernetes' answer to that.",
    failing: "expect: {verdict: fail, rule: no-lost-request}\n- cut: {pods: deployment/apps/web, for: 5m}",
    passing: "expect: {verdict: fail, rule: no-lost-request}\n- cut: {pods: deployment/apps/web, for: 300ms}",
    ..Rule::ERROR
};

const CUT_PODS: Rule = Rule {
    code: "F262",
    name: "cut-pods",
    explain: "Pods have a network. What has no pods cannot be cut off.",
    failing: "expect: {verdict: fail, rule: no-lost-request}\n- cut: {pods: kustomization/flux-system/apps, for: 300ms}",
    passing: "expect: {verdict: fail, rule: no-lost-request}\n- cut: {pods: service/apps/web, for: 300ms}",
    ..Rule::ERROR
};

const UNSEEN_CUT: Rule = Rule {
    code: "F263",
    name: "unseen-cut",
    explain: "A cut that is shorter than the time between two samples of every probe may fall between them: nothing would be seen of \
              it, and rightly so.",
    failing: "expect: {verdict: fail, rule: no-lost-request}\n- cut: {pods: deployment/apps/web, for: 20ms}",
    passing: "probes: [http: {name: web, node-port: 30080, rate: 100/s}]\nexpect: {verdict: fail, rule: no-lost-request}\n- cut: {pods: deployment/apps/web, for: 20ms}",
    ..Rule::WARNING
};

const UNPAID_CUT: Rule = Rule {
    code: "F264",
    name: "unpaid-cut",
    explain: "Requests to pods that are cut off fail. A phase that allows none to fail does not pass, unless the scenario expects \
              just that.",
    failing: "- cut: {pods: deployment/apps/web, for: 300ms}",
    passing: "phases:\n  - phase: a\n    steps: [bootstrap: {path: clusters/test}]\n  - phase: b\n    budget: {longest: 500ms}\n    steps: [cut: {pods: deployment/apps/web, for: 300ms}]",
    ..Rule::WARNING
};

impl Action for Cut {
    fn title(&self, _scenario: &Scenario) -> String {
        let ports: Vec<String> = self.ports.iter().map(|port| format!(":{port}")).collect();
        let ports = if ports.is_empty() { String::new() } else { format!(" ({})", ports.join(", ")) };
        format!("cut the pods of {}{ports} off the network for {}", self.pods, self.r#for)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        let around = Deadline::of(DeadlineName::Cut, None, scenario);
        Deadline { limit: around.limit + self.r#for.get(), ..around }
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        let time = self.r#for.get();
        if time.is_zero() || time > LONGEST {
            findings.report(
                &CUT_TIME,
                self.r#for.span,
                format!("a cut of {} proves nothing", self.r#for),
                "write at most 1m, such as `for: 300ms`",
            );
        }
        if !is_one_of(&self.pods.kind, &WITH_PODS) {
            findings.report(
                &CUT_PODS,
                self.pods.span,
                format!("an object of kind `{}` has no pods to cut off", self.pods.kind),
                "name a deployment, statefulset, daemonset, service or pod",
            );
        }
        let scenario = findings.scenario();
        let intervals = scenario.probes.iter().map(|probe| probe.question().rate().interval());
        if let Some(shortest) = intervals.min().filter(|shortest| *shortest > time && !time.is_zero()) {
            findings.report(
                &UNSEEN_CUT,
                self.r#for.span,
                format!(
                    "no probe samples more often than every {}: a cut of {} may stay unseen",
                    HumanDuration::from(shortest),
                    self.r#for
                ),
                "cut for longer, or sample more often",
            );
        }
        let must_pass = scenario.expect.as_ref().is_none_or(|e| e.verdict.value == ExpectedVerdict::Pass);
        let is_zero = |b: crate::model::Budget| b.failed == 0 && b.longest.get().is_zero();
        if let Some(phase) = findings.phase().filter(|phase| must_pass && is_zero(phase.budget)) {
            findings.report(
                &UNPAID_CUT,
                self.pods.span,
                format!("the phase `{}` allows no request to fail while these pods are cut off", phase.phase),
                "give it a budget, such as `budget: {longest: 500ms}`, or say what verdict is expected",
            );
        }
    }
}

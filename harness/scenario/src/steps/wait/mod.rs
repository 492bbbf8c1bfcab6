//! `wait`: until the cluster is as it should be. One file for each condition, and one line in the table below.

mod combined;
mod count;
mod log;
mod metric;
mod object_condition;
mod probe;
mod sync_revision;

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

pub use count::Count;
pub use log::{Log, Pattern, Since};
pub use metric::Metric;
pub use object_condition::{ObjectCondition, Status};
pub use probe::ProbeHealth;
pub use sync_revision::SyncRevision;

use super::one_of::{one_of, required};
use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::{Span, Spanned};
use crate::text::{HumanDuration, ObjectRef};

/// Waits until something is so. The cluster is watched, not polled, wherever it can be; the reason why it is not yet so is
/// shown.
///
/// Exactly one condition says what; `all`, `any` and `not` combine conditions.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "WaitFile")]
#[schemars(with = "WaitFile")]
pub struct Wait {
    /// What is awaited.
    pub until: Condition,
    /// How long at most, all conditions together.
    pub within: Option<Spanned<HumanDuration>>,
}

/// Makes the enum of conditions, and the keys of `wait`, from one list.
macro_rules! conditions {
    ($($(#[$doc:meta])+ $key:ident: $Kind:ident($Content:ty)),+ $(,)?) => {
        /// What can be awaited. Exactly one key.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Condition {
            $($(#[$doc])+ $Kind($Content)),+
        }

        /// The keys of [`Condition`].
        const CONDITIONS: &[&str] = &[$(stringify!($key)),+];

        /// [`Wait`] as it is written.
        #[derive(Deserialize, JsonSchema)]
        #[serde(rename = "Wait", deny_unknown_fields, rename_all = "kebab-case")]
        #[schemars(extend("oneOf" = required(CONDITIONS)))]
        struct WaitFile {
            $($(#[$doc])+ $key: Option<$Content>,)+
            /// How long at most. Default: 5m.
            within: Option<Spanned<HumanDuration>>,
        }

        impl TryFrom<WaitFile> for Wait {
            type Error = String;

            fn try_from(wait: WaitFile) -> Result<Wait, String> {
                let choices = [$((stringify!($key), wait.$key.map(Condition::$Kind))),+];
                Ok(Wait { until: one_of(Wait::KIND, "condition", Wait::EXAMPLE, choices)?, within: wait.within })
            }
        }
    };
}

conditions! {
    /// The object becomes ready, having seen its latest generation.
    ready: Ready(Spanned<ObjectRef>),
    /// The revision that every Flux sync of the fleet, or a given one, has applied.
    revision: Revision(Spanned<SyncRevision>),
    /// The object disappears.
    gone: Gone(Spanned<ObjectRef>),
    /// A condition in an object's status.
    condition: Condition(Spanned<ObjectCondition>),
    /// So many objects of a kind exist.
    count: Count(Spanned<Count>),
    /// A line appears in the log of a workload's pods.
    log: Log(Spanned<Log>),
    /// A metric of a workload's pods has a value.
    metric: Metric(Spanned<Metric>),
    /// A probe has been answered well for some time.
    probe: Probe(Spanned<ProbeHealth>),
    /// All of these conditions hold at the same time.
    all: All(Spanned<Vec<Condition>>),
    /// At least one of these conditions holds.
    any: Any(Spanned<Vec<Condition>>),
    /// This condition does not hold. What could not be looked at is neither so nor not so.
    not: Not(Box<Spanned<Condition>>),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Ready(object) => write!(f, "{object} is ready"),
            Condition::Revision(revision) => revision.fmt(f),
            Condition::Gone(object) => write!(f, "{object} is gone"),
            Condition::Condition(condition) => condition.fmt(f),
            Condition::Count(count) => count.fmt(f),
            Condition::Log(log) => log.fmt(f),
            Condition::Metric(metric) => metric.fmt(f),
            Condition::Probe(probe) => probe.fmt(f),
            Condition::All(parts) => combined::joined(parts, "and", f),
            Condition::Any(parts) => combined::joined(parts, "or", f),
            Condition::Not(part) => write!(f, "not: {}", part.value),
        }
    }
}

impl Condition {
    fn lint(&self, findings: &mut Findings<'_>) {
        match self {
            Condition::Log(log) => log.lint(findings),
            Condition::Metric(metric) => metric.lint(findings),
            Condition::Probe(probe) => probe.lint(findings),
            Condition::All(parts) => combined::lint(parts, "all", findings),
            Condition::Any(parts) => combined::lint(parts, "any", findings),
            Condition::Not(part) => combined::lint_negated(part, findings),
            Condition::Ready(_)
            | Condition::Revision(_)
            | Condition::Gone(_)
            | Condition::Condition(_)
            | Condition::Count(_) => {}
        }
    }
}

const NO_PODS: Rule = Rule {
    code: "F225",
    name: "no-pods",
    explain: "Logs and metrics are those of pods. Only a workload in a namespace, or a pod itself, has any: a Flux object's \
              lines are in the log of the controller that reconciles it.",
    failing: "- wait: {log: {of: kustomization/flux-system/apps, contains: applied}}",
    passing: "- wait: {log: {of: deployment/flux-system/kustomize-controller, contains: applied}}",
    ..Rule::ERROR
};

/// Kinds whose pods can be found: by their selector, or because they are pods.
const WITH_PODS: [&str; 7] =
    ["deployment", "statefulset", "daemonset", "replicaset", "replicationcontroller", "job", "pod"];

/// Reports an object that has no pods of its own.
fn lint_has_pods(object: &Spanned<ObjectRef>, findings: &mut Findings<'_>) {
    if !has_pods(object) {
        findings.report(
            &NO_PODS,
            object.span,
            format!("{object} has no pods of its own"),
            "name a workload with its namespace, such as `deployment/flux-system/source-controller`",
        );
    }
}

/// Whether an object is a workload or a pod.
pub(super) fn has_pods(object: &ObjectRef) -> bool {
    let kind = object.kind.split('.').next().unwrap_or_default();
    let known = |kind: &str| WITH_PODS.contains(&kind);
    object.namespace.is_some() && (known(kind) || kind.strip_suffix('s').is_some_and(known))
}

/// Where a span-less lint points: the part that is combined.
fn span_of(condition: &Condition) -> Span {
    match condition {
        Condition::Ready(object) | Condition::Gone(object) => object.span,
        Condition::Revision(revision) => revision.span,
        Condition::Condition(condition) => condition.span,
        Condition::Count(count) => count.span,
        Condition::Log(log) => log.span,
        Condition::Metric(metric) => metric.span,
        Condition::Probe(probe) => probe.span,
        Condition::All(parts) | Condition::Any(parts) => parts.span,
        Condition::Not(part) => part.span,
    }
}

impl StepKind for Wait {
    const KIND: &'static str = "wait";
    const EXAMPLE: &'static str = "wait: {ready: kustomization/flux-system/apps, within: 2m}";
    const RULES: &'static [Rule] = &[
        probe::UNKNOWN_PROBE,
        probe::NOT_PROBING_YET,
        probe::NO_SAMPLE_IN_TIME,
        combined::EMPTY,
        combined::VACUOUS,
        NO_PODS,
        log::ANY_LINE,
    ];
}

impl Action for Wait {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("wait until {}", self.until)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Wait, self.within.as_deref().copied(), scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        self.until.lint(findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ready: deployment/apps/web", "deployment/apps/web is ready")]
    #[case("revision: head", "every sync has applied the latest commit")]
    #[case("revision: main@sha1:4f2ac1e", "every sync has applied main@sha1:4f2ac1e")]
    #[case(
        "revision: {of: kustomization/flux-system/apps, is: head}",
        "kustomization/flux-system/apps has applied the latest commit"
    )]
    #[case("gone: namespace/apps", "namespace/apps is gone")]
    #[case(
        "condition: {object: a/b, type: Stalled, status: \"False\", reason: X}",
        "a/b has Stalled=False because of X"
    )]
    #[case("count: {kind: pod, namespace: apps, labels: app=web, is: 2}", "there are 2 of pod in apps with app=web")]
    #[case(
        "count: {kind: customresourcedefinition, at-least: 10}",
        "there are at least 10 of customresourcedefinition"
    )]
    #[case("log: {of: deployment/a/b, contains: stored artifact}", "deployment/a/b logs “stored artifact”")]
    #[case(
        "log: {of: deployment/a/b, container: c, matches: \"^x.*\", since: run}",
        "deployment/a/b (c) has logged /^x.*/"
    )]
    #[case(
        "metric: {of: deployment/a/b, port: 8080, name: up, labels: {job: x}, at-least: 0.5}",
        "metric up{job=\"x\"} of deployment/a/b is at least 0.5"
    )]
    #[case("probe: {name: web, healthy-for: 5s}", "probe web is healthy for 5s")]
    #[case("all: [{ready: a/b}, {not: {gone: c/d}}]", "(a/b is ready and not: c/d is gone)")]
    #[case(
        "any: [{ready: a/b}, {all: [{gone: c/d}, {ready: e/f}]}]",
        "(a/b is ready or (c/d is gone and e/f is ready))"
    )]
    fn titles(#[case] wait: &str, #[case] title: &str) {
        let wait: Wait = crate::parse::tests::step(&format!("wait: {{{wait}}}"));
        assert_eq!(wait.until.to_string(), title);
    }

    #[rstest]
    #[case("deployment/a/b", true)]
    #[case("deployments.apps/a/b", true)]
    #[case("pod/a/b", true)]
    #[case("deployment/b", false)]
    #[case("kustomization/a/b", false)]
    fn knows_who_has_pods(#[case] object: ObjectRef, #[case] pods: bool) {
        assert_eq!(has_pods(&object), pods);
    }
}

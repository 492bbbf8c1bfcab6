//! `no-residue`: in the end nothing is left of who managed Flux before.

use super::Invariant;
use super::observed::{Observed, finding, window};
use crate::cluster::{OPERATOR_GROUP, ObjectSeen, Parts, facts, is_flux_group};
use crate::fmt;
use crate::fold::RunState;
use crate::verdict::{Finding, Verdict};

/// The name in managedFields under which Kustomizations are applied; the operator takes its fields over from it.
const KUSTOMIZE: &str = "kustomize-controller";

/// The operator's name in managedFields and in `app.kubernetes.io/managed-by`.
const OPERATOR: &str = "flux-operator";

/// The rule.
#[derive(Debug)]
pub struct NoResidue;

impl Invariant for NoResidue {
    fn name(&self) -> &'static str {
        "no-residue"
    }

    fn demands(&self) -> &'static str {
        "in the end Flux carries no trace of bootstrap, or after a rollback none of the operator, and every stored version is served"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let span = match window(self, run) {
            Ok(span) => span,
            Err(finding) => return finding,
        };
        let instance = |object: &str| Parts::of(object).kind == "fluxinstance";
        let managed = run.cluster.present().any(|seen| instance(&seen.object));
        let ever = run
            .cluster
            .objects()
            .any(|(object, history)| instance(object) || history.last().is_some_and(defines_operator));
        let judged: Vec<&ObjectSeen> = run.cluster.present().filter(|seen| is_judged(run, seen)).collect();
        if !ever {
            let message = "neither a FluxInstance nor the operator was ever there: nothing was carried over";
            return Finding::new(self.name(), Verdict::Inconclusive, message);
        }
        if !judged.iter().any(|seen| seen.is_flux_component()) {
            return Finding::new(self.name(), Verdict::Inconclusive, "nothing of Flux was there in the end");
        }
        let observed = judged
            .iter()
            .filter_map(|seen| {
                let mut traces = if managed { of_bootstrap(run, seen) } else { of_operator(seen) };
                traces.extend(stored(seen));
                let what = format!("in the end still {}", traces.join(", "));
                (!traces.is_empty()).then(|| Observed::new(&seen.object, span.to, what))
            })
            .collect();
        let of = fmt::count(judged.len() as u64, "object");
        let whose = if managed { "bootstrap" } else { "the operator" };
        finding(
            self,
            run,
            observed,
            |n| format!("{n} of {of} with traces of {whose} or versions no longer served"),
            format!("none of {of} has a trace of {whose}"),
        )
    }
}

fn is_judged(run: &RunState, seen: &ObjectSeen) -> bool {
    let Parts { namespace, name, kind } = Parts::of(&seen.object);
    let namespace = namespace.or((kind == "namespace").then_some(name));
    if kind == "replicaset" && !seen.owners.is_empty() {
        // A Deployment's past: a copy of what it was annotated with then, which nobody reads.
        return false;
    }
    let in_flux = namespace == Some(run.flux_namespace());
    in_flux
        || seen.is_flux()
        || seen.is_flux_component()
        || run.is_flux_definition(&seen.object)
        || run.is_fleet(&seen.object)
}

fn defines_operator(seen: &ObjectSeen) -> bool {
    let (Parts { kind, name, .. }, group) = (Parts::of(&seen.object), format!(".{OPERATOR_GROUP}"));
    kind == "customresourcedefinition" && name.ends_with(&group)
}

/// What bootstrap leaves on Flux' components until the operator adopts them: the labels by which its Kustomization, which
/// is named as the namespace, would prune them once they are removed from git, and the fields applied for it.
fn of_bootstrap(run: &RunState, seen: &ObjectSeen) -> Vec<String> {
    if !seen.is_flux_component() {
        return Vec::new();
    }
    let label = |key: &str| seen.label(&format!("kustomize.toolkit.fluxcd.io/{key}"));
    let (name, namespace) = (label("name"), label("namespace"));
    let labelled = name == Some(run.flux_namespace()) && namespace.is_none_or(|n| n == run.flux_namespace());
    let mut traces = Vec::new();
    if labelled {
        let namespace = run.flux_namespace();
        traces.push(format!("labelled as applied by kustomization/{namespace}/{namespace}"));
    }
    traces.extend(written_by(seen, KUSTOMIZE));
    traces
}

/// What the operator puts on what it manages, and is installed as.
fn of_operator(seen: &ObjectSeen) -> Vec<String> {
    let own = |key: &str| key.split('/').next().is_some_and(|domain| domain.ends_with(OPERATOR_GROUP));
    let mut traces = Vec::new();
    if defines_operator(seen) || seen.group() == OPERATOR_GROUP {
        traces.push("there".into());
    }
    traces.extend(seen.labels.keys().filter(|key| own(key)).map(|key| format!("labelled {key}")));
    if seen.label("app.kubernetes.io/managed-by") == Some(OPERATOR) {
        traces.push(format!("labelled as managed by {OPERATOR}"));
    }
    traces.extend(seen.annotations.keys().filter(|key| own(key)).map(|key| format!("annotated {key}")));
    if seen.is_flux_component() {
        // Set by the operator on all it applies. While they are there, a new bootstrap applies and prunes nothing.
        let ignored =
            [("kustomize.toolkit.fluxcd.io/ssa", "Ignore"), ("kustomize.toolkit.fluxcd.io/prune", "Disabled")];
        let set = |(key, value): &&(&str, &str)| seen.annotation(key).is_some_and(|v| v.eq_ignore_ascii_case(value));
        traces.extend(ignored.iter().filter(set).map(|(key, value)| format!("annotated {key}: {value}")));
    }
    traces.extend(seen.finalizers.iter().filter(|name| own(name)).map(|name| format!("held by {name}")));
    traces.extend(written_by(seen, OPERATOR));
    traces
}

fn written_by(seen: &ObjectSeen, manager: &str) -> Option<String> {
    let applied =
        |m: &&crate::cluster::Manager| m.name == manager && m.operation == "Apply" && m.subresource.is_empty();
    seen.managers.iter().find(applied).map(|_| format!("with fields of {manager}"))
}

/// Versions in which objects may be stored and that nobody can read any more once the definition drops them.
fn stored(seen: &ObjectSeen) -> Option<String> {
    let Parts { kind, name, .. } = Parts::of(&seen.object);
    let of_flux =
        kind == "customresourcedefinition" && name.split_once('.').is_some_and(|(_, group)| is_flux_group(group));
    let (stored, served) = (seen.fact(facts::STORED_VERSIONS)?, seen.fact(facts::SERVED_VERSIONS)?);
    let lost: Vec<_> = stored.split(',').filter(|version| !served.split(',').any(|s| s == *version)).collect();
    (of_flux && !lost.is_empty()).then(|| format!("stored as {}, while only {served} is served", lost.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const CONTROLLER: &str = "deployment/flux-system/source-controller";
    const CRD: &str = "customresourcedefinition/gitrepositories.source.toolkit.fluxcd.io";
    const INSTANCE: &str = "fluxinstance/flux-system/flux";

    /// Everything of the operator removed again.
    fn rolled_back() -> Record {
        let mut record =
            Record::migrated().gone(14 * SECOND, INSTANCE).gone(14 * SECOND, "fluxreport/flux-system/flux");
        for object in [
            "deployment/flux-system/flux-operator",
            "customresourcedefinition/fluxinstances.fluxcd.controlplane.io",
            "customresourcedefinition/fluxreports.fluxcd.controlplane.io",
        ] {
            record = record.gone(15 * SECOND, object);
        }
        let components = [
            "namespace/flux-system",
            CONTROLLER,
            CRD,
            "customresourcedefinition/kustomizations.kustomize.toolkit.fluxcd.io",
            "gitrepository/flux-system/flux-system",
            "kustomization/flux-system/flux-system",
        ];
        components.into_iter().fold(record, |record, object| {
            record.object(16 * SECOND, object, |o| {
                o.labels.retain(|key, _| key == "app.kubernetes.io/part-of");
                o.annotations.clear();
                o.applied_by("flux-system");
            })
        })
    }

    #[rstest]
    #[case::migrated(Record::migrated(), Verdict::Pass, "none of 16 objects has a trace of bootstrap")]
    #[case::not_adopted(
        Record::migrated().object(5 * SECOND, "deployment/flux-system/helm-controller", |o| {
            o.applied_by("flux-system");
            o.label_as("app.kubernetes.io/part-of", "flux");
        }),
        Verdict::Fail, "1 of 17 objects with traces of bootstrap or versions no longer served")]
    #[case::fields_left(Record::migrated().object(14 * SECOND, CONTROLLER, |o| o.managed(KUSTOMIZE, "Apply")), Verdict::Fail,
        "1 of 16 objects with traces of bootstrap or versions no longer served")]
    #[case::stored(Record::migrated().object(14 * SECOND, CRD, |o| o.set(facts::SERVED_VERSIONS, "v1beta2")), Verdict::Fail,
        "1 of 16 objects with traces of bootstrap or versions no longer served")]
    #[case::rolled_back(rolled_back(), Verdict::Pass, "none of 11 objects has a trace of the operator")]
    #[case::half_rolled_back(rolled_back().object(17 * SECOND, CONTROLLER, |o| {
            o.annotations.insert("kustomize.toolkit.fluxcd.io/ssa".into(), "Ignore".into());
        }),
        Verdict::Fail, "1 of 11 objects with traces of the operator or versions no longer served")]
    #[case::a_deployments_past(rolled_back().object(17 * SECOND, "replicaset/flux-system/source-controller-1", |o| {
            o.owned_by(CONTROLLER);
            o.annotations.insert("kustomize.toolkit.fluxcd.io/ssa".into(), "Ignore".into());
        }),
        Verdict::Pass, "none of 11 objects has a trace of the operator")]
    #[case::only_the_instance_removed(Record::migrated().gone(14 * SECOND, INSTANCE), Verdict::Fail,
        "9 of 15 objects with traces of the operator or versions no longer served")]
    #[case::no_operator(
        Record::bootstrapped(),
        Verdict::Inconclusive,
        "neither a FluxInstance nor the operator was ever there: nothing was carried over"
    )]
    #[case::no_flux(Record::good().watched().object(12 * SECOND, INSTANCE, |_| {}), Verdict::Inconclusive, "nothing of Flux was there in the end")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = NoResidue.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message), "{:#?}", finding.details);
    }

    #[test]
    fn traces_are_named_by_object() {
        let line = |record: Record, object: &str| {
            let details = NoResidue.judge(&record.fold()).details;
            details.into_iter().find(|line| line.starts_with(object)).unwrap()
        };
        let not_adopted = Record::bootstrapped()
            .object(10 * SECOND, INSTANCE, |_| {})
            .object(11 * SECOND, CRD, |o| o.set(facts::STORED_VERSIONS, "v1,v1alpha1"));
        insta::assert_snapshot!(line(not_adopted, CRD), @"customresourcedefinition/gitrepositories.source.toolkit.fluxcd.io: in the end still labelled as applied by kustomization/flux-system/flux-system, with fields of kustomize-controller, stored as v1alpha1, while only v1,v1beta2 is served at 12:00:20.500 (+0:20.500); between phases");
        insta::assert_snapshot!(line(Record::migrated().gone(14 * SECOND, INSTANCE), CONTROLLER), @"deployment/flux-system/source-controller: in the end still labelled fluxcd.controlplane.io/name, labelled fluxcd.controlplane.io/namespace, labelled as managed by flux-operator, annotated kustomize.toolkit.fluxcd.io/ssa: Ignore, annotated kustomize.toolkit.fluxcd.io/prune: Disabled, with fields of flux-operator at 12:00:20.500 (+0:20.500); between phases");
    }
}

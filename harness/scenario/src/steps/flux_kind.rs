//! Kinds of Flux and its operator, as far as steps must tell them apart.

use crate::lint::{Findings, Rule};
use crate::names;
use crate::span::Spanned;
use crate::text::ObjectRef;

/// A kind that Flux or its operator reconciles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FluxKind {
    /// As in references: `kustomization`.
    pub name: &'static str,
    /// Its plural.
    pub plural: &'static str,
    /// Its API group.
    pub group: &'static str,
    /// Whether a controller answers a request to reconcile it. Alerts and their like are only read.
    pub answers: bool,
}

const fn kind(name: &'static str, plural: &'static str, group: &'static str, answers: bool) -> FluxKind {
    FluxKind { name, plural, group, answers }
}

const SOURCE: &str = "source.toolkit.fluxcd.io";
const IMAGE: &str = "image.toolkit.fluxcd.io";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io";
const OPERATOR: &str = "fluxcd.controlplane.io";

const KINDS: [FluxKind; 18] = [
    kind("kustomization", "kustomizations", "kustomize.toolkit.fluxcd.io", true),
    kind("helmrelease", "helmreleases", "helm.toolkit.fluxcd.io", true),
    kind("gitrepository", "gitrepositories", SOURCE, true),
    kind("ocirepository", "ocirepositories", SOURCE, true),
    kind("helmrepository", "helmrepositories", SOURCE, true),
    kind("helmchart", "helmcharts", SOURCE, true),
    kind("bucket", "buckets", SOURCE, true),
    kind("imagerepository", "imagerepositories", IMAGE, true),
    kind("imagepolicy", "imagepolicies", IMAGE, true),
    kind("imageupdateautomation", "imageupdateautomations", IMAGE, true),
    kind("receiver", "receivers", NOTIFICATION, true),
    kind("alert", "alerts", NOTIFICATION, false),
    kind("provider", "providers", NOTIFICATION, false),
    kind("artifactgenerator", "artifactgenerators", "source.extensions.fluxcd.io", true),
    kind("fluxinstance", "fluxinstances", OPERATOR, true),
    kind("fluxreport", "fluxreports", OPERATOR, true),
    kind("resourceset", "resourcesets", OPERATOR, true),
    kind("resourcesetinputprovider", "resourcesetinputproviders", OPERATOR, true),
];

/// Steps that speak to Flux' controllers name objects that have one.
pub(super) const FLUX_OBJECT: Rule = Rule {
    code: "F240",
    name: "flux-object",
    explain: "Flux reconciles, suspends and resumes its own objects alone: nobody would answer for another.",
    failing: "- suspend: deployment/apps/web",
    passing: "- suspend: kustomization/flux-system/apps\n- sleep: {for: 1m, reason: soak}",
    ..Rule::ERROR
};

/// The kind that a reference names, with or without its group, singular or plural.
pub(super) fn of(object: &ObjectRef) -> Option<FluxKind> {
    let (name, group) = match object.kind.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (object.kind.as_str(), None),
    };
    let is_it = |kind: &&FluxKind| (kind.name == name || kind.plural == name) && group.is_none_or(|g| g == kind.group);
    KINDS.iter().find(is_it).copied()
}

/// Reports an object that is not Flux'; gives the kind of one that is.
pub(super) fn check(object: &Spanned<ObjectRef>, findings: &mut Findings<'_>) -> Option<FluxKind> {
    let found = of(object);
    if found.is_none() {
        let known = KINDS.map(|kind| kind.name);
        let help = match names::nearest(&object.kind, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("Flux' kinds are {}", names::list(&known)),
        };
        findings.report(&FLUX_OBJECT, object.span, format!("`{}` is not a kind of Flux", object.kind), help);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("kustomization/a/b", Some("kustomization"))]
    #[case("kustomizations.kustomize.toolkit.fluxcd.io/a/b", Some("kustomization"))]
    #[case("kustomization.kustomize.config.k8s.io/a/b", None)]
    #[case("gitrepositories/a/b", Some("gitrepository"))]
    #[case("deployment/a/b", None)]
    fn knows_its_own(#[case] object: ObjectRef, #[case] kind: Option<&str>) {
        assert_eq!(of(&object).map(|found| found.name), kind);
    }
}

//! `reconcile`: Flux asked to look now, and its answer awaited.

use schemars::JsonSchema;
use serde::Deserialize;

use super::flux_kind::{self, FLUX_OBJECT};
use super::short::Short;
use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{HumanDuration, ObjectRef};

/// Asks Flux or its operator to reconcile an object now, as `flux reconcile` does, and waits until it has and the object is
/// ready.
///
/// The object alone, or a map with more. A suspended object is an error: nobody would answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(from = "Spanned<Short<ReconcileFields>>")]
#[schemars(with = "Short<ReconcileFields>")]
pub struct Reconcile {
    /// The object.
    pub object: Spanned<ObjectRef>,
    /// Its source first.
    pub with_source: bool,
    /// An install or upgrade of a HelmRelease even if nothing has changed.
    pub force: bool,
    /// How long it may take.
    pub within: Option<Spanned<HumanDuration>>,
}

/// [`Reconcile`] as a map.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "ReconcileFields", rename_all = "kebab-case")]
struct ReconcileFields {
    /// The object.
    object: Spanned<ObjectRef>,
    /// Whether its source is reconciled first, so that it sees the latest revision. Default: false.
    #[serde(default)]
    with_source: bool,
    /// Whether a HelmRelease is installed or upgraded once even if nothing has changed. Default: false.
    #[serde(default)]
    force: bool,
    /// How long it may take. Default: 2m.
    within: Option<Spanned<HumanDuration>>,
}

impl From<Spanned<Short<ReconcileFields>>> for Reconcile {
    fn from(written: Spanned<Short<ReconcileFields>>) -> Reconcile {
        match written.value {
            Short::Object(value) => {
                let object = Spanned { value, span: written.span };
                Reconcile { object, with_source: false, force: false, within: None }
            }
            Short::Map(ReconcileFields { object, with_source, force, within }) => {
                Reconcile { object, with_source, force, within }
            }
        }
    }
}

impl StepKind for Reconcile {
    const KIND: &'static str = "reconcile";
    const EXAMPLE: &'static str = "reconcile: {object: kustomization/flux-system/apps, with-source: true}";
    const RULES: &'static [Rule] = &[FLUX_OBJECT, NO_ANSWER, NO_SOURCE, FORCE];
}

const NO_ANSWER: Rule = Rule {
    code: "F241",
    name: "no-answer",
    explain: "Alerts and providers are only read by their controller; a request to reconcile one is never answered.",
    failing: "- reconcile: alert/flux-system/all",
    passing: "- reconcile: receiver/flux-system/git",
    ..Rule::ERROR
};

const NO_SOURCE: Rule = Rule {
    code: "F242",
    name: "no-source",
    explain: "Only what is made from a source can be reconciled together with it.",
    failing: "- reconcile: {object: gitrepository/flux-system/flux-system, with-source: true}",
    passing: "- reconcile: {object: kustomization/flux-system/flux-system, with-source: true}",
    ..Rule::ERROR
};

const FORCE: Rule = Rule {
    code: "F243",
    name: "forced-release",
    explain: "`force` makes helm-controller install or upgrade once more; no other controller knows the request.",
    failing: "- reconcile: {object: kustomization/flux-system/apps, force: true}",
    passing: "- reconcile: {object: helmrelease/apps/web, force: true}",
    ..Rule::ERROR
};

impl Action for Reconcile {
    fn title(&self, _scenario: &Scenario) -> String {
        let (force, source) =
            (if self.force { ", forced" } else { "" }, if self.with_source { ", its source first" } else { "" });
        format!("reconcile {}{source}{force}", self.object)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Reconcile, self.within.as_deref().copied(), scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        let Some(kind) = flux_kind::check(&self.object, findings) else { return };
        let span = self.object.span;
        if !kind.answers {
            let message = format!("nobody answers a request to reconcile an object of kind `{}`", kind.name);
            findings.report(
                &NO_ANSWER,
                span,
                message,
                "remove the step: its controller reads it whenever it is needed",
            );
        }
        let made_from_sources = ["kustomization", "helmrelease", "helmchart", "imageupdateautomation"];
        if self.with_source && !made_from_sources.contains(&kind.name) {
            let message = format!("an object of kind `{}` has no source", kind.name);
            findings.report(&NO_SOURCE, span, message, "remove `with-source`");
        }
        if self.force && kind.name != "helmrelease" {
            let message = format!("`force` means nothing to an object of kind `{}`", kind.name);
            findings.report(&FORCE, span, message, "remove `force`; only a HelmRelease knows it");
        }
    }
}

//! `install-operator`: Flux Operator itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::{Component, Scenario};
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::{HumanDuration, Version};

/// Installs Flux Operator into flux-system; it ends when the API server serves FluxInstance, as `helm install` does.
///
/// Whether the operator works is for a later `wait` to say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InstallOperator {
    /// Release of Flux Operator. Default: the scenario's `operator.version`.
    pub version: Option<Spanned<Version>>,
    /// How it is installed. Default: manifests.
    #[serde(default)]
    pub via: Via,
    /// How long it may take. Default: 2m.
    pub within: Option<Spanned<HumanDuration>>,
}

/// How the operator is installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "InstallVia", rename_all = "kebab-case")]
pub enum Via {
    /// The release's install manifests, applied.
    #[default]
    Manifests,
    /// Its chart, by `helm install`.
    Helm,
    /// Its chart by Flux itself: pushed to the lab's registry, then an OCIRepository and a HelmRelease in flux-system, all called
    /// `flux-operator`. It ends when the HelmRelease is ready.
    Flux,
}

impl InstallOperator {
    /// The release to install; none if neither the step nor the scenario says, which lint rejects.
    pub fn version<'s>(&'s self, scenario: &'s Scenario) -> Option<&'s Version> {
        self.version.as_ref().or(scenario.operator.as_ref().map(|o| &o.version)).map(|v| &v.value)
    }
}

impl StepKind for InstallOperator {
    const KIND: &'static str = "install-operator";
    const EXAMPLE: &'static str = "install-operator: {version: 0.59.0}";
    const RULES: &'static [Rule] = &[OPERATOR_VERSION, OPERATOR_BY_FLUX];
}

const OPERATOR_VERSION: Rule = Rule {
    code: "F201",
    name: "operator-version",
    explain: "A run must be repeatable: which Flux Operator is installed is said by the step, or for the whole scenario.",
    failing: "- install-operator: {}",
    passing: "operator: {version: 0.59.0}\n- install-operator: {}\n- wait: {ready: deployment/flux-system/flux-operator}",
    ..Rule::ERROR
};

const OPERATOR_BY_FLUX: Rule = Rule {
    code: "F261",
    name: "operator-by-flux",
    explain: "Flux installs the operator's chart by two of its controllers: one that fetches it, and one that knows Helm.",
    failing: "flux: {version: 2.9.2, components: [source-controller, kustomize-controller]}\n- install-operator: {version: 0.59.0, via: flux}",
    passing: "- install-operator: {version: 0.59.0, via: flux}\n- sleep: {for: 10s, reason: soak}",
    ..Rule::ERROR
};

impl Action for InstallOperator {
    fn title(&self, scenario: &Scenario) -> String {
        let version = self.version(scenario).map(|version| format!(" {version}")).unwrap_or_default();
        let via = match self.via {
            Via::Manifests => "",
            Via::Helm => " by helm",
            Via::Flux => " by Flux",
        };
        format!("install Flux Operator{version}{via}")
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::InstallOperator, self.within.as_deref().copied(), scenario)
    }

    fn needs(&self, scenario: &Scenario, needs: &mut Needs) {
        if let Some(version) = self.version(scenario) {
            needs.operator(version);
        }
        if self.via != Via::Manifests {
            needs.tool("helm");
        }
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.version(findings.scenario()).is_none() {
            findings.report(
                &OPERATOR_VERSION,
                findings.here(),
                "which Flux Operator to install is not said",
                "write `install-operator: {version: 0.59.0}`, or `operator: {version: 0.59.0}` for the whole scenario",
            );
        }
        let components = &findings.scenario().flux.components;
        let missing: Vec<&str> = [Component::SourceController, Component::HelmController]
            .into_iter()
            .filter(|needed| components.iter().all(|component| component.value != *needed))
            .map(Component::as_str)
            .collect();
        if self.via == Via::Flux && !missing.is_empty() {
            findings.report(
                &OPERATOR_BY_FLUX,
                findings.here(),
                format!("Flux has no {} to install a chart by", missing.join(" and no ")),
                "add it to `flux.components`, or install by `via: helm`",
            );
        }
    }
}

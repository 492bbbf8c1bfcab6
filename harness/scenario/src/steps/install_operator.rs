//! `install-operator`: Flux Operator itself.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::{HumanDuration, Version};

/// Installs Flux Operator into flux-system, as `helm install` does: it returns when the API server serves FluxInstance.
///
/// Whether the operator works is for a later `wait` to say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InstallOperator {
    /// Release of Flux Operator. Default: the scenario's `operator.version`.
    pub version: Option<Spanned<Version>>,
    /// How long it may take. Default: 3m.
    pub within: Option<Spanned<HumanDuration>>,
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
    const RULES: &'static [Rule] = &[OPERATOR_VERSION];
}

const OPERATOR_VERSION: Rule = Rule {
    code: "F201",
    name: "operator-version",
    explain: "A run must be repeatable: which Flux Operator is installed is said by the step, or for the whole scenario.",
    failing: "- install-operator: {}",
    passing: "operator: {version: 0.59.0}\n- install-operator: {}\n- wait: {ready: deployment/flux-system/flux-operator}",
    ..Rule::ERROR
};

impl Action for InstallOperator {
    fn title(&self, scenario: &Scenario) -> String {
        match self.version(scenario) {
            Some(version) => format!("install Flux Operator {version}"),
            None => "install Flux Operator".into(),
        }
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::InstallOperator, self.within.as_deref().copied(), scenario)
    }

    fn needs(&self, scenario: &Scenario, needs: &mut Needs) {
        if let Some(version) = self.version(scenario) {
            needs.operator(version);
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
    }
}

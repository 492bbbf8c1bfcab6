//! `apply`: manifests from beside the scenario.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::text::{HumanDuration, RelPath};

/// Applies manifests to the cluster, server-side, as `kubectl apply --server-side` does: those of a `file`, or one `manifest`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "ApplyFile")]
#[schemars(with = "ApplyFile")]
pub struct Apply {
    /// What is applied.
    pub manifests: Manifests,
    /// How long it may take.
    pub within: Option<Spanned<HumanDuration>>,
}

/// Where manifests come from.
#[derive(Debug, Clone)]
pub enum Manifests {
    /// A file beside the scenario or, if there is none, in the fleet. It may hold several documents.
    File(Spanned<RelPath>),
    /// Written in the step.
    Inline(Spanned<Map<String, Value>>),
}

/// [`Apply`] as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Apply", extend("oneOf" = [{"required": ["file"]}, {"required": ["manifest"]}]))]
struct ApplyFile {
    /// A YAML file beside the scenario or, if there is none, in the fleet; it may hold several documents.
    file: Option<Spanned<RelPath>>,
    /// One object, written here.
    manifest: Option<Spanned<Map<String, Value>>>,
    /// How long it may take. Default: 1m.
    within: Option<Spanned<HumanDuration>>,
}

impl TryFrom<ApplyFile> for Apply {
    type Error = String;

    fn try_from(apply: ApplyFile) -> Result<Apply, String> {
        let hint = "\nhint: write `file: instance.yaml`, or the object itself under `manifest:`";
        let manifests = match (apply.file, apply.manifest) {
            (Some(file), None) => Manifests::File(file),
            (None, Some(manifest)) => Manifests::Inline(manifest),
            (None, None) => return Err(format!("`apply` needs `file` or `manifest`{hint}")),
            (Some(_), Some(_)) => return Err(format!("`apply` takes `file` or `manifest`, not both{hint}")),
        };
        Ok(Apply { manifests, within: apply.within })
    }
}

impl StepKind for Apply {
    const KIND: &'static str = "apply";
    const EXAMPLE: &'static str = "apply: {file: instance.yaml}";
    const RULES: &'static [Rule] = &[MANIFEST];
}

const MANIFEST: Rule = Rule {
    code: "F202",
    name: "manifest",
    explain: "An object without `apiVersion`, `kind` and `metadata.name` would be rejected in the middle of the run.",
    failing: "- apply: {manifest: {kind: Namespace, metadata: {name: x}}}",
    passing: "- apply: {manifest: {apiVersion: v1, kind: Namespace, metadata: {name: x}}}\n- sleep: {for: 1s, reason: soak}",
    ..Rule::ERROR
};

impl Action for Apply {
    fn title(&self, _scenario: &Scenario) -> String {
        match &self.manifests {
            Manifests::File(file) => format!("apply {file}"),
            Manifests::Inline(manifest) => {
                let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("?").to_owned();
                let name = text(manifest.get("metadata").and_then(|m| m.get("name")));
                format!("apply {} {name}", text(manifest.get("kind")))
            }
        }
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Apply, self.within.as_deref().copied(), scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        let Manifests::Inline(manifest) = &self.manifests else { return };
        let text = |value: Option<&Value>| value.is_some_and(Value::is_string);
        let missing: Vec<&str> = [
            ("apiVersion", text(manifest.get("apiVersion"))),
            ("kind", text(manifest.get("kind"))),
            ("metadata.name", text(manifest.get("metadata").and_then(|m| m.get("name")))),
        ]
        .into_iter()
        .filter_map(|(key, there)| (!there).then_some(key))
        .collect();
        if !missing.is_empty() {
            findings.report(
                &MANIFEST,
                manifest.span,
                format!("the manifest has no `{}`", missing.join("`, no `")),
                "an object needs `apiVersion`, `kind` and `metadata.name`, each a text",
            );
        }
    }
}

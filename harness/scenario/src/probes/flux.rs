//! `flux`: what Flux serves to itself.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Connection, From, INSIDE, NEW, ProbeKind, Question, common_fields, default_timeout, unwritten};
use crate::lint::{Findings, Rule};
use crate::names;
use crate::span::Spanned;
use crate::text::{HumanDuration, Name, ObjectRef, Rate};

/// The download of a source's current artifact from source-controller, as kustomize-controller does it: the whole of it, with
/// the right digest, within the timeout.
///
/// source-controller has one pod, and a take-over replaces it: a phase that may do so needs a budget for this probe.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "FluxProbe", rename_all = "kebab-case")]
pub struct Flux {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// The Flux source whose artifact is downloaded.
    pub source: Spanned<ObjectRef>,
    /// Downloads for each unit of time. Default: `2/s`.
    #[serde(default = "default_rate")]
    pub rate: Spanned<Rate>,
    /// After this a sample has failed. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Spanned<HumanDuration>,
}

/// Kinds that have artifacts.
const SOURCES: [&str; 6] =
    ["gitrepository", "ocirepository", "bucket", "helmrepository", "helmchart", "externalartifact"];

const NO_SOURCE: Rule = Rule {
    code: "F137",
    name: "no-artifact",
    explain: "Only sources have artifacts to download.",
    failing: "probes:\n  - http: {name: web, node-port: 30080}\n  - flux: {name: artifact, source: kustomization/flux-system/apps}",
    passing: "probes:\n  - http: {name: web, node-port: 30080}\n  - flux: {name: artifact, source: gitrepository/flux-system/flux-system}",
    ..Rule::ERROR
};

impl ProbeKind for Flux {
    const KIND: &'static str = "flux";
    const EXAMPLE: &'static str = "flux: {name: artifact, source: gitrepository/flux-system/flux-system}";
    const RULES: &'static [Rule] = &[NO_SOURCE];
}

impl Question for Flux {
    common_fields!();

    fn from(&self) -> &[Spanned<From>] {
        INSIDE
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        NEW
    }

    fn target(&self, _from: From) -> String {
        format!("download the artifact of {}", self.source)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        let kind = self.source.kind.split('.').next().unwrap_or_default();
        let is_source = SOURCES.iter().any(|source| kind.trim_end_matches('s') == *source)
            || ["gitrepositories", "ocirepositories", "helmrepositories"].contains(&kind);
        if !is_source {
            let near = names::nearest(kind, SOURCES).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            findings.report(
                &NO_SOURCE,
                self.source.span,
                format!("an object of kind `{}` has no artifact", self.source.kind),
                format!("{near}sources are {}", names::list(&SOURCES)),
            );
        }
    }
}

fn default_rate() -> Spanned<Rate> {
    unwritten(Rate::per_second(2))
}

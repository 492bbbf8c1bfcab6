//! `push-artifact`: the fleet's files, as an artifact in the registry.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::{HumanDuration, Name, ObjectRef, RelPath, Version};

/// Pushes files of the fleet to the lab's registry, as `flux push artifact` does: those of a branch's last commit, whose revision
/// the artifact carries.
///
/// Flux finds it at `oci://registry.ferry:5000/TO`, over plain HTTP (`insecure: true`), by the credentials in `pull-secret`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PushArtifact {
    /// Folder of the fleet that becomes the artifact's root. Default: the whole fleet.
    pub path: Option<Spanned<RelPath>>,
    /// Repository in the registry, such as `fleet` or `team/fleet`.
    pub to: Spanned<RelPath>,
    /// Tag. Default: latest.
    #[serde(default = "latest")]
    pub tag: Spanned<String>,
    /// Further tags of the same artifact.
    #[serde(default)]
    pub also: Vec<Spanned<String>>,
    /// Branch of the fleet whose last commit is pushed. Default: main.
    pub branch: Option<Spanned<Name>>,
    /// A Secret to make (or to bring up to date), by which Flux may pull: `secret/flux-system/fleet`.
    pub pull_secret: Option<Spanned<ObjectRef>>,
    /// Release of the flux command. Default: the scenario's `flux.version`.
    pub version: Option<Spanned<Version>>,
    /// How long it may take. Default: 1m.
    pub within: Option<Spanned<HumanDuration>>,
}

fn latest() -> Spanned<String> {
    Spanned { value: "latest".into(), span: Default::default() }
}

impl PushArtifact {
    /// The release of the flux command.
    pub fn version<'s>(&'s self, scenario: &'s Scenario) -> &'s Version {
        self.version.as_ref().unwrap_or(&scenario.flux.version)
    }

    /// The branch whose last commit is pushed.
    pub fn branch(&self) -> &str {
        self.branch.as_ref().map_or(super::commit::MAIN, |branch| branch.as_str())
    }
}

impl StepKind for PushArtifact {
    const KIND: &'static str = "push-artifact";
    const EXAMPLE: &'static str =
        "push-artifact: {path: apps/web, to: fleet-apps, pull-secret: secret/flux-system/fleet-apps}";
    const RULES: &'static [Rule] = &[PULL_SECRET, REGISTRY_NAME];
}

const PULL_SECRET: Rule = Rule {
    code: "F254",
    name: "artifact-secret",
    explain: "Flux reads the registry's credentials from a Secret in the namespace of its source.",
    failing: "- push-artifact: {to: fleet, pull-secret: serviceaccount/flux-system/fleet}",
    passing: "- push-artifact: {to: fleet, pull-secret: secret/flux-system/fleet}",
    ..Rule::ERROR
};

const REGISTRY_NAME: Rule = Rule {
    code: "F256",
    name: "registry-name",
    explain: "Registries accept repositories in lower case alone, and tags of at most 128 letters, digits, dots, hyphens and \
              underscores.",
    failing: "- push-artifact: {to: Fleet, tag: \"v1+build\"}",
    passing: "- push-artifact: {to: team/fleet, tag: v1.0.0}",
    ..Rule::ERROR
};

impl Action for PushArtifact {
    fn title(&self, _scenario: &Scenario) -> String {
        let what = self.path.as_ref().map_or("the fleet", |path| path.as_str());
        let branch = self.branch.as_ref().map(|branch| format!(" of branch {branch}")).unwrap_or_default();
        format!("push {what}{branch} as artifact {}:{}", self.to, self.tag)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::PushArtifact, self.within.as_deref().copied(), scenario)
    }

    fn needs(&self, scenario: &Scenario, needs: &mut Needs) {
        needs.flux_cli(self.version(scenario));
        needs.tool("git");
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if let Some(secret) = &self.pull_secret
            && (secret.namespace.is_none() || !matches!(secret.kind.as_str(), "secret" | "secrets"))
        {
            let message = format!("`{secret}` is not a Secret in a namespace");
            findings.report(
                &PULL_SECRET,
                secret.span,
                message,
                "write `secret/NAMESPACE/NAME`, such as `secret/flux-system/fleet`",
            );
        }
        if !is_repository(self.to.as_str()) {
            let message = format!("no repository in a registry can be called `{}`", self.to);
            findings.report(&REGISTRY_NAME, self.to.span, message, "use lower-case letters, digits and inner hyphens");
        }
        for tag in std::iter::once(&self.tag).chain(&self.also).filter(|tag| !is_tag(tag)) {
            let help = "use at most 128 letters, digits, dots, hyphens and underscores, such as `latest` or `v1.0.0`";
            findings.report(&REGISTRY_NAME, tag.span, format!("no tag can be called `{tag}`"), help);
        }
    }
}

/// The distribution specification's rule, as far as fleets need it.
fn is_repository(name: &str) -> bool {
    name.split('/').all(|part| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(inner) && part.ends_with(inner) && part.chars().all(|c| inner(c) || "-._".contains(c))
    })
}

fn is_tag(tag: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(first) && tag.chars().all(|c| first(c) || ".-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("fleet", true)]
    #[case("team/fleet-1.x", true)]
    #[case("Fleet", false)]
    #[case("fleet-", false)]
    #[case("a//b", false)]
    fn knows_repositories(#[case] name: &str, #[case] good: bool) {
        assert_eq!(is_repository(name), good);
    }

    #[rstest]
    #[case("latest", true)]
    #[case("v1.0.0_rc-1", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("v1+build", false)]
    fn knows_tags(#[case] tag: &str, #[case] good: bool) {
        assert_eq!(is_tag(tag), good);
    }
}

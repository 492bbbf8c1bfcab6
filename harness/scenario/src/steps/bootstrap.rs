//! `bootstrap`: what a cluster's owner did long ago.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::model::{Component, Scenario};
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::{HumanDuration, RelPath, Version};

/// Runs `flux bootstrap git` against the fleet's repository, as the cluster's owner once did.
///
/// Bootstrapping again puts Flux back under its own management; that is how a rollback ends.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bootstrap {
    /// Folder of the fleet that Flux syncs from; `flux-system` appears in it.
    pub path: Spanned<RelPath>,
    /// How Flux reads the repository. Default: ssh.
    #[serde(default)]
    pub transport: Transport,
    /// Release of Flux. Default: the scenario's `flux.version`.
    pub version: Option<Spanned<Version>>,
    /// Controllers to install. Default: the scenario's `flux.components`.
    pub components: Option<Vec<Spanned<Component>>>,
    /// How long it may take. Default: 3m.
    pub within: Option<Spanned<HumanDuration>>,
}

/// How Flux reads the repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// With a deploy key, as most users do.
    #[default]
    Ssh,
    /// With a user name and password.
    Http,
}

impl Bootstrap {
    /// The release to install.
    pub fn version<'s>(&'s self, scenario: &'s Scenario) -> &'s Version {
        self.version.as_ref().unwrap_or(&scenario.flux.version)
    }

    /// The controllers to install.
    pub fn components<'s>(&'s self, scenario: &'s Scenario) -> &'s [Spanned<Component>] {
        self.components.as_deref().unwrap_or(&scenario.flux.components)
    }
}

impl StepKind for Bootstrap {
    const KIND: &'static str = "bootstrap";
    const EXAMPLE: &'static str = "bootstrap: {path: clusters/test}";
}

impl Action for Bootstrap {
    fn title(&self, scenario: &Scenario) -> String {
        let transport = match self.transport {
            Transport::Ssh => "ssh",
            Transport::Http => "http",
        };
        format!("bootstrap Flux {} from {} over {transport}", self.version(scenario), self.path)
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Bootstrap, self.within.as_deref().copied(), scenario)
    }

    fn needs(&self, scenario: &Scenario, needs: &mut Needs) {
        needs.flux(self.version(scenario), self.components(scenario));
        needs.tool("git");
    }
}

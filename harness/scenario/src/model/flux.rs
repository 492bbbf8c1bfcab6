//! Which Flux, and which operator.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::Spanned;
use crate::text::Version;

/// The Flux that a cluster is bootstrapped with.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Flux {
    /// Release of Flux.
    pub version: Spanned<Version>,
    /// Controllers to install. Default: source, kustomize, helm and notification, as `flux bootstrap` does.
    #[serde(default = "Component::defaults")]
    pub components: Vec<Spanned<Component>>,
}

/// The Flux Operator that takes over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Operator {
    /// Release of Flux Operator.
    pub version: Spanned<Version>,
}

/// A controller of Flux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// Fetches artifacts.
    SourceController,
    /// Applies Kustomizations.
    KustomizeController,
    /// Reconciles HelmReleases.
    HelmController,
    /// Sends alerts, receives webhooks.
    NotificationController,
    /// Scans image repositories.
    ImageReflectorController,
    /// Commits image updates.
    ImageAutomationController,
    /// Watches external artifacts; from Flux 2.7.
    SourceWatcher,
}

impl Component {
    /// What `flux bootstrap` installs unless told otherwise.
    pub const DEFAULTS: [Component; 4] = [
        Component::SourceController,
        Component::KustomizeController,
        Component::HelmController,
        Component::NotificationController,
    ];

    /// As on flux's command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Component::SourceController => "source-controller",
            Component::KustomizeController => "kustomize-controller",
            Component::HelmController => "helm-controller",
            Component::NotificationController => "notification-controller",
            Component::ImageReflectorController => "image-reflector-controller",
            Component::ImageAutomationController => "image-automation-controller",
            Component::SourceWatcher => "source-watcher",
        }
    }

    fn defaults() -> Vec<Spanned<Component>> {
        Self::DEFAULTS.map(|value| Spanned { value, span: Default::default() }).into()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

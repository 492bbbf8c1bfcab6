//! `dns`: a name.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Connection, From, INSIDE, NEW, ProbeKind, Question, common_fields, default_rate, default_timeout};
use crate::span::Spanned;
use crate::text::{Address, HumanDuration, Name, Rate};

/// A question to the cluster's name server, asked from inside and never answered from a cache: at least one address within the
/// timeout is good, everything else is not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// The name whose addresses are asked for, in full.
    #[schemars(example = "web.apps.svc.cluster.local")]
    pub query: Spanned<String>,
    /// Who is asked. Default: the name server of the agent's pod, which is that of all pods.
    pub server: Option<Spanned<Address>>,
    /// Samples for each unit of time. Default: `20/s`.
    #[serde(default = "default_rate")]
    pub rate: Spanned<Rate>,
    /// After this a sample has failed. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Spanned<HumanDuration>,
}

impl ProbeKind for Dns {
    const KIND: &'static str = "dns";
    const EXAMPLE: &'static str = "dns: {name: web-name, query: web.apps.svc.cluster.local}";
}

impl Question for Dns {
    common_fields!();

    fn from(&self) -> &[Spanned<From>] {
        INSIDE
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        NEW
    }

    fn target(&self, _from: From) -> String {
        match &self.server {
            Some(server) => format!("resolve {} by {server}", self.query),
            None => format!("resolve {}", self.query),
        }
    }
}

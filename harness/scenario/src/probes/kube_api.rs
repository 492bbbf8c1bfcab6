//! `kube-api`: the cluster's own API.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Connection, From, ProbeKind, Question, common_fields, default_connection, default_from, default_timeout, unwritten,
};
use crate::span::Spanned;
use crate::text::{HumanDuration, Name, Rate};

/// A request to the API server: status 200 within the timeout is good, everything else is not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KubeApi {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// What is asked. Default: readyz.
    #[serde(default)]
    pub ask: Ask,
    /// Where it asks from: outside with the cluster's kubeconfig, inside as controllers do. Default: outside.
    #[serde(default = "default_from")]
    #[schemars(length(min = 1))]
    pub from: Vec<Spanned<From>>,
    /// Samples for each unit of time, from each place, with each kind of connection. Default: `5/s`.
    #[serde(default = "default_rate")]
    pub rate: Spanned<Rate>,
    /// How it connects. Default: new and reused, side by side.
    #[serde(default = "default_connection")]
    #[schemars(length(min = 1))]
    pub connection: Vec<Spanned<Connection>>,
    /// After this a sample has failed. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Spanned<HumanDuration>,
}

/// What the API server is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// `/readyz`: whether it takes requests.
    #[default]
    Readyz,
    /// A list of one namespace: whether it answers from its store.
    List,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ask::Readyz => "readyz",
            Ask::List => "list",
        })
    }
}

impl ProbeKind for KubeApi {
    const KIND: &'static str = "kube-api";
    const EXAMPLE: &'static str = "kube-api: {name: api, ask: list, from: [outside, inside]}";
}

impl Question for KubeApi {
    common_fields!();

    fn from(&self) -> &[Spanned<From>] {
        &self.from
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        &self.connection
    }

    fn target(&self, _from: From) -> String {
        match self.ask {
            Ask::Readyz => "GET /readyz of the API server".into(),
            Ask::List => "list a namespace from the API server".into(),
        }
    }
}

fn default_rate() -> Spanned<Rate> {
    unwritten(Rate::per_second(5))
}

//! `http`: a GET request.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Connection, From};
use crate::span::Spanned;
use crate::text::{HumanDuration, Name, Rate};

/// A GET request; an answer with the expected status within the timeout is good, everything else is not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// The node port of the workload's Service, for `from: [outside]`.
    #[schemars(range(min = 30_000, max = 32_767))]
    pub node_port: Spanned<u16>,
    /// Path and query to ask for. Default: `/`.
    #[serde(default = "default_path")]
    pub path: Spanned<String>,
    /// Where it asks from. Default: outside.
    #[serde(default = "default_from")]
    #[schemars(length(min = 1))]
    pub from: Vec<Spanned<From>>,
    /// Samples for each unit of time, from each place, with each kind of connection. Default: `20/s`.
    #[serde(default = "default_rate")]
    pub rate: Spanned<Rate>,
    /// How it connects. Default: new and reused, side by side.
    #[serde(default = "default_connection")]
    #[schemars(length(min = 1))]
    pub connection: Vec<Spanned<Connection>>,
    /// After this a sample has failed. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Spanned<HumanDuration>,
    /// The status of a good answer. Default: 200.
    #[serde(default = "default_status")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Spanned<u16>,
}

impl Http {
    /// What is asked, in words.
    pub fn target(&self) -> String {
        format!("GET node port {}{}", self.node_port, self.path)
    }
}

fn unwritten<T>(value: T) -> Spanned<T> {
    Spanned { value, span: Default::default() }
}

fn default_path() -> Spanned<String> {
    unwritten("/".into())
}

fn default_from() -> Vec<Spanned<From>> {
    vec![unwritten(From::Outside)]
}

fn default_rate() -> Spanned<Rate> {
    unwritten(Rate::per_second(20))
}

fn default_connection() -> Vec<Spanned<Connection>> {
    vec![unwritten(Connection::New), unwritten(Connection::Reused)]
}

fn default_timeout() -> Spanned<HumanDuration> {
    unwritten(HumanDuration::from_secs(1))
}

fn default_status() -> Spanned<u16> {
    unwritten(200)
}

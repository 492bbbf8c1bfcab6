//! `tcp`: a connection, and nothing more.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Connection, From, NEW, ProbeKind, Question, Route, common_fields, default_from, default_rate, default_timeout,
};
use crate::span::Spanned;
use crate::text::{Address, HumanDuration, Name, Rate};

/// A new TCP connection, closed as soon as it is there: for what speaks neither HTTP nor gRPC, such as databases.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tcp {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// The node port of the workload's Service, for `from: [outside]`.
    #[schemars(range(min = 30_000, max = 32_767))]
    pub node_port: Option<Spanned<u16>>,
    /// The workload's Service as other workloads know it, for `from: [inside]`.
    pub address: Option<Spanned<Address>>,
    /// Where it connects from. Default: outside.
    #[serde(default = "default_from")]
    #[schemars(length(min = 1))]
    pub from: Vec<Spanned<From>>,
    /// Connections for each unit of time, from each place. Default: `20/s`.
    #[serde(default = "default_rate")]
    pub rate: Spanned<Rate>,
    /// After this a sample has failed. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Spanned<HumanDuration>,
}

impl ProbeKind for Tcp {
    const KIND: &'static str = "tcp";
    const EXAMPLE: &'static str = "tcp: {name: web-port, address: \"web.apps.svc.cluster.local:80\", from: [inside]}";
}

impl Question for Tcp {
    common_fields!();

    fn from(&self) -> &[Spanned<From>] {
        &self.from
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        NEW
    }

    fn target(&self, from: From) -> String {
        format!("connect to {}", place(from, self.node_port.as_ref(), self.address.as_ref()))
    }

    fn route(&self) -> Option<Route<'_>> {
        Some(route(self.node_port.as_ref(), self.address.as_ref()))
    }
}

/// What is connected to, in words.
pub(super) fn place(from: From, node_port: Option<&Spanned<u16>>, address: Option<&Spanned<Address>>) -> String {
    match (from, node_port, address) {
        (From::Outside, Some(port), _) => format!("node port {port}"),
        (From::Inside, _, Some(address)) => address.to_string(),
        // What lint rejects.
        (From::Outside, None, _) => "no node port".into(),
        (From::Inside, _, None) => "no address".into(),
    }
}

/// The route of kinds that have an address.
pub(super) fn route<'p>(node_port: Option<&'p Spanned<u16>>, address: Option<&'p Spanned<Address>>) -> Route<'p> {
    Route {
        node_port,
        path: None,
        key: "address",
        example: "address: \"web.apps.svc.cluster.local:80\"",
        inside: address.map(|address| (&address.value, address.span)),
    }
}

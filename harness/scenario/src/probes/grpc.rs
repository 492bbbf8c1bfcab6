//! `grpc`: the standard health check.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Connection, From, ProbeKind, Question, Route, common_fields, default_connection, default_from, default_rate,
    default_timeout, tcp,
};
use crate::span::Spanned;
use crate::text::{Address, HumanDuration, Name, Rate};

/// The call `grpc.health.v1.Health/Check`; the answer SERVING within the timeout is good, everything else is not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grpc {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// The node port of the workload's gRPC port, for `from: [outside]`.
    #[schemars(range(min = 30_000, max = 32_767))]
    pub node_port: Option<Spanned<u16>>,
    /// The workload's Service and its gRPC port as other workloads know them, for `from: [inside]`.
    pub address: Option<Spanned<Address>>,
    /// The service whose health is asked for. Default: the server's as a whole. A server that drains is not SERVING any more
    /// while it still answers every call: the demo workload is asked for `liveness`.
    #[serde(default)]
    pub service: String,
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
}

impl ProbeKind for Grpc {
    const KIND: &'static str = "grpc";
    const EXAMPLE: &'static str =
        "grpc: {name: web-health, address: \"web.apps.svc.cluster.local:80\", service: liveness, from: [inside]}";
}

impl Question for Grpc {
    common_fields!();

    fn from(&self) -> &[Spanned<From>] {
        &self.from
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        &self.connection
    }

    fn target(&self, from: From) -> String {
        let place = tcp::place(from, self.node_port.as_ref(), self.address.as_ref());
        match self.service.as_str() {
            "" => format!("gRPC health of {place}"),
            service => format!("gRPC health of {service} at {place}"),
        }
    }

    fn route(&self) -> Option<Route<'_>> {
        Some(tcp::route(self.node_port.as_ref(), self.address.as_ref()))
    }
}

//! `stream`: one long answer.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Connection, From, ProbeKind, Question, REUSED, Route, common_fields, default_from, default_timeout, http, unwritten,
};
use crate::span::Spanned;
use crate::text::{HttpUrl, HumanDuration, Name, Rate};

/// One GET request whose answer goes on, a line at a time. A sample is good when the next line comes within the timeout: gaps
/// and resets are seen that no short request would meet. A broken stream is opened again at the next sample.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stream {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// The node port of the workload's Service, for `from: [outside]`.
    #[schemars(range(min = 30_000, max = 32_767))]
    pub node_port: Option<Spanned<u16>>,
    /// Path and query to ask the node port for. Default: `/stream`, which the demo workload has.
    #[serde(default = "default_path")]
    pub path: Spanned<String>,
    /// The workload's Service as other workloads know it, with path and query, for `from: [inside]`.
    pub url: Option<Spanned<HttpUrl>>,
    /// Where it listens. Default: outside.
    #[serde(default = "default_from")]
    #[schemars(length(min = 1))]
    pub from: Vec<Spanned<From>>,
    /// Lines for each unit of time that are waited for; no more than come. Default: `5/s`, as the demo workload sends twice as
    /// many.
    #[serde(default = "default_rate")]
    pub rate: Spanned<Rate>,
    /// After this without a line a sample has failed. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Spanned<HumanDuration>,
}

impl ProbeKind for Stream {
    const KIND: &'static str = "stream";
    const EXAMPLE: &'static str = "stream: {name: web-stream, node-port: 30080}";
}

impl Question for Stream {
    common_fields!();

    fn from(&self) -> &[Spanned<From>] {
        &self.from
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        REUSED
    }

    fn target(&self, from: From) -> String {
        format!("lines of {}", http::place(from, self.node_port.as_ref(), &self.path, self.url.as_ref()))
    }

    fn route(&self) -> Option<Route<'_>> {
        let route = http::route(self.node_port.as_ref(), &self.path, self.url.as_ref());
        Some(Route { example: "url: \"http://web.apps.svc.cluster.local/stream\"", ..route })
    }
}

fn default_path() -> Spanned<String> {
    unwritten("/stream".into())
}

fn default_rate() -> Spanned<Rate> {
    unwritten(Rate::per_second(5))
}

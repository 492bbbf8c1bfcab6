//! `http`: a GET request.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Connection, From, ProbeKind, Question, Route, common_fields, default_connection, default_from, default_rate,
    default_timeout, unwritten,
};
use crate::span::Spanned;
use crate::text::{HttpUrl, HumanDuration, Name, Rate};

/// A GET request; an answer as expected within the timeout is good, everything else is not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// The cluster that it asks, one of the scenario's `clusters`. Default: the first.
    pub cluster: Option<Spanned<Name>>,
    /// The node port of the workload's Service, for `from: [outside]`.
    #[schemars(range(min = 30_000, max = 32_767))]
    pub node_port: Option<Spanned<u16>>,
    /// Path and query to ask the node port for. Default: `/`.
    #[serde(default = "default_path")]
    pub path: Spanned<String>,
    /// The workload's Service as other workloads know it, with path and query, for `from: [inside]`.
    pub url: Option<Spanned<HttpUrl>>,
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
    /// A text that the body of a good answer contains. Default: any body will do.
    pub contains: Option<Spanned<String>>,
    /// A header that a good answer has. Default: any headers will do.
    pub header: Option<Header>,
}

/// A header of an answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Header {
    /// Its name, in any case.
    pub name: Spanned<String>,
    /// Its value, exactly.
    pub value: Spanned<String>,
}

impl ProbeKind for Http {
    const KIND: &'static str = "http";
    const EXAMPLE: &'static str =
        "http: {name: web, node-port: 30080, url: \"http://web.apps.svc.cluster.local/\", from: [outside, inside]}";
}

impl Question for Http {
    common_fields!();

    fn cluster(&self) -> Option<&Spanned<Name>> {
        self.cluster.as_ref()
    }

    fn from(&self) -> &[Spanned<From>] {
        &self.from
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        &self.connection
    }

    fn target(&self, from: From) -> String {
        format!("GET {}", place(from, self.node_port.as_ref(), &self.path, self.url.as_ref()))
    }

    fn route(&self) -> Option<Route<'_>> {
        Some(route(self.node_port.as_ref(), &self.path, self.url.as_ref()))
    }
}

/// Where a request goes, in words.
pub(super) fn place(
    from: From,
    node_port: Option<&Spanned<u16>>,
    path: &Spanned<String>,
    url: Option<&Spanned<HttpUrl>>,
) -> String {
    match (from, node_port, url) {
        (From::Outside, Some(port), _) => format!("node port {port}{path}"),
        (From::Inside, _, Some(url)) => url.to_string(),
        // What lint rejects.
        (From::Outside, None, _) => "no node port".into(),
        (From::Inside, _, None) => "no URL".into(),
    }
}

/// The route of kinds that have a URL.
pub(super) fn route<'p>(
    node_port: Option<&'p Spanned<u16>>,
    path: &Spanned<String>,
    url: Option<&'p Spanned<HttpUrl>>,
) -> Route<'p> {
    Route {
        node_port,
        path: (path.span.line > 0).then_some(path.span),
        key: "url",
        example: "url: \"http://web.apps.svc.cluster.local/\"",
        inside: url.map(|url| (&url.value.address, url.span)),
    }
}

fn default_path() -> Spanned<String> {
    unwritten("/".into())
}

fn default_status() -> Spanned<u16> {
    unwritten(200)
}

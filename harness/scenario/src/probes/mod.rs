//! Probes: who asks a workload, how, and how often. One file for each kind.

mod http;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use http::Http;

use crate::span::Spanned;
use crate::text::Name;

/// A constant-rate question to a workload. Exactly one key: the kind of probe.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each kind is documented on its own type")]
pub enum Probe {
    Http(Http),
}

impl Probe {
    /// As the key in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Probe::Http(_) => "http",
        }
    }

    /// Unique in its scenario.
    pub fn name(&self) -> &Spanned<Name> {
        match self {
            Probe::Http(http) => &http.name,
        }
    }
}

/// Where a probe asks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Vantage", rename_all = "kebab-case")]
pub enum From {
    /// The machine that runs ferry, through a published node port.
    Outside,
}

/// How a probe connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// A new connection for each sample: sees everything that a new client would.
    New,
    /// One connection as long as it lasts: sees what a client with a pool would.
    Reused,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            From::Outside => "outside",
        })
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Connection::New => "new",
            Connection::Reused => "reused",
        })
    }
}

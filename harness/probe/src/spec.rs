//! What to ask, where, how often.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The shortest interval: 10,000 samples/s, five times the rate that the benchmarks hold one sampler to.
pub const MIN_INTERVAL: Duration = Duration::from_micros(100);

/// One probe: one question, asked from one place in one way of connecting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// The name that the scenario gives it, e.g. `web`.
    pub name: String,
    /// Where it runs.
    pub place: Place,
    /// How it connects.
    pub connection: Connection,
    /// What it asks.
    pub kind: KindSpec,
    /// Time between intended times; at least [`MIN_INTERVAL`].
    pub interval: Duration,
    /// A sample without an answer this long after it was sent has failed. May be longer than the interval.
    pub timeout: Duration,
}

/// Where a probe runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On the host, through published ports.
    Outside,
    /// In the cluster, through Services.
    Inside,
}

/// How a probe connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// A connection for each sample.
    New,
    /// Kept alive from sample to sample. A connection that was seen to be closed while idle is replaced, as any client
    /// does; one that breaks once the question is on its way fails the sample. While the connection waits for an answer,
    /// samples that become due open, and then keep, further ones.
    Reused,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KindSpec {
    /// An HTTP request.
    Http(HttpSpec),
}

/// A GET request, and the answer that counts as success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// `http://host[:port]/path`. A host name is resolved for each connection.
    pub url: String,
    /// `Host` header, where it is to differ from the URL's.
    #[serde(default)]
    pub host: Option<String>,
    /// The status expected.
    #[serde(default = "HttpSpec::ok")]
    pub status: u16,
    /// A text that the body must contain.
    #[serde(default)]
    pub body_contains: Option<String>,
}

impl HttpSpec {
    /// Expects status 200 from `url`, whatever the body.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), host: None, status: Self::ok(), body_contains: None }
    }

    fn ok() -> u16 {
        200
    }
}

/// Why probes cannot run as specified.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Two probes that could not be told apart in the record.
    #[error("two probes are called {0}")]
    Twice(String),
    /// Faster than a sampler can be trusted to be.
    #[error("probe {probe}: interval {interval:?} is below {MIN_INTERVAL:?}")]
    Interval {
        /// The probe.
        probe: String,
        /// Its interval.
        interval: Duration,
    },
    /// No sample could succeed.
    #[error("probe {0}: timeout is 0")]
    Timeout(String),
    /// Not a URL, or not one that can be asked.
    #[error("probe {probe}: cannot ask {url:?}: {reason}")]
    Url {
        /// The probe.
        probe: String,
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not a status that an answer can have.
    #[error("probe {probe}: no answer has status {status}")]
    Status {
        /// The probe.
        probe: String,
        /// The status as given.
        status: u16,
    },
    /// Not something that can be sent as a `Host` header.
    #[error("probe {probe}: cannot send {host:?} as host")]
    Host {
        /// The probe.
        probe: String,
        /// The host as given.
        host: String,
    },
}

impl SpecError {
    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Twice(_) => "give one of them another name",
            Self::Interval { .. } => "ask for at most 10,000 samples/s",
            Self::Timeout(_) => "give it the longest time that a client would wait, e.g. 5s",
            Self::Url { .. } => "write it as http://host:port/path",
            Self::Status { .. } => "expect a status from 100 to 999",
            Self::Host { .. } => "write it as a host name, with :port where needed",
        }
    }
}

impl ProbeSpec {
    /// How the record names it: `name/place/connection`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.name, self.place, self.connection)
    }

    /// Checks what needs no connection.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn check_all(specs: &[Self]) -> Result<(), SpecError> {
        let mut seen = HashSet::new();
        for spec in specs {
            let id = spec.id();
            if spec.interval < MIN_INTERVAL {
                return Err(SpecError::Interval { probe: id, interval: spec.interval });
            }
            if spec.timeout.is_zero() {
                return Err(SpecError::Timeout(id));
            }
            if !seen.insert(id.clone()) {
                return Err(SpecError::Twice(id));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "outside",
            Self::Inside => "inside",
        })
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Reused => "reused",
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn spec(name: &str, interval_us: u64, timeout_ms: u64) -> ProbeSpec {
        ProbeSpec {
            name: name.into(),
            place: Place::Outside,
            connection: Connection::Reused,
            kind: KindSpec::Http(HttpSpec::new("http://127.0.0.1/")),
            interval: Duration::from_micros(interval_us),
            timeout: Duration::from_millis(timeout_ms),
        }
    }

    #[test]
    fn is_named_after_what_makes_it_different() {
        assert_eq!(spec("web", 50_000, 5_000).id(), "web/outside/reused");
    }

    #[rstest]
    #[case::as_they_should_be(vec![spec("a", 50_000, 5_000), spec("b", 100, 1)], None)]
    #[case::twice(vec![spec("a", 50_000, 5_000), spec("a", 50_000, 5_000)], Some("two probes are called a/outside/reused"))]
    #[case::no_interval(vec![spec("a", 0, 5_000)], Some("probe a/outside/reused: interval 0ns is below 100µs"))]
    #[case::no_timeout(vec![spec("a", 50_000, 0)], Some("probe a/outside/reused: timeout is 0"))]
    fn checks(#[case] specs: Vec<ProbeSpec>, #[case] expected: Option<&str>) {
        let error = ProbeSpec::check_all(&specs).err();
        assert_eq!(error.map(|error| error.to_string()).as_deref(), expected);
    }

    #[test]
    fn an_http_probe_needs_no_more_than_a_url() {
        let spec: HttpSpec = serde_json::from_str(r#"{"url": "http://web.apps.svc/"}"#).unwrap();
        assert_eq!(spec, HttpSpec::new("http://web.apps.svc/"));
    }
}

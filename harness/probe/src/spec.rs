//! What to ask, where, how often.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::kind::{CanarySpec, DnsSpec, FluxSpec, GrpcSpec, HttpSpec, KubeApiSpec, StreamSpec, TcpSpec};

/// The shortest interval: 10,000 samples/s, five times the rate that the benchmarks hold one sampler to.
pub const MIN_INTERVAL: Duration = Duration::from_micros(100);

/// One probe: one question, asked from one place in one way of connecting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// The name that the scenario gives it, e.g. `web`.
    pub name: String,
    /// Where it runs.
    pub place: Place,
    /// The node whose agent asks, where more than one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
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
    /// A TCP connection.
    Tcp(TcpSpec),
    /// A question to a name server.
    Dns(DnsSpec),
    /// A health check by gRPC.
    Grpc(GrpcSpec),
    /// The next piece of a long-lived HTTP answer.
    Stream(StreamSpec),
    /// The download of a Flux artifact.
    Flux(FluxSpec),
    /// A request to the Kubernetes API server.
    KubeApi(KubeApiSpec),
    /// A TCP connection that network policy allows or denies.
    Canary(CanarySpec),
}

impl KindSpec {
    /// Its name in the record.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Dns(_) => "dns",
            Self::Grpc(_) => "grpc",
            Self::Stream(_) => "stream",
            Self::Flux(_) => "flux",
            Self::KubeApi(_) => "kube-api",
            Self::Canary(_) => "canary",
        }
    }

    /// The ways of connecting that make sense: a TCP connection is itself the question, and a stream is one connection.
    #[must_use]
    pub fn connections(&self) -> &'static [Connection] {
        match self {
            Self::Tcp(_) | Self::Canary(_) => &[Connection::New],
            Self::Stream(_) => &[Connection::Reused],
            _ => &[Connection::New, Connection::Reused],
        }
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
    /// Not a header that an answer can have.
    #[error("probe {probe}: no answer has a header {header:?}")]
    Header {
        /// The probe.
        probe: String,
        /// The header as given.
        header: String,
    },
    /// Not an address, or not one that can be connected to.
    #[error("probe {probe}: cannot connect to {address:?}: {reason}")]
    Address {
        /// The probe.
        probe: String,
        /// The address as given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not a name, or nobody to ask for it.
    #[error("probe {probe}: cannot resolve {name:?}: {reason}")]
    Name {
        /// The probe.
        probe: String,
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates, keys or tokens that cannot be used.
    #[error("probe {probe}: cannot speak TLS: {reason}")]
    Tls {
        /// The probe.
        probe: String,
        /// What is wrong with them.
        reason: String,
    },
    /// Not a digest, or not by a hash that is known here.
    #[error("probe {probe}: cannot check digest {digest:?}")]
    Digest {
        /// The probe.
        probe: String,
        /// The digest as given.
        digest: String,
    },
    /// A way of connecting that makes no sense for the kind.
    #[error("probe {probe}: {kind} has no {connection} connections")]
    Connection {
        /// The probe.
        probe: String,
        /// What it asks.
        kind: &'static str,
        /// How it was to connect.
        connection: Connection,
    },
    /// A probe that is to ask something else now is not there, or asks another kind of question.
    #[error("there is no {kind} probe {probe}")]
    Unknown {
        /// The probe.
        probe: String,
        /// What it was to ask.
        kind: &'static str,
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
            Self::Header { .. } => "write a header name and a text without line breaks",
            Self::Address { .. } => "write it as host:port",
            Self::Name { .. } => "give the full name, e.g. web.apps.svc.cluster.local, and a server as address[:port]",
            Self::Tls { .. } => "give PEM, as in a kubeconfig after base64 is taken off",
            Self::Digest { .. } => "give it as in status.artifact.digest: sha256: and 64 hexadecimal digits",
            Self::Connection { .. } => "use the other one: tcp and canary connect anew, a stream stays",
            Self::Unknown { .. } => "aim a probe that was started, at what it can ask",
            Self::Host { .. } => "write it as a host name, with :port where needed",
        }
    }
}

impl ProbeSpec {
    /// How the record names it: `name/place/connection`, and `@node` after it where more than one node asks.
    #[must_use]
    pub fn id(&self) -> String {
        let node = self.node.as_ref().map(|node| format!("@{node}")).unwrap_or_default();
        format!("{}/{}/{}{node}", self.name, self.place, self.connection)
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
            node: None,
            place: Place::Outside,
            connection: Connection::Reused,
            kind: KindSpec::Http(HttpSpec::new("http://127.0.0.1/")),
            interval: Duration::from_micros(interval_us),
            timeout: Duration::from_millis(timeout_ms),
        }
    }

    #[test]
    fn is_named_after_what_makes_it_different() {
        let one = spec("web", 50_000, 5_000);
        assert_eq!(one.id(), "web/outside/reused");
        assert_eq!(ProbeSpec { node: Some("worker".into()), ..one }.id(), "web/outside/reused@worker");
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

    #[rstest]
    #[case::http(KindSpec::Http(HttpSpec::new("http://web/")))]
    #[case::tcp(KindSpec::Tcp(TcpSpec { address: "web:80".into() }))]
    #[case::canary(KindSpec::Canary(CanarySpec { address: "web:80".into(), denied: true }))]
    #[case::stream(KindSpec::Stream(StreamSpec { url: "http://web/stream".into(), tls: None }))]
    fn connects_only_in_ways_that_make_sense(
        #[case] kind: KindSpec,
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let told = format!("{} has no {connection} connections", kind.name());
        let possible = kind.connections().contains(&connection);
        let built = crate::kind::build(&ProbeSpec { connection, kind, ..spec("a", 50_000, 5_000) });
        let expected = if possible { None } else { Some(format!("probe a/outside/{connection}: {told}")) };
        assert_eq!(built.err().map(|error| error.to_string()), expected);
    }

    #[test]
    fn kinds_are_written_by_their_names() {
        let specs = [
            r#"{"http":{"url":"http://web/","status":200}}"#,
            r#"{"tcp":{"address":"web:80"}}"#,
            r#"{"dns":{"name":"web.apps.svc.cluster.local"}}"#,
            r#"{"grpc":{"address":"web:8080","service":"liveness"}}"#,
            r#"{"stream":{"url":"http://web/stream"}}"#,
            r#"{"flux":{"url":"http://source-controller/a.tar.gz"}}"#,
            r#"{"kube-api":{"server":"https://10.96.0.1","tls":{"ca":{"file":"/ca.crt"},"auth":{"token":{"file":"/token"}}},"list":true}}"#,
            r#"{"canary":{"address":"web:80","denied":true}}"#,
        ];
        for text in specs {
            let kind: KindSpec = serde_json::from_str(text).unwrap();
            assert!(text.starts_with(&format!("{{\"{}\":", kind.name())), "{text}");
            assert_eq!(serde_json::to_string(&kind).unwrap(), text);
        }
    }
}

//! Probes: who asks a workload, how, and how often. One file for each kind, and one line in the table below.
//!
//! A kind's file has its model with docs, its question in words and its lint. Asking is the sampler's work.

mod canary;
mod dns;
mod flux;
mod grpc;
mod http;
mod kube_api;
mod stream;
mod tcp;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use canary::Canary;
pub use dns::Dns;
pub use flux::Flux;
pub use grpc::Grpc;
pub use http::{Header, Http};
pub use kube_api::{Ask, KubeApi};
pub use stream::Stream;
pub use tcp::Tcp;

use crate::lint::{Findings, Rule};
use crate::span::{Span, Spanned};
use crate::steps::KindInfo;
use crate::text::{Address, HumanDuration, Name, Rate};

/// What every kind of probe can say of itself.
pub trait Question: fmt::Debug {
    /// Its name, unique in its scenario.
    fn name(&self) -> &Spanned<Name>;

    /// The cluster that it asks, where the run has several; none: the first.
    fn cluster(&self) -> Option<&Spanned<Name>> {
        None
    }

    /// Where it asks from. Kinds that ask from one place only have no key for it.
    fn from(&self) -> &[Spanned<From>];

    /// How it connects. Kinds that connect in one way only have no key for it.
    fn connection(&self) -> &[Spanned<Connection>];

    /// Samples for each unit of time, from each place, with each kind of connection.
    fn rate(&self) -> &Spanned<Rate>;

    /// After this a sample has failed.
    fn timeout(&self) -> &Spanned<HumanDuration>;

    /// What is asked, in words.
    fn target(&self, from: From) -> String;

    /// How it is told where to ask; none for kinds that know.
    fn route(&self) -> Option<Route<'_>> {
        None
    }

    /// Each question as it is sampled: from one place, over one kind of connection.
    fn sampled(&self) -> Vec<Sampled> {
        let pairs = self.from().iter().flat_map(|from| self.connection().iter().map(move |c| (from.value, c.value)));
        let sampled = |(from, connection)| Sampled {
            name: format!("{}/{from}/{connection}", self.name()),
            target: self.target(from),
            from,
            connection,
        };
        pairs.map(sampled).collect()
    }

    /// What is wrong with it although it parses, beyond what is true of all kinds.
    fn lint(&self, _findings: &mut Findings<'_>) {}
}

/// What is known of a kind of probe without a scenario.
pub trait ProbeKind: Question {
    /// The key in the file.
    const KIND: &'static str;
    /// A probe as authors write it.
    const EXAMPLE: &'static str;
    /// The rules that its lint reports by.
    const RULES: &'static [Rule] = &[];
}

/// A question as it is sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// Unique: `name/vantage/connection`, such as `web/outside/new`.
    pub name: String,
    /// What is asked, in words.
    pub target: String,
    /// Where from.
    pub from: From,
    /// How it connects.
    pub connection: Connection,
}

/// How a probe is told where to ask: a key for each place.
#[derive(Debug, Clone, Copy)]
pub struct Route<'p> {
    /// From outside.
    pub node_port: Option<&'p Spanned<u16>>,
    /// Where else an outside question's path is written; it says nothing from inside.
    pub path: Option<Span>,
    /// The key for inside.
    pub key: &'static str,
    /// The key for inside, as authors write it.
    pub example: &'static str,
    /// From inside.
    pub inside: Option<(&'p Address, Span)>,
}

/// The fields that all kinds have, as [`Question`] asks for them.
macro_rules! common_fields {
    () => {
        fn name(&self) -> &Spanned<Name> {
            &self.name
        }

        fn rate(&self) -> &Spanned<Rate> {
            &self.rate
        }

        fn timeout(&self) -> &Spanned<HumanDuration> {
            &self.timeout
        }
    };
}
use common_fields;

/// Makes the probe enum and the table of kinds from one list.
macro_rules! probes {
    ($($Kind:ident),+ $(,)?) => {
        /// A constant-rate question to a workload. Exactly one key: the kind of probe.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each kind is documented on its own type")]
        #[expect(clippy::large_enum_variant, reason = "a scenario has a handful")]
        pub enum Probe {
            $($Kind($Kind)),+
        }

        impl Probe {
            /// As the key in the file.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Probe::$Kind(_) => $Kind::KIND),+
                }
            }

            /// The probe as what all kinds have in common.
            pub fn question(&self) -> &dyn Question {
                match self {
                    $(Probe::$Kind(probe) => probe),+
                }
            }
        }

        /// Every kind of probe.
        pub const KINDS: &[KindInfo] = &[
            $(KindInfo { kind: $Kind::KIND, example: $Kind::EXAMPLE, rules: $Kind::RULES }),+
        ];
    };
}

probes! {
    Http,
    Tcp,
    Dns,
    Grpc,
    Stream,
    Flux,
    KubeApi,
    Canary,
}

impl Probe {
    /// Unique in its scenario.
    pub fn name(&self) -> &Spanned<Name> {
        self.question().name()
    }

    /// Whether it asks from a place.
    pub fn asks_from(&self, place: From) -> bool {
        self.question().from().iter().any(|from| from.value == place)
    }
}

/// Where a probe asks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Vantage", rename_all = "kebab-case")]
pub enum From {
    /// The machine that runs ferry, through a published node port.
    Outside,
    /// An agent's pod in the cluster: Services and their names as workloads see them.
    Inside,
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
            From::Inside => "inside",
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

/// A value that nobody wrote.
const fn unwritten<T>(value: T) -> Spanned<T> {
    Spanned { value, span: Span { offset: 0, len: 0, line: 0, column: 0 } }
}

/// The place of kinds that only make sense in the cluster.
const INSIDE: &[Spanned<From>] = &[unwritten(From::Inside)];

/// The connection of kinds that make one for each sample.
const NEW: &[Spanned<Connection>] = &[unwritten(Connection::New)];

/// The connection of kinds that hold one.
const REUSED: &[Spanned<Connection>] = &[unwritten(Connection::Reused)];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::tests::example;

    /// Each kind's example is one, and what is made of it has names of their own.
    #[test]
    fn every_kind_samples() {
        let mut shown = String::new();
        for kind in KINDS {
            let text = example(&format!("probes:\n  - {}", kind.example));
            let scenario = crate::parse("f", &text).unwrap_or_else(|e| panic!("{}: {}", kind.kind, e.to_text()));
            let probe = &scenario.probes[0];
            assert_eq!(probe.kind(), kind.kind);
            for sampled in probe.question().sampled() {
                let rate = probe.question().rate();
                shown += &format!("{} {}: {} at {rate}\n", probe.kind(), sampled.name, sampled.target);
            }
        }
        insta::assert_snapshot!(shown, @r"
        http web/outside/new: GET node port 30080/ at 20/s
        http web/outside/reused: GET node port 30080/ at 20/s
        http web/inside/new: GET http://web.apps.svc.cluster.local/ at 20/s
        http web/inside/reused: GET http://web.apps.svc.cluster.local/ at 20/s
        tcp web-port/inside/new: connect to web.apps.svc.cluster.local:80 at 20/s
        dns web-name/inside/new: resolve web.apps.svc.cluster.local at 20/s
        grpc web-health/inside/new: gRPC health of liveness at web.apps.svc.cluster.local:80 at 20/s
        grpc web-health/inside/reused: gRPC health of liveness at web.apps.svc.cluster.local:80 at 20/s
        stream web-stream/outside/reused: lines of node port 30080/stream at 5/s
        flux artifact/inside/new: download the artifact of gitrepository/flux-system/flux-system at 2/s
        kube-api api/outside/new: list a namespace from the API server at 5/s
        kube-api api/outside/reused: list a namespace from the API server at 5/s
        kube-api api/inside/new: list a namespace from the API server at 5/s
        kube-api api/inside/reused: list a namespace from the API server at 5/s
        canary policy-allowed/inside/new: reach web.apps.svc.cluster.local:80 at 2/s
        canary policy-denied/inside/new: not reach db.apps.svc.cluster.local:5432 at 2/s
        ");
    }
}

//! `canary`: whether NetworkPolicies are enforced at all.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Connection, From, INSIDE, NEW, ProbeKind, Question, Sampled, common_fields, default_timeout, unwritten};
use crate::lint::{Findings, Rule};
use crate::span::Spanned;
use crate::text::{Address, HumanDuration, Name, Rate};

/// A pair of questions from inside: one address that must be reached, and one that a NetworkPolicy must keep from being reached.
/// A sample of the second is good when nothing answers within the timeout. Judged by the rule policy-enforced.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Canary {
    /// The probe's name, unique in the scenario.
    pub name: Spanned<Name>,
    /// What must be reached: it proves that the agent can reach anything.
    pub allowed: Spanned<Address>,
    /// What must not be reached, although something listens there.
    pub denied: Spanned<Address>,
    /// Samples of each of the two for each unit of time. Default: `2/s`.
    #[serde(default = "default_rate")]
    pub rate: Spanned<Rate>,
    /// After this without a connection an address is not reached. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Spanned<HumanDuration>,
}

const SAME_ADDRESS: Rule = Rule {
    code: "F136",
    name: "canary-of-one",
    explain: "An address that must be reached and must not be reached proves nothing: one half of the pair always fails.",
    failing: "probes:\n  - http: {name: web, node-port: 30080}\n  - canary: {name: policy, allowed: \"web.apps.svc:80\", denied: \"web.apps.svc:80\"}\ninvariants: [policy-enforced]",
    passing: "probes:\n  - http: {name: web, node-port: 30080}\n  - canary: {name: policy, allowed: \"web.apps.svc:80\", denied: \"10.0.0.1:80\"}\ninvariants: [policy-enforced]",
    ..Rule::ERROR
};

impl ProbeKind for Canary {
    const KIND: &'static str = "canary";
    const EXAMPLE: &'static str = "canary: {name: policy, allowed: \"web.apps.svc.cluster.local:80\", denied: \"db.apps.svc.cluster.local:5432\"}";
    const RULES: &'static [Rule] = &[SAME_ADDRESS];
}

impl Question for Canary {
    common_fields!();

    fn from(&self) -> &[Spanned<From>] {
        INSIDE
    }

    fn connection(&self) -> &[Spanned<Connection>] {
        NEW
    }

    fn target(&self, _from: From) -> String {
        format!("reach {}, and not {}", self.allowed, self.denied)
    }

    /// Each half by itself: `policy-allowed/inside/new` and `policy-denied/inside/new`.
    fn sampled(&self) -> Vec<Sampled> {
        let half = |side: &str, target: String| Sampled {
            name: format!("{}-{side}/{}/{}", self.name, From::Inside, Connection::New),
            target,
            from: From::Inside,
            connection: Connection::New,
        };
        let (allowed, denied) = (format!("reach {}", self.allowed), format!("not reach {}", self.denied));
        vec![half("allowed", allowed), half("denied", denied)]
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.allowed.value == self.denied.value {
            findings.report(
                &SAME_ADDRESS,
                self.denied.span,
                format!("{} must be reached, and must not be reached", self.denied),
                "name an address that a NetworkPolicy closes to the agent",
            );
        }
    }
}

fn default_rate() -> Spanned<Rate> {
    unwritten(Rate::per_second(2))
}

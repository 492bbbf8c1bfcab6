//! Rules over the whole record.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes the enum, the list and the names of all rules from one list.
macro_rules! invariants {
    ($($(#[doc = $doc:literal])+ $Rule:ident = $name:literal),+ $(,)?) => {
        /// A rule over the whole record. What the cluster's objects are compared with is their state at the end of the first
        /// phase; what a phase lists under `changes` may change in it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Invariant {
            $($(#[doc = $doc])+ $Rule),+
        }

        impl Invariant {
            /// All of them.
            pub const ALL: &[Invariant] = &[$(Invariant::$Rule),+];

            /// As in `invariants:`, and as the rule's name in the verdict.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Invariant::$Rule => $name),+
                }
            }
        }
    };
}

invariants! {
    /// No sample of any probe failed beyond the budget of the phase that it fell into.
    NoLostRequest = "no-lost-request",
    /// No probe is answered much more slowly, at the 99th percentile or at worst, than in the quiet time before.
    Latency = "latency",
    /// No container of the fleet's pods restarted, and no pod was replaced.
    NoRestart = "no-restart",
    /// Every object of the fleet and every Flux object is still the one that it was: the same UID.
    SameUid = "same-uid",
    /// No Deployment, StatefulSet or DaemonSet of the fleet got another pod template.
    NoRollout = "no-rollout",
    /// No object is written by managers in turn, and every object comes to rest.
    OneOwner = "one-owner",
    /// No object is left whose owner is gone, or that waits for its deletion for ever.
    NoOrphan = "no-orphan",
    /// No labels, annotations, finalizers, CRDs or stored versions are left of the owner that is no more.
    NoResidue = "no-residue",
    /// No CRD of Flux went away, and no kind of its objects became fewer.
    CrdsKept = "crds-kept",
    /// No Flux source was recreated or lost its artifact.
    SourcesKept = "sources-kept",
    /// Every commit was applied in time.
    Reconciles = "reconciles",
    /// No controller of Flux, nor its operator, logged an error that a migration does not explain.
    NoErrorLogs = "no-error-logs",
    /// NetworkPolicies were enforced throughout: each canary reached what it may, and nothing else.
    PolicyEnforced = "policy-enforced",
    /// In the end Flux is managed by Flux Operator, by its own report.
    ManagedBy = "managed-by",
    /// Every fault that was injected was seen by every probe that it hit, with its edges where they truly were.
    FaultsSeen = "faults-seen",
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_in_files() {
        for invariant in Invariant::ALL {
            assert_eq!(serde_json::to_value(invariant).unwrap(), invariant.as_str());
        }
    }
}

//! `policy-enforced`: what a NetworkPolicy denies stays denied, and what it allows stays allowed.

use std::collections::BTreeMap;

use super::Invariant;
use crate::fmt;
use crate::fold::{ProbeState, RunState};
use crate::verdict::{Evidence, Finding, Verdict};

/// Kind of the probes that come in pairs, `NAME-allowed/…` and `NAME-denied/…`: a sample is good when it got what its side
/// demands. kind before 0.24 and k3s without ipset enforce no policy at all and say nothing about it.
pub const CANARY: &str = "canary";

/// The rule.
#[derive(Debug)]
pub struct PolicyEnforced;

/// The two sides of a canary.
#[derive(Default)]
struct Pair<'a> {
    allowed: Option<(&'a str, &'a ProbeState)>,
    denied: Option<(&'a str, &'a ProbeState)>,
}

/// Whether a probe is one side of a canary.
pub(super) fn is_canary(probe: &ProbeState) -> bool {
    probe.info.as_ref().is_some_and(|info| info.kind == CANARY)
}

impl Invariant for PolicyEnforced {
    fn name(&self) -> &'static str {
        "policy-enforced"
    }

    fn demands(&self) -> &'static str {
        "each canary pair is let through and kept out, as its NetworkPolicy says, all the time"
    }

    fn judge(&self, run: &RunState) -> Finding {
        let mut pairs: BTreeMap<String, Pair<'_>> = BTreeMap::new();
        let mut finding = Finding::new(self.name(), Verdict::Pass, "");
        let (mut broken, mut doubtful) = (Vec::new(), Vec::new());
        for (name, probe) in run.probes.iter().filter(|(_, probe)| is_canary(probe)) {
            match side(name) {
                Some((pair, true)) => pairs.entry(pair).or_default().allowed = Some((name.as_str(), probe)),
                Some((pair, false)) => pairs.entry(pair).or_default().denied = Some((name.as_str(), probe)),
                None => doubtful.push(format!("{name} is of no pair")),
            }
            for outage in probe.outages() {
                let (from, to, failed) = (outage.span.from, outage.span.to, outage.failed);
                finding.evidence.push(Evidence::Outage { probe: name.clone(), from, to, failed });
            }
        }
        for (name, pair) in &pairs {
            let (Some(allowed), Some(denied)) = (pair.allowed, pair.denied) else {
                doubtful.push(format!("{name} has only one side"));
                continue;
            };
            let certain = |(name, probe): (&str, &ProbeState)| probe.total.failed > run.doubtful(name).len() as u64;
            let (is_broken, was_kept_out) = (certain(denied), certain(allowed));
            let ((_, allowed), (_, denied)) = (allowed, denied);
            for (side, probe) in [("allowed", allowed), ("denied", denied)] {
                let stats = &probe.total;
                finding.details.push(format!(
                    "{name} {side}: {} of {} as it must be",
                    fmt::number(stats.good()),
                    fmt::count(stats.taken, "sample")
                ));
            }
            if allowed.total.taken == 0 || denied.total.taken == 0 {
                doubtful.push(format!("{name} was not asked on both sides"));
            } else if denied.total.good() == 0 {
                doubtful.push(format!("{name} was never kept out: this cluster enforces no NetworkPolicy"));
            } else if allowed.total.good() == 0 {
                doubtful.push(format!("{name} was never let through: what is kept out may not be there at all"));
            } else if is_broken {
                broken.push(format!("{name} got through {}", fmt::count(denied.total.failed, "time")));
            } else if was_kept_out {
                broken.push(format!("{name} was kept out {}", fmt::count(allowed.total.failed, "time")));
            } else if allowed.total.failed + denied.total.failed > 0 {
                doubtful.push(format!("{name} failed while the sampler itself was out"));
            }
        }
        (finding.verdict, finding.message) = if !broken.is_empty() {
            (Verdict::Fail, broken.join("; "))
        } else if !doubtful.is_empty() {
            (Verdict::Inconclusive, doubtful.join("; "))
        } else if pairs.is_empty() {
            (Verdict::Inconclusive, "no canary probe was running: nothing shows that policies are enforced".into())
        } else {
            (Verdict::Pass, format!("{} as the policies say", fmt::count(pairs.len() as u64, "canary pair")))
        };
        finding
    }
}

/// `db-denied/inside/new` is the denied side of `db/inside/new`.
fn side(probe: &str) -> Option<(String, bool)> {
    let (name, rest) = probe.split_once('/').map_or((probe, String::new()), |(name, rest)| (name, format!("/{rest}")));
    let allowed = name.strip_suffix("-allowed").map(|name| (name, true));
    let (name, allowed) = allowed.or_else(|| name.strip_suffix("-denied").map(|name| (name, false)))?;
    Some((format!("{name}{rest}"), allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Record;
    use rstest::rstest;

    fn pair(allowed: &str, denied: &str) -> Record {
        Record::good().probing("db-allowed/inside/new", CANARY, allowed).probing("db-denied/inside/new", CANARY, denied)
    }

    #[rstest]
    #[case::enforced(pair("....", "...."), Verdict::Pass, "1 canary pair as the policies say")]
    #[case::got_through(pair("....", "..xx"), Verdict::Fail, "db/inside/new got through 2 times")]
    #[case::kept_out(pair("x...", "...."), Verdict::Fail, "db/inside/new was kept out 1 time")]
    #[case::never_enforced(
        pair("....", "xxxx"),
        Verdict::Inconclusive,
        "db/inside/new was never kept out: this cluster enforces no NetworkPolicy"
    )]
    #[case::nothing_there(
        pair("xxxx", "...."),
        Verdict::Inconclusive,
        "db/inside/new was never let through: what is kept out may not be there at all"
    )]
    #[case::one_side(Record::good().probing("db-denied/inside/new", CANARY, "...."), Verdict::Inconclusive,
        "db/inside/new has only one side")]
    #[case::one_side_silent(pair("....", ""), Verdict::Inconclusive, "db/inside/new was not asked on both sides")]
    #[case::of_no_pair(Record::good().probing("db/inside/new", CANARY, "...."), Verdict::Inconclusive,
        "db/inside/new is of no pair")]
    #[case::one_of_two_broken(
        pair("....", ".x..").probing("x-allowed/inside/new", CANARY, "...."), Verdict::Fail,
        "db/inside/new got through 1 time")]
    #[case::no_canary(
        Record::good(),
        Verdict::Inconclusive,
        "no canary probe was running: nothing shows that policies are enforced"
    )]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = PolicyEnforced.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn both_sides_are_accounted_for() {
        let finding = PolicyEnforced.judge(&pair("....", "..x.").fold());
        assert_eq!(
            finding.details,
            [
                "db/inside/new allowed: 4 of 4 samples as it must be",
                "db/inside/new denied: 3 of 4 samples as it must be"
            ]
        );
        assert_eq!(finding.evidence.len(), 1);
    }

    #[test]
    fn a_sampler_that_was_out_proves_nothing() {
        let outage = crate::EventKind::SamplerOutage {
            probe: "db-denied/inside/new".into(),
            from: 90_000_000,
            to: 160_000_000,
            reason: "the host was busy".into(),
        };
        let finding = PolicyEnforced.judge(&pair("....", "..x.").with(20_350_000_000, outage).fold());
        assert_eq!(finding.verdict, Verdict::Inconclusive, "{finding:?}");
    }
}

//! `managed-by`: in the end Flux Operator says itself that it manages Flux.

use super::Invariant;
use super::observed::window;
use crate::cluster::{Parts, facts};
use crate::fold::RunState;
use crate::verdict::{Evidence, Finding, Verdict};

/// As FluxReport names the operator (its reporter takes the label `app.kubernetes.io/managed-by` of a Flux definition).
const OPERATOR: &str = "flux-operator";

/// The rule.
#[derive(Debug)]
pub struct ManagedBy;

impl Invariant for ManagedBy {
    fn name(&self) -> &'static str {
        "managed-by"
    }

    fn demands(&self) -> &'static str {
        "in the end the FluxReport says that Flux is managed by flux-operator"
    }

    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        if let Err(finding) = window(self, run) {
            return finding;
        }
        let report = run.cluster.objects().find(|(object, _)| Parts::of(object).kind == "fluxreport");
        let Some((object, history)) = report else {
            return Finding::new(self.name(), Verdict::Inconclusive, "no FluxReport was ever seen");
        };
        let mut before = None;
        let mut changes = Vec::new();
        for state in history.states() {
            let says = state.seen.as_ref().and_then(|seen| seen.fact(facts::MANAGED_BY));
            if says != before {
                changes.push((state.at, says));
                before = says;
            }
        }
        let (verdict, message) = match (before, history.now()) {
            (Some(OPERATOR), _) => (Verdict::Pass, format!("Flux is managed by {OPERATOR}")),
            (Some(other), _) => (Verdict::Fail, format!("Flux is managed by {other}, not by {OPERATOR}")),
            (None, Some(_)) => (Verdict::Inconclusive, format!("{object} does not say what manages Flux")),
            (None, None) => (Verdict::Inconclusive, format!("{object} is gone: nothing says what manages Flux")),
        };
        let mut finding = Finding::new(self.name(), verdict, message);
        for (at, says) in changes {
            let says = says.unwrap_or("nothing");
            finding.details.push(format!("{object}: managed by {says} from {} on", run.when(at)));
            finding.evidence.push(Evidence::Object { object: object.to_owned(), at });
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const REPORT: &str = "fluxreport/flux-system/flux";

    fn says(at: u64, manager: &str) -> Record {
        Record::migrated().object(at * SECOND, REPORT, |o| o.set(facts::MANAGED_BY, manager))
    }

    #[rstest]
    #[case::operator(Record::migrated(), Verdict::Pass, "Flux is managed by flux-operator")]
    #[case::bootstrap(
        says(15, "flux bootstrap"),
        Verdict::Fail,
        "Flux is managed by flux bootstrap, not by flux-operator"
    )]
    #[case::says_nothing(Record::bootstrapped().object(13 * SECOND, REPORT, |_| {}), Verdict::Inconclusive,
        "fluxreport/flux-system/flux does not say what manages Flux")]
    #[case::gone(Record::migrated().gone(15 * SECOND, REPORT), Verdict::Inconclusive,
        "fluxreport/flux-system/flux is gone: nothing says what manages Flux")]
    #[case::no_report(Record::bootstrapped(), Verdict::Inconclusive, "no FluxReport was ever seen")]
    #[case::not_watched(Record::good(), Verdict::Inconclusive, "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = ManagedBy.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn the_hand_over_is_dated() {
        insta::assert_snapshot!(ManagedBy.judge(&says(15, "flux bootstrap").fold()).details.join("\n"), @r"
        fluxreport/flux-system/flux: managed by flux-operator from 12:00:13.000 (+0:13.000) on
        fluxreport/flux-system/flux: managed by flux bootstrap from 12:00:15.000 (+0:15.000) on
        ");
    }
}

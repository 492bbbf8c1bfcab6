//! Whether a run ended as its scenario expects.

use crate::event::Expectation;
use crate::verdict::{Finding, Verdict};

/// The rule about steps. A failure that is expected of another rule does not excuse a step that failed: what the scenario
/// wanted to show may then never have happened.
const STEPS: &str = "steps";

/// Whether the verdict and all that is expected beside it came.
pub(crate) fn is_met(expected: &Expectation, verdict: Verdict, findings: &[Finding]) -> bool {
    verdict == expected.verdict && unmet(expected, verdict, findings).is_empty()
}

/// What the scenario expects beside the verdict, and did not get; a sentence each.
pub(crate) fn unmet(expected: &Expectation, verdict: Verdict, findings: &[Finding]) -> Vec<String> {
    let says = |rule: &str, verdict| findings.iter().any(|f| f.rule == rule && f.verdict == verdict);
    let mut unmet = Vec::new();
    if let Some(rule) = expected.rule.as_ref().filter(|rule| !says(rule, verdict)) {
        unmet.push(format!("the scenario expects {verdict} by {rule}: another rule decided"));
    }
    let holds = expected.holds.iter().filter(|rule| !says(rule, Verdict::Pass));
    unmet.extend(holds.map(|rule| format!("the scenario expects {rule} to hold nevertheless, and it does not")));
    let another = expected.rule.as_ref().is_some_and(|rule| rule != STEPS);
    if another && says(STEPS, Verdict::Fail) && expected.holds.iter().all(|rule| rule != STEPS) {
        unmet.push("a step failed, which only a scenario with `rule: steps` expects".into());
    }
    unmet
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn finding(rule: &str, verdict: Verdict) -> Finding {
        Finding::new(rule, verdict, "")
    }

    #[rstest]
    #[case::by_the_rule(Some("latency"), &[], &[("latency", Verdict::Fail)], &[])]
    #[case::by_any_rule(None, &[], &[("steps", Verdict::Fail)], &[])]
    #[case::by_another(Some("latency"), &[], &[("budget", Verdict::Fail)],
        &["the scenario expects fail by latency: another rule decided"])]
    #[case::beside_a_failed_step(Some("latency"), &[], &[("latency", Verdict::Fail), ("steps", Verdict::Fail)],
        &["a step failed, which only a scenario with `rule: steps` expects"])]
    #[case::by_a_failed_step(Some("steps"), &["latency"], &[("latency", Verdict::Pass), ("steps", Verdict::Fail)], &[])]
    #[case::what_must_hold_is_told_once(Some("latency"), &["steps"],
        &[("latency", Verdict::Fail), ("steps", Verdict::Fail)],
        &["the scenario expects steps to hold nevertheless, and it does not"])]
    fn what_did_not_come_is_named(
        #[case] rule: Option<&str>,
        #[case] holds: &[&str],
        #[case] findings: &[(&str, Verdict)],
        #[case] expected: &[&str],
    ) {
        let holds = holds.iter().map(|rule| (*rule).to_owned()).collect();
        let asked = Expectation { verdict: Verdict::Fail, rule: rule.map(str::to_owned), holds };
        let findings: Vec<_> = findings.iter().map(|(rule, verdict)| finding(rule, *verdict)).collect();
        assert_eq!(unmet(&asked, Verdict::Fail, &findings), expected);
        assert_eq!(is_met(&asked, Verdict::Fail, &findings), expected.is_empty());
        assert!(!is_met(&asked, Verdict::Pass, &findings));
    }
}

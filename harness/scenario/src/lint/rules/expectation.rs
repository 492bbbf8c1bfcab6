//! How the run is judged.

use crate::lint::{Findings, Rule, ScenarioRule};
use crate::model::{ExpectedVerdict, Invariant, RULES_BEYOND_INVARIANTS};
use crate::names;

pub const NOTHING_JUDGED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F113",
        name: "nothing-judged",
        explain: "Without invariants a run passes whatever its probes saw.",
        failing: "invariants: []",
        passing: "invariants: [no-lost-request]",
        ..Rule::WARNING
    },
    check: |findings| {
        let scenario = findings.scenario();
        if scenario.invariants.is_empty() {
            findings.report(
                &NOTHING_JUDGED.rule,
                scenario.scenario.span,
                "no invariant is judged: samples may fail and the run still passes",
                "add `invariants: [no-lost-request]`",
            );
        }
    },
};

pub const UNKNOWN_RULE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F114",
        name: "unknown-rule",
        explain: "The expected verdict names a rule: an invariant, or one of those that apply to every run.",
        failing: "expect: {verdict: fail, rule: no-lost-requests}",
        passing: "expect: {verdict: fail, rule: no-lost-request}",
        ..Rule::ERROR
    },
    check: |findings| {
        let Some(expect) = &findings.scenario().expect else { return };
        let known = known_rules(findings);
        for rule in expect.rule.iter().chain(&expect.holds).filter(|rule| !known.contains(&rule.as_str())) {
            let meant = names::nearest(rule, known.iter().copied());
            let help = meant.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            findings.report(
                &UNKNOWN_RULE.rule,
                rule.span,
                format!("unknown rule `{rule}`"),
                format!("{help}known: {}", names::list(&known)),
            );
        }
    },
};

/// Every rule that a verdict of this scenario can name.
fn known_rules<'a>(findings: &Findings<'a>) -> Vec<&'a str> {
    let own = findings.scenario().invariants.iter().filter_map(|judged| judged.own());
    let known = Invariant::ALL.iter().map(|i| i.as_str()).chain(RULES_BEYOND_INVARIANTS);
    known.chain(own.map(|rule| rule.name.as_str())).collect()
}

pub const UNJUDGED_RULE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F115",
        name: "unjudged-rule",
        explain: "A run can only fail by an invariant that it is judged by, and only such a one can hold; expecting any other, it \
                  would always end unexpectedly.",
        failing: "invariants: []\nexpect: {verdict: fail, rule: no-lost-request}",
        passing: "invariants: [no-lost-request]\nexpect: {verdict: fail, rule: no-lost-request}",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let Some(expect) = &scenario.expect else { return };
        for rule in expect.rule.iter().chain(&expect.holds) {
            let is_known = Invariant::ALL.iter().any(|i| i.as_str() == rule.as_str());
            if is_known && !scenario.invariants.iter().any(|judged| judged.name() == rule.as_str()) {
                findings.report(
                    &UNJUDGED_RULE.rule,
                    rule.span,
                    format!("the run is not judged by `{rule}`"),
                    format!("add it: `invariants: [{rule}]`"),
                );
            }
        }
        if expect.rule.is_some() && expect.verdict.value == ExpectedVerdict::Infra {
            findings.report(
                &UNJUDGED_RULE.rule,
                expect.verdict.span,
                "a verdict `infra` names no rule",
                "remove `rule`, or expect another verdict",
            );
        }
        let Some(rule) = &expect.rule else { return };
        if expect.verdict.value == ExpectedVerdict::Pass {
            findings.report(
                &UNJUDGED_RULE.rule,
                rule.span,
                "a verdict `pass` names no rule",
                "remove `rule`, or expect another verdict",
            );
        }
    },
};

pub const NEEDLESS_HOLDS: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F140",
        name: "needless-holds",
        explain: "`holds` names rules that must hold although the run does not pass. One that the verdict names cannot hold, and with \
                  a verdict `pass` all hold.",
        failing: "expect: {verdict: fail, rule: no-lost-request, holds: [no-lost-request]}",
        passing: "invariants: [no-lost-request, no-restart]\nexpect: {verdict: fail, rule: no-lost-request, holds: [no-restart]}",
        ..Rule::WARNING
    },
    check: |findings| {
        let Some(expect) = &findings.scenario().expect else { return };
        for held in &expect.holds {
            let message = match &expect.rule {
                _ if expect.verdict.value == ExpectedVerdict::Pass => "every rule holds when the run passes".to_owned(),
                Some(rule) if rule.value == held.value => format!("`{rule}` cannot give the verdict and hold as well"),
                _ => continue,
            };
            findings.report(&NEEDLESS_HOLDS.rule, held.span, message, "remove it");
        }
    },
};

#[cfg(test)]
mod tests {
    use crate::lint::tests::findings;

    #[test]
    fn what_is_wrong_with_expectations() {
        let expectations = [
            "{verdict: infra}",
            "{verdict: infra, rule: no-lost-request}",
            "{verdict: fail, rule: no-lost-request, holds: [no-restrat]}",
            "{verdict: fail, rule: no-lost-request, holds: [same-uid]}",
            "{verdict: fail, rule: no-lost-request, holds: [steps]}",
            "{verdict: pass, holds: [no-lost-request]}",
            "{verdict: inconclusive, rule: self-proof}",
        ];
        let said = expectations.map(|expect| {
            let found = findings(&format!("expect: {expect}"), &[]);
            let shown: String = found.iter().map(|d| format!("  {}: {}\n", d.code, d.message)).collect();
            format!("{expect}\n{shown}")
        });
        insta::assert_snapshot!(said.concat(), @r"
        {verdict: infra}
        {verdict: infra, rule: no-lost-request}
          F115: a verdict `infra` names no rule
        {verdict: fail, rule: no-lost-request, holds: [no-restrat]}
          F114: unknown rule `no-restrat`
        {verdict: fail, rule: no-lost-request, holds: [same-uid]}
          F115: the run is not judged by `same-uid`
        {verdict: fail, rule: no-lost-request, holds: [steps]}
        {verdict: pass, holds: [no-lost-request]}
          F131: every scenario is expected to pass
          F140: every rule holds when the run passes
        {verdict: inconclusive, rule: self-proof}
        ");
    }
}

//! How the run is judged.

use crate::lint::{Rule, ScenarioRule};
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
        let known: Vec<&str> = Invariant::ALL.iter().map(|i| i.as_str()).chain(RULES_BEYOND_INVARIANTS).collect();
        let Some(rule) = findings.scenario().expect.as_ref().and_then(|e| e.rule.as_ref()) else { return };
        if !known.contains(&rule.as_str()) {
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

pub const UNJUDGED_RULE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F115",
        name: "unjudged-rule",
        explain: "A run can only fail by an invariant that it is judged by; expecting any other, it would always end unexpectedly.",
        failing: "invariants: []\nexpect: {verdict: fail, rule: no-lost-request}",
        passing: "invariants: [no-lost-request]\nexpect: {verdict: fail, rule: no-lost-request}",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let Some(expect) = &scenario.expect else { return };
        let Some(rule) = &expect.rule else { return };
        let known = Invariant::ALL.iter().find(|i| i.as_str() == rule.as_str());
        if known.is_some_and(|i| !scenario.invariants.iter().any(|judged| judged.value == *i)) {
            findings.report(
                &UNJUDGED_RULE.rule,
                rule.span,
                format!("the run is not judged by `{rule}`"),
                format!("add it: `invariants: [{rule}]`"),
            );
        }
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

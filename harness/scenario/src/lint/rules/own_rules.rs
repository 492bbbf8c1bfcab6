//! Rules of the scenario's own.

use crate::lint::{Rule, ScenarioRule};
use crate::model::{Invariant, OwnRule, RULES_BEYOND_INVARIANTS};
use crate::steps::check_expression;

pub const NAME: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F141",
        name: "rule-name",
        explain: "A verdict names the rules that it rests on; a rule of the scenario's own with the name of another could not be told \
                  from it.",
        failing: "invariants: [{name: no-restart, cel: size(errors) == 0}]",
        passing: "invariants: [{name: calm, cel: size(errors) == 0}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let own: Vec<&OwnRule> = findings.scenario().invariants.iter().filter_map(|judged| judged.own()).collect();
        let is_known = |name: &str| {
            let apply_always =
                RULES_BEYOND_INVARIANTS.contains(&name) || ["infra", "cancelled", "record"].contains(&name);
            apply_always || Invariant::ALL.iter().any(|known| known.as_str() == name)
        };
        for (i, rule) in own.iter().enumerate() {
            let message = if is_known(rule.name.as_str()) {
                format!("`{}` is a rule that is known already", rule.name)
            } else if let Some(first) = own[..i].iter().find(|other| other.name.value == rule.name.value) {
                format!("a second rule `{}`, after the one in line {}", rule.name, first.name.span.line)
            } else {
                continue;
            };
            findings.report(&NAME.rule, rule.name.span, message, "give it a name of its own");
        }
    },
};

pub const EXPRESSION: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F142",
        name: "rule-without-record",
        explain: "An expression that does not look at the record says nothing about the run.",
        failing: "invariants: [{name: calm, cel: 2 > 1}]",
        passing: "invariants: [{name: calm, cel: \"probes['web/outside/new'].failed == 0\"}]",
        ..Rule::ERROR
    },
    check: |findings| {
        for rule in findings.scenario().invariants.iter().filter_map(|judged| judged.own()) {
            let example = "`probes['web/outside/new'].failed == 0` or `size(errors) == 0`";
            let Some(used) = check_expression(&rule.cel, &OwnRule::VARIABLES, example, findings) else { continue };
            if used.is_empty() {
                findings.report(
                    &EXPRESSION.rule,
                    rule.cel.span,
                    "the expression looks at no part of the record",
                    "mention one, such as `probes`, `phases` or `objects`, or remove the rule",
                );
            }
        }
    },
};

#[cfg(test)]
mod tests {
    use crate::lint::tests::findings;

    #[test]
    fn what_is_wrong_with_rules() {
        let rules = [
            "{name: calm, cel: size(errors) = 0}",
            "{name: calm, cel: size(error) == 0}",
            "{name: calm, cel: siez(errors) == 0}",
            "{name: infra, cel: size(errors) == 0}",
            "{name: calm, cel: size(errors) == 0}, {name: calm, cel: size(outages) == 0}",
            "{name: calm, cel: \"probes.all(name, probes[name].failed == 0)\"}",
        ];
        let said = rules.map(|rules| findings(&format!("invariants: [{rules}]"), &[]).to_text());
        insta::assert_snapshot!(said.concat().replace("scenarios/example-area/example.yaml:", ""), @r"
        15:45: error[F227]: this is not CEL: `=` has no meaning here (write CEL, such as `probes['web/outside/new'].failed == 0` or `size(errors) == 0`; compare by `==`, join by `&&` and `||`)
        15:37: error[F228]: the expression knows no `error` (did you mean `errors`? it knows `run`, `phases`, `probes`, `outages`, `objects`, `steps`, `errors` and `commits`)
        15:32: error[F228]: CEL has no function `siez` (did you mean `size`? its standard library has `size`, `has`, `exists`, `all`, `matches`, `timestamp`, …)
        15:21: error[F141]: `infra` is a rule that is known already (give it a name of its own)
        15:59: error[F141]: a second rule `calm`, after the one in line 15 (give it a name of its own)
        ");
    }
}

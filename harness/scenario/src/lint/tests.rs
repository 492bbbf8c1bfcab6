//! Every rule's own examples: what breaks it is reported under its code, what does not is not.

use std::collections::BTreeSet;

use rstest::rstest;

use super::rules::INSTANCE;
use super::{Known, Linter, Rule};
use crate::diagnostic::Diagnostics;
use crate::folders::tests::Memory;
use crate::parse::tests::example;
use crate::{Given, Sets, parse, parse_with};

/// The files that examples name, with those of an example of its own.
fn files(own: &[(&'static str, &'static str)]) -> Memory {
    let common = [
        ("example-area/instance.yaml", INSTANCE),
        ("example-area/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: more}\n"),
        ("fleets/web/apps/web.yaml", "greeting: old"),
        (
            "fleets/web/apps/web/deployment.yaml",
            include_str!("../../../../scenarios/fleets/web/apps/web/deployment.yaml"),
        ),
        (
            "fleets/web/apps/web/service.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{nodePort: 30080}, {nodePort: 30081}]}\n",
        ),
        ("fragments/nothing.yaml", "{fragment: nothing, summary: None, steps: []}"),
        (
            "fragments/settle.yaml",
            "{fragment: settle, summary: Waits, vars: {object: null}, steps: [wait: {ready: \"{{ object }}\"}]}",
        ),
        (
            "fleets/web/clusters/test/apps.yaml",
            include_str!("../../../../scenarios/fleets/web/clusters/test/apps.yaml"),
        ),
    ];
    Memory(common.into_iter().chain(own.iter().copied()).collect())
}

fn known() -> Known {
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Known {
        flux: set(&["2.9.2", "2.9.4"]),
        operator: set(&["0.59.0"]),
        components: set(&["source-controller", "kustomize-controller", "helm-controller", "notification-controller"]),
        images: set(&["ferry.local/workload:dev"]),
    }
}

pub(crate) fn findings(sections: &str, own: &[(&'static str, &'static str)]) -> Diagnostics {
    let files = files(own);
    let given = Given { files: &files, sets: &Sets::new(), cell: None };
    let scenario = parse_with("scenarios/example-area/example.yaml", &example(sections), given)
        .unwrap_or_else(|e| panic!("{}", e.to_text()));
    Linter::new(&files).knowing(&known()).lint(&scenario)
}

#[test]
fn every_rule_keeps_its_word() {
    let mut wrong = Vec::new();
    for rule in super::all_rules() {
        let found = findings(rule.failing, rule.failing_files);
        let mut own = found.iter().filter(|d| d.code == rule.code).peekable();
        assert!(own.peek().is_some(), "{} {}: the failing example gives\n{}", rule.code, rule.name, found.to_text());
        assert!(own.all(|d| d.severity == rule.severity && d.help.is_some()), "{} {}", rule.code, rule.name);
        let passing = findings(rule.passing, rule.passing_files).to_text();
        if !passing.is_empty() {
            wrong.push(format!("{} {}: the passing example: {passing}", rule.code, rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn every_code_of_the_parser_is_explained() {
    for rule in super::PARSE_RULES.iter().filter(|rule| !rule.failing.is_empty()) {
        let found = parse("f", &example(rule.failing)).expect_err(rule.name);
        assert!(found.iter().any(|d| d.code == rule.code), "{}: {}", rule.code, found.to_text());
        parse("f", &example(rule.passing)).unwrap_or_else(|e| panic!("{}: {}", rule.code, e.to_text()));
    }
}

#[test]
fn no_code_or_name_is_given_twice() {
    let rules = super::all_rules();
    for (i, rule) in rules.iter().enumerate() {
        let twin = rules[..i].iter().find(|r| r.code == rule.code || r.name == rule.name);
        assert_eq!(twin, None, "{rule:?}");
    }
}

#[test]
fn the_example_that_others_are_made_from_breaks_no_rule() {
    assert_eq!(findings("", &[]).to_text(), "");
}

#[test]
fn a_replaced_text_may_come_from_an_earlier_commit() {
    let commit =
        |from: &str, to: &str| format!("{{commit: {{message: m, replace: {{apps/web.yaml: {{{from}: {to}}}}}}}}}");
    let phases = |steps: [String; 2]| {
        format!(
            "phases: [{{phase: a, steps: [bootstrap: {{path: clusters/test}}, {}, {wait}]}}, {{phase: b, steps: [{}, {wait}]}}]",
            steps[0],
            steps[1],
            wait = "wait: {revision: head}"
        )
    };
    assert_eq!(findings(&phases([commit("old", "new"), commit("new", "newer")]), &[]).to_text(), "");
    let written = "{commit: {message: m, write: {apps/more.yaml: text}}}".to_owned();
    let replaced = "{commit: {message: m, replace: {apps/more.yaml: {text: other}}}}".to_owned();
    assert_eq!(findings(&phases([written, replaced]), &[]).to_text(), "");
}

/// A template stands in the repository under the name, and with the text, that it is rendered to.
#[test]
fn templates_and_what_was_moved_can_be_changed() {
    let template = [("fleets/web/apps/greeting.yaml.j2", "greeting: {{ greeting }}\n")];
    let found = |steps: &str| {
        findings(&format!("vars: {{greeting: hello}}\n{steps}\n- wait: {{revision: head}}"), &template).to_text()
    };
    assert_eq!(found("- commit: {message: m, replace: {apps/greeting.yaml: {'greeting: hello': 'greeting: hi'}}}"), "");
    assert_eq!(found("- commit: {message: m, move: {apps/greeting.yaml: apps/words.yaml}}"), "");
    assert_eq!(
        found("- commit: {message: m, move: {apps: b}}\n- commit: {message: m, replace: {b/web.yaml: {old: new}}}"),
        ""
    );
    assert_eq!(found("- commit: {message: m, move: {apps: b}}\n- commit: {message: m, delete: [b/web.yaml]}"), "");
    let unknown = found("- commit: {message: m, replace: {apps/greeting.yaml: {'greeting: {{ greeting }}!': x}}}");
    assert!(unknown.contains("`apps/greeting.yaml` does not contain this text"), "{unknown}");
}

/// Flux prunes by what it follows, and that is the branch that it was bootstrapped from.
#[test]
fn a_branch_that_flux_does_not_follow_may_lose_anything() {
    let found = |branch: &str| {
        let delete = format!("{{message: m, delete: [clusters/test/flux-system]{branch}}}");
        findings(&format!("- commit: {delete}\n- wait: {{revision: head}}"), &[]).to_text()
    };
    assert!(found("").contains("Flux would prune itself"));
    assert_eq!(found(", branch: other"), "");
}

const LET_GO: &str = "patch: {object: fluxinstance/flux-system/flux, merge: {metadata: {annotations: {fluxcd.controlplane.io/reconcile: disabled}}}}";
const DELETE: &str = "delete: fluxinstance/flux-system/flux";
const CLEAN_UP: &str = "commit: {message: m, delete: [clusters/main/flux-system]}, wait: {revision: head}";

/// What was done in one cluster is no reason for what may be done in another.
#[rstest]
#[case::edge_alone(&[], &[])]
#[case::let_go_in_each(&[LET_GO, DELETE], &[])]
#[case::bootstrapped_beside_a_taken_over_one(&["on: {cluster: main, steps: [bootstrap: {path: clusters/other}]}"], &[])]
#[case::let_go_elsewhere(&[LET_GO, "on: {cluster: main, steps: [delete: fluxinstance/flux-system/flux]}"], &["F215"])]
#[case::the_first_by_its_name(&[LET_GO, "on: {cluster: edge, steps: [delete: fluxinstance/flux-system/flux]}"], &[])]
#[case::operator_elsewhere(&["on: {cluster: main, steps: [apply: {file: instance.yaml}]}"], &["F211", "F212"])]
#[case::cleaned_up_by_the_other(&[CLEAN_UP], &["F213"])]
#[case::operator_gone_elsewhere(&["on: {cluster: main, steps: [delete: deployment/flux-system/flux-operator]}", LET_GO, DELETE], &[])]
fn order_is_each_clusters_own(#[case] steps: &[&str], #[case] codes: &[&str]) {
    let both = "bootstrap: {path: clusters/test}, on: {cluster: main, steps: [bootstrap: {path: clusters/main}]}";
    let take_over = "install-operator: {}, apply: {file: instance.yaml}, wait: {ready: fluxinstance/flux-system/flux}";
    let steps = [&[take_over], steps].concat().join(", ");
    let text = format!(
        "clusters: [edge, main]\noperator: {{version: 0.59.0}}\nphases: [{{phase: a, steps: [{both}]}}, {{phase: b, steps: [{steps}]}}]"
    );
    let found = findings(&text, &[("example-area/instance.yaml", INSTANCE)]);
    let about_order = found.iter().map(|d| d.code).filter(|code| ("F209".."F218").contains(code));
    assert_eq!(about_order.collect::<BTreeSet<_>>(), codes.iter().copied().collect(), "{}", found.to_text());
}

/// What an editor passes on has no name, and what would be beside it cannot be looked for.
#[test]
fn a_scenario_that_is_no_file() {
    let text = example("- apply: {file: beside.yaml}\n- sleep: {for: 1s, reason: soak}");
    let scenario = parse("<stdin>", &text).unwrap_or_else(|e| panic!("{}", e.to_text()));
    assert_eq!(Linter::new(&files(&[])).lint(&scenario).to_text(), "");
}

/// Everything that a rule says about its own failing example.
#[test]
fn what_rules_say() {
    let own = |rule: &Rule| {
        let found = findings(rule.failing, rule.failing_files).into_iter().filter(|d| d.code == rule.code);
        found.map(|d| d.to_text() + "\n").collect::<String>()
    };
    let texts: String = super::all_rules().iter().map(own).collect();
    insta::assert_snapshot!(texts.replace("scenarios/example-area/example.yaml:", ""));
}

//! Whole pages, and that every page can be reached.

use std::collections::HashSet;

use super::*;
use crate::model::Invariant;

fn page(path: &str) -> String {
    explain(path).unwrap_or_else(|e| panic!("{path}: {} ({})", e.message, e.hint))
}

#[test]
fn the_whole_file() {
    insta::assert_snapshot!(page(""));
}

#[test]
fn keys_types_and_names() {
    let paths = [
        "phases",
        "phases.budget.failed",
        "step.wait",
        "step.wait.ready",
        "step.delete",
        "step.sleep",
        "probe.http",
        "probe.http.node-port",
        "probe.canary",
        "step.cut",
        "phases.changes",
        "proof",
        "invariants",
        "invariant.no-lost-request",
        "deadline",
        "deadline.wait",
        "timeouts",
        "verdict",
        "status",
        "flux",
        "object-ref",
    ];
    let pages = paths.map(|path| format!("$ ferry explain {path}\n{}\n", page(path)));
    insta::assert_snapshot!(pages.concat());
}

#[test]
fn what_is_not_there() {
    let paths = [
        "phasse",
        "xyzzy",
        "step.wiat",
        "step.wait.raedy",
        "step.wait.ready.name",
        "deadline.weit",
        "invariants.no-lost",
    ];
    let said = paths.map(|path| {
        let error = explain(path).expect_err("nothing there");
        format!("{} ({})", error.message, error.hint)
    });
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_kind_is_found_without_its_parent() {
    // A key of the whole file comes first: `flux` is both.
    for kind in steps::KINDS.iter().filter(|kind| kind.kind != "flux") {
        assert_eq!(page(kind.kind), page(&format!("step.{}", kind.kind)));
        assert!(page(kind.kind).contains(&format!("- {}", kind.example)), "{}", kind.kind);
    }
    for kind in probes::KINDS.iter().filter(|kind| kind.kind != "flux") {
        assert_eq!(page(kind.kind), page(&format!("probe.{}", kind.kind)));
    }
}

/// Every key and every name that a scenario can have, down to the last: it has a page, and the page says something.
#[test]
fn everything_is_explained() {
    /// `seen`: what steps hold other steps is walked once.
    fn walk(schema: Schema<'_>, path: &str, node: &Value, seen: &mut HashSet<*const Value>, pages: &mut usize) {
        for child in schema.children(node) {
            let path = if path.is_empty() { child.name.clone() } else { format!("{path}.{}", child.name) };
            let text = page(&path);
            let described = text.split_once("DESCRIPTION:\n").is_some_and(|(_, rest)| rest.starts_with("    "));
            assert!(described || schema.is_name(child.node), "{path} says nothing:\n{text}");
            *pages += 1;
            if !schema.is_name(child.node) && seen.insert(std::ptr::from_ref(schema.resolve(child.node))) {
                walk(schema, &path, child.node, seen, pages);
            }
        }
    }
    let schema = Schema::new(schema::cached());
    let mut pages = 0;
    walk(schema, "", schema.root(), &mut HashSet::new(), &mut pages);
    assert!(pages > 100, "{pages}");
    for name in schema.type_names() {
        assert!(page(&name).len() > 40, "{name}");
    }
    for invariant in Invariant::ALL {
        page(&format!("invariant.{invariant}"));
    }
}

/// Examples made of the schema are right: a scenario with them parses.
#[test]
fn examples_parse() {
    let example = |path: &str| {
        let text = page(path);
        let (_, example) = text.split_once("EXAMPLE:\n").unwrap_or_else(|| panic!("{path} has no example:\n{text}"));
        example.split("\n\n").next().unwrap_or_default().trim().to_owned()
    };
    for key in ["tags", "flux", "operator", "workloads", "invariants", "proof", "expect", "timeouts"] {
        let text = crate::parse::tests::example(&example(key));
        crate::parse("area/example.yaml", &text).unwrap_or_else(|found| panic!("{text}\n{}", found.to_text()));
    }
    for kind in probes::KINDS {
        let probes = format!("probes:\n  {}", example(&format!("probe.{}", kind.kind)));
        crate::parse("area/example.yaml", &crate::parse::tests::example(&probes)).unwrap();
    }
}

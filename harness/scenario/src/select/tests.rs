//! Filters as people write them: what they select, and what they get to see for mistakes.

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn cell(kubernetes: &str, provider: &str) -> Cell {
    Cell { kubernetes: kubernetes.into(), provider: provider.into(), ..Cell::default() }
}

/// Area, name, tags, suites, release of Kubernetes, provider.
type Trial = (&'static str, &'static str, &'static [&'static str], &'static [&'static str], &'static str, &'static str);

const TRIALS: [Trial; 5] = [
    ("single-tenant", "official", &["official", "smoke"], &["smoke", "ci"], "1.34", "kind"),
    ("single-tenant", "official", &["official", "smoke"], &["ci"], "1.36", "kind"),
    ("single-tenant", "take-over-by-flux", &["official"], &["ci"], "1.34", "kind"),
    ("multi-tenant", "lock-down", &["tenants"], &["nightly"], "1.34", "k3s"),
    ("self-test", "broken-workload", &["self-test"], &["ci"], "1.33", "kind"),
];

fn with_candidates<T>(look: impl FnOnce(&[Candidate<'_>]) -> T) -> T {
    let cells = TRIALS.map(|(_, _, _, _, kubernetes, provider)| cell(kubernetes, provider));
    let candidates: Vec<Candidate<'_>> = TRIALS
        .iter()
        .zip(&cells)
        .map(|((area, name, tags, suites, _, _), cell)| Candidate { area, name, tags, suites, cell })
        .collect();
    look(&candidates)
}

#[rstest]
#[case("all()", &[0, 1, 2, 3, 4])]
#[case("tag(official)", &[0, 1, 2])]
#[case("name(official)", &[0, 1])]
#[case("name(*o*)", &[0, 1, 2, 3, 4])]
#[case("name(take-*)", &[2])]
#[case("name({take-*,lock-*})", &[2, 3])]
#[case("name(single-tenant/*)", &[0, 1, 2])]
#[case("name(*/lock-down)", &[3])]
#[case("area(multi-tenant)", &[3])]
#[case("suite(smoke)", &[0])]
#[case("k8s(>=1.34)", &[0, 1, 2, 3])]
#[case("k8s(1.34) & provider(kind)", &[0, 2])]
#[case("provider(k3s)", &[3])]
#[case("var(provider=k3s)", &[3])]
#[case("var(auth=http)", &[])]
#[case("not tag(official)", &[3, 4])]
#[case("!tag(official)&!area(self-test)", &[3])]
#[case("not (tag(official) | area(self-test))", &[3])]
#[case("not not tag(smoke)", &[0, 1])]
// `&` binds more closely than `|`.
#[case("tag(tenants) | tag(smoke) & k8s(>1.34)", &[1, 3])]
#[case("(tag(tenants) | tag(smoke)) & k8s(>1.34)", &[1])]
#[case("tag(tenants) or tag(smoke) and k8s(>1.34)", &[1, 3])]
#[case("tag(tenants) || tag(smoke) && k8s(>1.34)", &[1, 3])]
#[case("  tag ( smoke )\n  & k8s( >= 1.36 )  ", &[1])]
fn selects(#[case] text: &str, #[case] expected: &[usize]) {
    let filter: Filter = text.parse().unwrap_or_else(|found| panic!("{found}"));
    let selection = Selection { filter: Some(filter), ..Selection::default() };
    assert_eq!(with_candidates(|candidates| selection.pick(candidates)), expected);
}

#[test]
fn a_suite_and_a_filter_must_both_hold() {
    let filter = "k8s(1.34)".parse().ok();
    let selection = Selection { suite: Some("ci".into()), filter, shard: None };
    assert_eq!(with_candidates(|candidates| selection.pick(candidates)), [0, 2]);
    let absent = Selection { suite: Some("weekly".into()), ..Selection::default() };
    assert_eq!(with_candidates(|candidates| absent.pick(candidates)), [0_usize; 0]);
}

/// The shards of one selection, whatever order its candidates are listed in.
#[test]
fn shards_follow_the_trials_names() {
    let names = |shard: &str, reversed: bool| {
        let selection = Selection { shard: shard.parse().ok(), ..Selection::default() };
        with_candidates(|candidates| {
            let mut candidates = candidates.to_vec();
            if reversed {
                candidates.reverse();
            }
            let mut names: Vec<String> =
                selection.pick(&candidates).iter().map(|i| candidates[*i].trial_name()).collect();
            names.sort();
            names
        })
    };
    insta::assert_debug_snapshot!([names("1/2", false), names("2/2", false)], @r#"
    [
        [
            "multi_tenant::lock_down::k8s_1_34::k3s",
            "single_tenant::official::k8s_1_34::kind",
            "single_tenant::take_over_by_flux::k8s_1_34::kind",
        ],
        [
            "self_test::broken_workload::k8s_1_33::kind",
            "single_tenant::official::k8s_1_36::kind",
        ],
    ]
    "#);
    for shard in ["1/2", "2/2", "1/3", "3/3"] {
        assert_eq!(names(shard, false), names(shard, true), "{shard}");
    }
}

fn rendered(found: &Diagnostics) -> String {
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(120).with_links(false);
    let mut all = String::new();
    for report in found.reports() {
        handler.render_report(&mut all, report.as_ref()).unwrap();
    }
    all
}

#[test]
fn a_mistake_points_at_its_place() {
    let found = "tag(smoke) & nmae(x) | k8s(>=v1.34)".parse::<Filter>().unwrap_err();
    insta::assert_snapshot!(rendered(&found), @"
    E015

      × unknown predicate `nmae`; did you mean `name`?
       ╭─[--filter:1:14]
     1 │ tag(smoke) & nmae(x) | k8s(>=v1.34)
       ·              ──┬─
       ·                ╰── no such predicate
       ╰────
      help: predicates: `tag(smoke)`, `name(take-*)`, `area(single-tenant)`, `suite(ci)`, `k8s(>=1.34)`, `provider(kind)`,
            `var(auth=http)` and `all()`
    E015

      × `>=v1.34` is not a range of Kubernetes releases: it starts with `v`
       ╭─[--filter:1:28]
     1 │ tag(smoke) & nmae(x) | k8s(>=v1.34)
       ·                            ───┬───
       ·                               ╰── here
       ╰────
      help: write `>=1.34`
    ");
}

/// What help shows is what can be read.
#[test]
fn the_syntax_that_help_shows_is_complete() {
    let examples: Vec<&str> = SYNTAX.lines().filter_map(|line| line.split_inclusive(')').next()).collect();
    let (last, examples) = examples.split_last().unwrap();
    assert!(last.starts_with("a & b"), "{last}");
    for example in examples {
        example.parse::<Filter>().unwrap_or_else(|found| panic!("{found}"));
    }
    for (name, _) in parse::PREDICATES {
        assert!(examples.iter().any(|example| example.starts_with(&format!("{name}("))), "{name}");
    }
}

#[test]
fn every_kind_of_mistake() {
    let texts = [
        "",
        "   ",
        "smoke",
        "tag",
        "tag smoke",
        "tag(",
        "tag()",
        "tag(smoke",
        "tag(a(b))",
        "tag(Smoke)",
        "tag(smo*)",
        "tagg(smoke)",
        "label(smoke)",
        "kubernetes(1.34)",
        "xyzzy(smoke)",
        "name()",
        "name([a)",
        "name({a,b)",
        "name(a{{b)",
        "k8s()",
        "k8s(>=1.34.4)",
        "k8s(v1.34)",
        "k8s(latest)",
        "var()",
        "var(auth)",
        "var(=http)",
        "var(auth!=http)",
        "all(x)",
        "(tag(a) | tag(b)",
        "tag(a))",
        "()",
        "tag(a) tag(b)",
        "tag(a) & ",
        "tag(a) & | tag(b)",
        "not",
        "& tag(a)",
        "tag(a) , tag(b)",
        "tag(ä)",
        "tag(a) & nmae(b) & area(C) & k8s(x",
    ];
    let said = texts.map(|text| match text.parse::<Filter>() {
        Ok(filter) => panic!("{text:?} parses, as {filter}"),
        Err(found) => format!("{text:?}\n{}", found.to_text()),
    });
    insta::assert_snapshot!(said.concat());
}

#[test]
fn a_name_that_nothing_has_is_a_mistake() {
    let texts = [
        "tag(smoek)",
        "tag(xyzzy)",
        "area(single-tenat)",
        "suite(ci) & not suite(nigthly)",
        "name(offical)",
        "name(multi-tenant/lokc-down)",
        "k8s(>1.40)",
        "provider(knid)",
        "var(auth=http)",
        "var(provider=eks)",
        "all()",
    ];
    let said = texts.map(|text| {
        let filter: Filter = text.parse().unwrap();
        format!("{text}\n{}", with_candidates(|candidates| filter.check("--filter", candidates).to_text()))
    });
    insta::assert_snapshot!(said.concat(), @"
    tag(smoek)
    --filter:1:1: error[E015]: `tag(smoek)` selects nothing; did you mean `smoke`? (there are `official`, `self-test`, `smoke` and `tenants`)
    tag(xyzzy)
    --filter:1:1: error[E015]: `tag(xyzzy)` selects nothing (there are `official`, `self-test`, `smoke` and `tenants`)
    area(single-tenat)
    --filter:1:1: error[E015]: `area(single-tenat)` selects nothing; did you mean `single-tenant`? (there are `multi-tenant`, `self-test` and `single-tenant`)
    suite(ci) & not suite(nigthly)
    --filter:1:17: error[E015]: `suite(nigthly)` selects nothing; did you mean `nightly`? (there are `ci`, `nightly` and `smoke`)
    name(offical)
    --filter:1:1: error[E015]: `name(offical)` selects nothing; did you mean `official`? (there are `broken-workload`, `lock-down`, `official` and `take-over-by-flux`)
    name(multi-tenant/lokc-down)
    --filter:1:1: error[E015]: `name(multi-tenant/lokc-down)` selects nothing; did you mean `multi-tenant/lock-down`? (there are `multi-tenant/lock-down`, `self-test/broken-workload`, `single-tenant/official` and `single-tenant/take-over-by-flux`)
    k8s(>1.40)
    --filter:1:1: error[E015]: `k8s(>1.40)` selects nothing (there are `1.33`, `1.34` and `1.36`)
    provider(knid)
    --filter:1:1: error[E015]: `provider(knid)` selects nothing; did you mean `kind`? (there are `k3s` and `kind`)
    var(auth=http)
    --filter:1:1: error[E015]: `var(auth=http)` selects nothing (`ferry list` shows the scenarios there are)
    var(provider=eks)
    --filter:1:1: error[E015]: `var(provider=eks)` selects nothing (there are `k3s` and `kind`)
    all()
    ");
}

fn predicates() -> impl Strategy<Value = Predicate> {
    let name = "[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,3})?";
    prop_oneof![
        Just(Predicate::All),
        name.prop_map(Predicate::Tag),
        name.prop_map(Predicate::Area),
        name.prop_map(Predicate::Suite),
        name.prop_map(Predicate::Provider),
        r"[a-z*?/]{1,6}(\{a,b\*\})?".prop_filter_map("a glob", |text| NameGlob::new(&text).ok().map(Predicate::Name)),
        (0_u64..3, 0_u64..99, 0_usize..6).prop_map(|(major, minor, sign)| {
            let comparison = [
                Comparison::Less,
                Comparison::AtMost,
                Comparison::Equal,
                Comparison::NotEqual,
                Comparison::AtLeast,
                Comparison::Greater,
            ][sign];
            Predicate::Kubernetes(KubernetesRange { comparison, release: (major, minor) })
        }),
        (name, "[a-zA-Z0-9=.:/-]{1,8}").prop_map(|(name, value)| Predicate::Var(name, value)),
    ]
}

fn expressions() -> impl Strategy<Value = Expr> {
    predicates().prop_map(Expr::Is).prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|expr| Expr::Not(Box::new(expr))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            proptest::collection::vec(inner, 2..4).prop_map(Expr::Or),
        ]
    })
}

/// Any text, text that looks like a filter, and deep ones.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r"((tag|name|k8s|var|not|and|or|all|[a-z]{1,4})|[()&|!*{}\[\]<>= .=ä]|\(|\)|1\.3){0,24}",
        (0_usize..3000, r"[(!]|not |\(not ").prop_map(|(times, text)| text.repeat(times) + "tag(a)"),
    ]
}

proptest! {
    #[test]
    fn reads_what_it_prints(expr in expressions()) {
        let text = expr.to_string();
        let filter: Filter = text.parse().map_err(|found: Diagnostics| TestCaseError::fail(format!("{text}: {found}")))?;
        prop_assert_eq!(filter.expr(), &expr);
        prop_assert_eq!(filter.to_string(), text);
    }

    #[test]
    fn reads_anything_without_panic_and_points_into_it(text in texts()) {
        match text.parse::<Filter>() {
            Ok(filter) => prop_assert!(filter.to_string().parse::<Filter>().is_ok()),
            Err(found) => {
                prop_assert!(!found.is_empty());
                for diagnostic in found {
                    let start = diagnostic.span.offset as usize;
                    let end = start + diagnostic.span.len as usize;
                    prop_assert!(text.get(start..end).is_some(), "{start}..{end} of {text:?}");
                    prop_assert!(diagnostic.help.is_some());
                }
            }
        }
    }
}

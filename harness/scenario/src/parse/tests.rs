//! What authors get to see for their mistakes.

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::folders::tests::Memory;

/// A scenario that breaks no rule, by its sections.
const EXAMPLE: &[&str] = &[
    "scenario: example",
    "summary: What it proves",
    "cluster: single-node",
    "fleet: fleets/web",
    "flux: {version: 2.9.2}",
    "probes:\n  - http: {name: web, node-port: 30080}",
    "phases:\n  - phase: bootstrap\n    steps:\n      - bootstrap: {path: clusters/test}\n  - phase: soak\n    steps:\n      - sleep: {for: 1s, reason: soak}",
    "invariants: [no-lost-request]",
];

/// The example with some of its sections replaced and others added; lines that start with `- ` are steps of its last phase.
pub(crate) fn example(changes: &str) -> String {
    let (mut sections, mut steps): (Vec<String>, Vec<String>) = Default::default();
    let mut in_step = false;
    for line in changes.lines() {
        if !line.starts_with(' ') {
            in_step = line.starts_with("- ");
            if in_step { &mut steps } else { &mut sections }.push(String::new());
        }
        let part =
            if in_step { steps.last_mut() } else { sections.last_mut() }.expect("a first line without indentation");
        *part += &format!("{line}\n");
    }
    if !steps.is_empty() {
        let first = "phases:\n  - phase: bootstrap\n    steps:\n      - bootstrap: {path: clusters/test}\n";
        sections.push(format!(
            "{first}  - phase: example\n    steps:\n      {}",
            steps.concat().trim_end().replace('\n', "\n      ")
        ));
    }
    let key = |section: &str| section.split(':').next().map(str::to_owned);
    let kept = EXAMPLE.iter().filter(|part| sections.iter().all(|section| key(part) != key(section)));
    let mut all: Vec<&str> = kept.copied().collect();
    all.extend(sections.iter().map(|section| section.trim_end_matches('\n')));
    all.join("\n") + "\n"
}

/// The content of one step, given with its key.
#[track_caller]
pub(crate) fn step<T: for<'de> serde::Deserialize<'de>>(step: &str) -> T {
    let source = Source::new("f", step);
    let (root, found) = tree::read(&source, &source.main(), &mut 0).unwrap();
    let read: std::collections::BTreeMap<String, T> =
        typed::convert(&root, &source).unwrap_or_else(|e| panic!("{}", Diagnostics::from(e).to_text()));
    assert!(found.is_empty());
    read.into_values().next().unwrap()
}

/// As the command line shows it, without colours.
fn rendered(text: &str) -> String {
    let found = parse("area/example.yaml", text).expect_err("a mistake");
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(120).with_links(false);
    let mut all = String::new();
    for report in found.reports() {
        handler.render_report(&mut all, report.as_ref()).unwrap();
    }
    all
}

fn lines(text: &str) -> String {
    parse("f", text).expect_err("a mistake").to_text()
}

#[test]
fn the_example_parses() {
    parse("area/example.yaml", &example("")).unwrap();
}

macro_rules! mistakes {
    ($($name:ident: $text:expr;)+) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(lines(&$text));
        })+
    };
}

mistakes! {
    empty: "";
    only_comments: "# nothing\n\n";
    unknown_top_level_key: example("phase: [a]");
    unknown_step: example("- wiat: {ready: deployment/apps/web}");
    unknown_step_without_a_near_name: example("- kubectl: get pods");
    unknown_key_in_a_step: example("- wait: {raedy: deployment/apps/web, within: 5m}");
    unknown_component: example("flux: {version: 2.9.2, components: [source-controler, helm-controller]}");
    unknown_invariant: example("invariants: [no-lost-requests, same-uid]");
    unknown_timeout: example("timeouts: {boostrap: 5m}");
    unknown_probe_kind: example("probes:\n  - tcp: {name: web, port: 80}");
    probe_of_an_odd_address: example("probes:\n  - http: {name: a, url: web.apps.svc, from: [inside]}\n  - tcp: {name: b, address: web, from: [inside]}\n  - canary: {name: c, allowed: 'web:80'}\n  - kube-api: {name: d, ask: lst}\n  - dns: {name: e, query: x, from: [inside]}");
    odd_rule_of_its_own: example("invariants: [{name: calm}, {nmae: calm, cel: 'true'}, 5, {name: Calm, cel: 'true'}]");
    odd_changes: example("phases:\n  - phase: a\n    changes: [web, deployment/apps/web-*]\n    steps: []");
    odd_proof: example("proof: {self-prof: true, quiet: 10, soak: none}");
    odd_faults: example("- cut: {pods: web, for: 300}\n- cut: {pods: deployment/apps/web, for: 1s, ports: [0]}\n- kill: {agnet: all}\n- kill: all");
    missing_top_level_keys: "scenario: example\nsummary: x\n";
    missing_key_in_a_step: example("- assert: {object: deployment/apps/web}");
    a_mistyped_key_is_not_missing_as_well: example("probes:\n  - http: {nmae: web, nodeport: 30080}");
    repeated_keys: "scenario: a\nscenario: b\nflux: {version: 2.9.2, version: 2.9.4}\n1: x\n1: y\n";
    repeated_key_with_other_mistakes: example("flux: {version: 2.9, version: 2.9.2}");
    version_as_a_number: example("flux: {version: 2.9}");
    version_with_a_v: example("flux: {version: v2.9.2}");
    bad_duration: example("- wait: {ready: deployment/apps/web, within: 5}");
    bad_duration_unit: example("- wait: {ready: deployment/apps/web, within: 5min}");
    bad_rate: example("probes:\n  - http: {name: web, node-port: 30080, rate: 20}");
    bad_object: example("- delete: Deployment/apps/web");
    bad_path: example("fleet: ../fleets/web");
    bad_field_path: example("- assert: {object: a/b, path: 'spec[', equals: 1}");
    bad_name: example("scenario: The Example");
    negative_number: example("phases:\n  - phase: a\n    budget: {failed: -1}\n    steps: []");
    number_too_large: example("probes:\n  - http: {name: web, node-port: 300800}");
    wait_for_nothing: example("- wait: {within: 5m}");
    wait_for_two: example("- wait: {ready: a/b, gone: c/d}");
    wait_combined_badly: example("- wait: {all: [{ready: a/b, gone: c/d}, {raedy: a/b}, gone: c]}");
    wait_for_an_odd_revision: example("- wait: {revision: haed}\n- wait: {revision: {of: kustomization/a/b}}");
    wait_for_an_odd_count: example("- wait: {count: {kind: pod, is: 1, at-most: 2}}\n- wait: {count: {kind: Pod, labels: 'app: web', is: -1}}");
    wait_for_an_odd_line: example("- wait: {log: {of: a/b/c}}\n- wait: {log: {of: a/b/c, contains: x, matches: y}}\n- wait: {log: {of: a/b/c, matches: '(x'}}");
    wait_for_an_odd_metric: example("- wait: {metric: {of: a/b/c, port: 8080, name: 'up{x=1}', is: 1}}\n- wait: {metric: {of: a/b/c, port: 80800, name: up}}");
    assert_nothing: example("- assert: {within: 5s}");
    assert_two: example("- assert: {object: a/b, cel: 'true', matches: {spec: {}}}");
    assert_with_a_stray_key: example("- assert: {event: {of: a/b, reason: x}, objects: {a: a/b}}\n- assert: {unchanged: before, object: a/b}");
    assert_cel_without_an_object: example("- assert: {cel: object.x == 1}");
    assert_an_odd_event: example("- assert: {event: {of: a/b, typ: Warning}}\n- assert: {event: {of: a/b, type: Warn}}");
    assert_an_unknown_field_unchanged: example("- assert: {unchanged: before, fields: [uuid]}");
    apply_nothing: example("- apply: {}");
    apply_both: example("- apply: {file: a.yaml, manifest: {kind: X}}");
    step_with_key_beside: example("- wait: {ready: a/b}\n  within: 5m");
    two_steps_in_one: example("- delete: a/b\n  sleep: {for: 1s, reason: x}");
    step_without_content: example("- wait");
    step_with_empty_content: example("- wait:");
    steps_as_a_map: example("phases:\n  - phase: a\n    steps:\n      bootstrap: {path: clusters/test}");
    phase_as_a_list: example("phases:\n  - - phase: a");
    list_expected: example("tags: smoke");
    text_expected: example("summary: [a, b]");
    boolean_for_a_text: example("summary: true");
    nothing_for_a_text: example("summary:");
    nothing_for_a_list: example("tags:");
    unquoted_template: example("summary: {{ name }}");
    unquoted_condition_status: example("- wait: {condition: {object: a/b, type: Ready, status: True}}");
    commit_with_odd_content: example("- commit: {message: m, write: {a.yaml: {fiel: b.yaml}, c.yaml: 5}}");
    commit_outside_the_fleet: example("- commit: {message: m, delete: [../x], replace: {/etc/passwd: {a: b}}}");
    restart_nothing: example("- restart: {within: 5m}");
    restart_both: example("- restart: {pods: deployment/apps/web, node: worker}");
    restart_a_node_gently: example("- restart: {node: worker, grace: 30s}");
    restart_what_has_no_such_key: example("- restart: {server: git, grace: 5s}\n- restart: {component: kube-apiserver, down: 5s}\n- restart: {pods: deployment/apps/web, down: 5s}\n- restart: {server: git, component: kube-apiserver}");
    restart_the_unknown: example("- restart: {server: gti}\n- restart: {component: kube-apisrever}");
    restart_a_kind: example("- restart: deployment");
    restart_as_a_list: example("- restart: [deployment/apps/web]");
    reconcile_with_a_typo: example("- reconcile: {objcet: kustomization/flux-system/apps, with-sources: true}");
    reconcile_without_object: example("- reconcile: {force: true}");
    exec_nowhere: example("- exec: {in: toolbx, command: [ls]}");
    exec_a_command_line: example("- exec: {in: toolbox, command: kubectl get nodes}");
    exec_expecting_a_broken_pattern: example("- exec: {in: host, command: [ls], expect: {exit: 256, stdout-matches: 'a('}}");
    flux_without_args: example("- flux: {within: 1m}");
    revert_nothing: example("- commit: {message: m, revert: false}\n- commit: {message: m, revert: 0}\n- commit: {message: m, revert: last}");
    unknown_way_to_install: example("- install-operator: {version: 0.59.0, via: hlem}");
    unknown_verdict: example("expect: {verdict: failed}");
    tabs: "scenario: a\nphases:\n\t- phase: b\n";
    unclosed_bracket: "scenario: a\ntags: [a, b\nsummary: x\n";
    colon_in_a_text: "scenario: a\nsummary: one: two\n";
    two_documents: "scenario: a\n---\nscenario: b\n";
    unknown_alias: "scenario: *a\n";
    at_sign: "scenario: @a\n";
    unknown_tag: "scenario: !secret a\n";
    not_a_map: "- scenario: a\n";
    a_text: "just words\n";
    too_deep: format!("scenario: {}{}\n", "[".repeat(200), "]".repeat(200));
    alias_bomb: "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    unknown_connection: example("probes:\n  - http: {name: web, node-port: 30080, connection: [new, reusd]}");
    unknown_vantage: example("probes:\n  - http: {name: web, node-port: 30080, from: [outsid]}");
    unknown_transport: example("- bootstrap: {path: clusters/test, transport: https}");
    unknown_revision: example("- wait: {revision: heda}");
    unknown_condition_status: example("- wait: {condition: {object: a/b, type: Ready, status: \"Tru\"}}");
    negative_duration: example("timeouts: {wait: -5m}");
    duration_beyond_a_day: example("- sleep: {for: 25h, reason: soak}");
    rate_beyond_the_sampler: example("probes:\n  - http: {name: web, node-port: 30080, rate: 5000/s}");
    text_for_a_map: example("flux: 2.9.2");
    list_for_a_map: example("operator: [0.59.0]");
    repeated_key_in_a_step: example("- wait: {ready: a/b, ready: c/d}");
    sleep_without_reason: example("- sleep: {for: 5s}");
    number_as_a_text: example("- scale: {object: deployment/apps/web, replicas: two}");
    manifest_as_a_text: example("- apply: {manifest: 'kind: Namespace'}");
    missing_merge: example("- patch: {object: service/apps/web}");
    too_many_mistakes: (0..500).map(|i| format!("key-{i}: 1\n")).collect::<String>().lines().take(500).collect::<Vec<_>>().join("\n");
}

/// Ten mistakes of one afternoon, all found in one go.
#[test]
fn everything_at_once() {
    let text = "\
scenario: Official
summary: Take over
tags: smoke
cluster: single-node
fleet: fleets/web
flux:
  version: 2.9
  componets: [source-controller]
probes:
  - http: {name: web, node-port: 30080, rate: 20, connection: [new, reusd]}
phases:
  - phase: bootstrap
    steps:
      - bootstrap: {path: /clusters/test}
      - wiat: {ready: kustomization/flux-system/apps}
      - wait: {ready: deployment/apps/web}
        within: 5m
  - phase: take over
    bugdet: {failed: 0}
    steps:
      - assert: {object: fluxreport/flux-system/flux, equals: flux-operator}
invariants: [no-lost-requests]
";
    insta::assert_snapshot!(rendered(text));
}

#[test]
fn every_kinds_example_parses() {
    let fragment =
        "{fragment: take-over, summary: x, vars: {instance: null}, steps: [apply: {file: \"{{ instance }}\"}]}";
    let files = Memory([("fragments/take-over.yaml", fragment)].into());
    for kind in crate::steps::KINDS {
        let text = example(&format!("- {}", kind.example));
        let given = Given { files: &files, sets: &Sets::new(), cell: None };
        let scenario = parse_with("f", &text, given).unwrap_or_else(|e| panic!("{}: {}", kind.kind, e.to_text()));
        assert_eq!(scenario.phases[1].steps[0].kind(), kind.kind);
    }
}

#[test]
fn values_know_their_places() {
    let text = example("- wait: {ready: deployment/apps/web, within: 5m}");
    let scenario = parse("area/example.yaml", &text).unwrap();
    let step = &scenario.phases[1].steps[0];
    assert_eq!(scenario.place(step.span).to_string(), "area/example.yaml:15:9");
    let crate::steps::Step::Wait(wait) = &step.value else { panic!("{step:?}") };
    let within = wait.within.as_ref().unwrap();
    assert_eq!(
        (scenario.place(within.span).to_string(), scenario.source.slice(within.span)),
        ("area/example.yaml:15:52".into(), "5m")
    );
}

#[rstest]
#[case::anchors("timeouts: {wait: &t 2m, apply: *t}")]
#[case::merge("flux: &f {version: 2.9.2}\noperator: {<<: *f}")]
#[case::windows_line_ends("summary: a\r")]
#[case::quotes("summary: 'it: has # odd [signs]'")]
fn ordinary_yaml_parses(#[case] section: &str) {
    parse("f", &example(section)).unwrap();
}

#[test]
fn a_huge_text_is_rejected_by_its_size() {
    insta::assert_snapshot!(lines(&"x".repeat(50 << 20)), @"f:1:1: error[E001]: the file is too large to be a scenario: 52428800 bytes, at most 1048576 (keep manifests in files of their own, beside the scenario or in its fleet)");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let report = |name: &str, content: Option<&[u8]>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            fs_err::write(&path, content).unwrap();
        }
        let text = parse_file(&path).expect_err("a mistake").to_text();
        text.replace(&folder.path().display().to_string(), "[FOLDER]")
    };
    let huge = vec![b'#'; 50 << 20];
    insta::assert_snapshot!(
        [
            report("absent.yaml", None),
            report("binary.yaml", Some(b"scenario: a\xff\n")),
            report("empty.yaml", Some(b"")),
            report("huge.yaml", Some(&huge)),
        ]
        .concat(),
        @r"
        [FOLDER]/absent.yaml:1:1: error[E001]: failed to open file `[FOLDER]/absent.yaml`: No such file or directory (os error 2) (check the path; `ferry list` shows the scenarios there are)
        [FOLDER]/binary.yaml:1:1: error[E001]: not UTF-8 text from byte 11 on (a scenario is a YAML file in UTF-8)
        [FOLDER]/empty.yaml:1:1: error[E002]: the file holds no scenario (start with `scenario: NAME` and `summary: …`; `ferry new AREA/NAME` writes one to begin with)
        [FOLDER]/huge.yaml:1:1: error[E001]: the file is too large to be a scenario: 52428800 bytes, at most 1048576 (keep manifests in files of their own, beside the scenario or in its fleet)
        "
    );
}

/// Every mistake must point into the file.
fn check(text: &str) {
    if let Err(found) = parse("f", text) {
        assert!(!found.is_empty());
        for diagnostic in found.iter() {
            let (start, len) = (diagnostic.span.offset as usize, diagnostic.span.len as usize);
            assert!(start + len <= text.len(), "{diagnostic:?}");
            assert!(text.is_char_boundary(start) && text.is_char_boundary(start + len), "{diagnostic:?}");
            assert!(!diagnostic.message.is_empty());
        }
        // One is enough: rendering takes far longer than finding.
        let report = found.reports().next().unwrap();
        GraphicalReportHandler::new().render_report(&mut String::new(), report.as_ref()).unwrap();
    }
}

const OFFICIAL: &str = include_str!("../../../../scenarios/single-tenant/official.yaml");

proptest! {
    #[test]
    fn never_panics_on_any_text(text in ".{0,200}") {
        check(&text);
    }

    #[test]
    fn never_panics_on_yaml_like_text(text in "([a-z]{1,6}|[:\\-\\[\\]{},#&*!|>'\"%@`? ]|\n {0,6}|0x1|1\\.5|~|é){0,60}") {
        check(&text);
    }

    /// A valid file with a stretch cut out, doubled, or replaced by something else.
    #[test]
    fn never_panics_on_a_damaged_file(
        at in 0usize..OFFICIAL.len(),
        len in 0usize..40,
        with in prop_oneof![Just(String::new()), "[ -~\n]{1,12}", Just("\u{feff}é".to_owned()), Just("\t".to_owned())],
        twice: bool,
    ) {
        let mut end = (at + len).min(OFFICIAL.len());
        let mut start = at;
        while !OFFICIAL.is_char_boundary(start) { start -= 1; }
        while !OFFICIAL.is_char_boundary(end) { end += 1; }
        let cut = if twice { OFFICIAL[start..end].repeat(2) } else { String::new() };
        check(&format!("{}{cut}{with}{}", &OFFICIAL[..start], &OFFICIAL[end..]));
    }
}

//! Whoever judges a record from its file says what the run itself said, whatever happened in it, and wherever it was cut.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use ferry_record::cluster::{ErrorLine, Manager, ObjectSeen, facts};
use ferry_record::codec::{RECORD_FILE, ReadError, RecordWriter};
use ferry_record::event::{
    Budget, FORMAT, Failure, Level, Outcome, OwnRule, PhaseInfo, PhaseRole, ProbeInfo, RunStarted, SampleBlock,
};
use ferry_record::redact::Redactor;
use ferry_record::verdict::{judge, judge_live};
use ferry_record::{Event, EventKind, Judgement, RunState, Verdict, fold, invariants};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const PROBES: [&str; 3] = ["web/outside/new", "web/inside/reused", "db-denied/inside/new"];
const OBJECTS: [&str; 6] = [
    "deployment/apps/web",
    "pod/apps/web-1",
    "endpointslice/apps/web-x",
    "kustomization/flux-system/apps",
    "customresourcedefinition/kustomizations.kustomize.toolkit.fluxcd.io",
    "pod/flux-system/source-controller-1",
];
const RESOURCES: [&str; 3] = ["pods", "deployments.apps", "customresourcedefinitions.apiextensions.k8s.io"];

/// Every rule there is, and one of the scenario's own.
fn started() -> EventKind {
    let phase = |name: &str, role, longest| PhaseInfo {
        name: name.into(),
        budget: Budget { failed: 0, longest },
        steps: 1,
        role,
        changes: vec!["pod/apps/*".into()],
    };
    EventKind::RunStarted(Box::new(RunStarted {
        format: FORMAT,
        run: "20261121-120000-abcd".into(),
        scenario: "single-tenant/official".into(),
        summary: "Anything may happen".into(),
        cell: "k8s_1_34::kind".into(),
        ferry: "0.1.0".into(),
        wall: "2026-11-21T12:00:00Z".parse().unwrap(),
        clusters: vec![],
        phases: vec![
            phase("bootstrap", PhaseRole::Scenario, 0),
            phase("quiet", PhaseRole::Quiet, 0),
            phase("take over", PhaseRole::Scenario, 100 * MS),
        ],
        invariants: invariants::names().map(str::to_owned).collect(),
        rules: vec![OwnRule { name: "mine".into(), cel: "outages.all(o, o.ms < 200) && size(errors) < 2".into() }],
        flux_namespace: "flux-system".into(),
        self_proof: true,
        expect: None,
        host: BTreeMap::new(),
    }))
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Refused),
        Just(Failure::Timeout),
        (500u16..504).prop_map(Failure::Status),
        "(secret=[a-z]{8}|[a-z ]{0,8})".prop_map(Failure::Other),
    ]
}

fn samples() -> impl Strategy<Value = EventKind> {
    let sample =
        (800u32..200_000, prop_oneof![8 => 0u32..900, 1 => 60_000u32..90_000], prop::option::weighted(0.1, failure()));
    (prop::sample::select(&PROBES[..]), 0u64..400, prop::collection::vec(sample, 1..40)).prop_map(
        |(probe, first, samples)| {
            let failed = (0u32..).zip(&samples).filter_map(|(i, s)| Some((i, s.2.clone()?))).collect();
            let (latency, slip) = samples.iter().map(|(latency, slip, _)| (latency + slip, *slip)).unzip();
            let (start, interval) = (first * 50 * MS, 50 * MS);
            EventKind::Samples(SampleBlock { probe: probe.into(), start, interval, latency, slip, failed })
        },
    )
}

fn object() -> impl Strategy<Value = EventKind> {
    let manager = prop::sample::select(&["kustomize-controller", "flux-operator"][..]);
    (prop::sample::select(&OBJECTS[..]), 0u8..3, 0u32..5, 0u8..3, manager, any::<bool>()).prop_map(
        |(object, uid, version, value, manager, ready)| {
            let fact = |name: &str, value: String| (name.to_owned(), value);
            EventKind::Object(Box::new(ObjectSeen {
                object: object.into(),
                api: if object.starts_with("kust") { "kustomize.toolkit.fluxcd.io/v1" } else { "v1" }.into(),
                uid: format!("{object}#{uid}"),
                resource_version: version.to_string(),
                managers: vec![Manager {
                    name: manager.into(),
                    operation: "Apply".into(),
                    subresource: String::new(),
                    time: "2026-11-21T12:00:00Z".into(),
                    fields: value.to_string(),
                }],
                facts: BTreeMap::from([
                    fact(facts::TEMPLATE, value.to_string()),
                    fact(facts::SPEC, value.to_string()),
                    fact(facts::READY, ready.to_string()),
                    fact(facts::APPLIED, format!("main@sha1:{value}")),
                    fact(facts::SERVICE, "web".into()),
                    fact(facts::READY_ADDRESSES, if ready { "10.0.0.1" } else { "" }.into()),
                ]),
                ..ObjectSeen::default()
            }))
        },
    )
}

fn watching() -> impl Strategy<Value = EventKind> {
    let resource = || prop::sample::select(&RESOURCES[..]).prop_map(str::to_owned);
    prop_oneof![
        resource().prop_map(|resource| EventKind::WatchStarted { resource }),
        resource().prop_map(|resource| EventKind::WatchEnded { resource, reason: "forbidden".into() }),
        (resource(), 0u64..20_000, 0u64..900).prop_map(|(resource, from, len)| {
            let (from, to) = (from * MS, (from + len) * MS);
            EventKind::WatchGap { resource, from, to, reason: "gone too long".into(), kept: false }
        }),
        (prop::sample::select(&OBJECTS[..]), 0u8..3, any::<bool>()).prop_map(|(object, uid, late)| {
            EventKind::ObjectGone { object: object.into(), uid: format!("{object}#{uid}"), late }
        }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Done),
        1 => Just(Outcome::Failed { error: "not ready: password=hunter2-hunter2".into(), hint: None }),
        1 => Just(Outcome::Cancelled),
    ]
}

fn course() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        (0usize..4).prop_map(|phase| EventKind::PhaseStarted { phase }),
        (0usize..4, outcome()).prop_map(|(phase, outcome)| EventKind::PhaseEnded { phase, outcome }),
        (0usize..4, 0usize..4).prop_map(|(step, phase)| EventKind::StepStarted {
            step,
            phase,
            kind: "wait".into(),
            title: "wait for it".into(),
            place: None,
            deadline: None,
            parent: None,
        }),
        (0usize..4, outcome()).prop_map(|(step, outcome)| EventKind::StepEnded { step, outcome }),
        "[a-z]{0,8}".prop_map(|message| EventKind::Log { level: Level::Info, message }),
        Just(EventKind::Infra { what: "engine".into(), error: "no".into(), hint: None }),
        Just(EventKind::Cancelled { by: "SIGINT".into() }),
    ]
}

fn probing() -> impl Strategy<Value = EventKind> {
    let probe = || prop::sample::select(&PROBES[..]).prop_map(str::to_owned);
    prop_oneof![
        (probe(), 0u64..5_000).prop_map(|(probe, start)| EventKind::ProbeStarted(ProbeInfo {
            kind: if probe.starts_with("db") { "canary" } else { "http" }.into(),
            target: "http://web.apps.svc/".into(),
            place: "outside".into(),
            connection: "new".into(),
            start: start * MS,
            interval: 50 * MS,
            timeout: 1_000 * MS,
            probe,
        })),
        (probe(), 0u64..500).prop_map(|(probe, planned)| EventKind::ProbeStopped { probe, planned }),
        (probe(), 0u64..20_000, 0u64..500).prop_map(|(probe, from, len)| {
            let (from, to) = (from * MS, (from + len) * MS);
            EventKind::SamplerOutage { probe, from, to, reason: "the host was busy".into() }
        }),
    ]
}

fn told() -> impl Strategy<Value = EventKind> {
    let line = |message: String| {
        EventKind::ErrorLogged(Box::new(ErrorLine {
            pod: OBJECTS[5].into(),
            controller: "source-controller".into(),
            logged: String::new(),
            message,
            object: None,
        }))
    };
    prop_oneof![
        prop::sample::select(&["boom", "context canceled", "the object has been modified"][..])
            .prop_map(move |message| line(message.into())),
        (0u64..99, any::<bool>()).prop_map(|(lines, broken)| EventKind::LogRead {
            pod: OBJECTS[5].into(),
            controller: "source-controller".into(),
            lines,
            errors: 0,
            broken: broken.then(|| "reset".into()),
        }),
        (0u8..3).prop_map(|value| EventKind::Committed { revision: format!("main@sha1:{value}") }),
        (0u64..20_000, 0u64..500, 0u64..20).prop_map(|(from, len, margin)| EventKind::Fault {
            fault: "cut".into(),
            target: "deployment/apps/web".into(),
            from: from * MS,
            to: (from + len) * MS,
            margin: margin * MS,
        }),
        (prop::sample::select(&["rollout", "outage"][..]), any::<bool>()).prop_map(|(check, passed)| {
            EventKind::SelfProof { check: check.into(), passed, message: "seen".into() }
        }),
    ]
}

/// Anything that a run can tell, at any time.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let kind = prop_oneof![4 => course(), 4 => samples(), 3 => probing(), 5 => object(), 3 => watching(), 3 => told()];
    prop::collection::vec((0u64..20_000, kind), 0..60).prop_map(|events| {
        let mut events: Vec<Event> = events.into_iter().map(|(ms, kind)| Event { t: ms * MS, kind }).collect();
        events.sort_by_key(|event| event.t);
        events.insert(0, Event { t: 0, kind: started() });
        events
    })
}

/// The record as `ferry run` writes it, and what it said at its end.
fn record(events: &[Event], after: &[Event]) -> (Vec<u8>, Judgement) {
    let redactor = Redactor::default();
    let mut writer = RecordWriter::new(Vec::new(), redactor.clone());
    let mut live = RunState::default();
    let mut add = |live: &mut RunState, mut event: Event| {
        redactor.event(&mut event);
        writer.append(&event).unwrap();
        live.apply(&event);
    };
    events.iter().for_each(|event| add(&mut live, event.clone()));
    let judgement = judge_live(&live);
    let t = live.now + 1_000 * MS;
    add(&mut live, Event { t, kind: EventKind::Verdict(judgement.clone()) });
    for event in after {
        add(&mut live, Event { t: t + event.t, kind: event.kind.clone() });
    }
    let t = live.now;
    add(&mut live, Event { t, kind: EventKind::RunEnded });
    // Whoever has followed the run to its end says the same.
    assert_eq!(judge(&live), judgement);
    (writer.into_inner(), judgement)
}

fn read(bytes: &[u8]) -> Result<fold::ReadRun, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join(RECORD_FILE), bytes).unwrap();
    fold::read(folder.path())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_file_says_what_the_run_said(events in events(), after in events()) {
        // After the verdict the lab is torn down, and whoever still watches sees everything go.
        let (bytes, said) = record(&events, &after[1..]);
        let found = read(&bytes).unwrap();
        prop_assert!(!found.torn && found.skipped == 0);
        prop_assert_eq!(found.run.recorded.as_ref(), Some(&said));
        prop_assert_eq!(judge(&found.run), said);
    }

    #[test]
    fn a_killed_run_is_read_to_its_last_line_and_cancelled(events in events(), cut in 0.0..1.0f64) {
        let (bytes, _) = record(&events, &[]);
        // Two lines are the verdict and the end: a run that comes to its verdict was not killed.
        let end_of = |line: usize| bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(line).map_or(0, |(i, _)| i);
        let last = end_of(events.len() - 1);
        let cut = (last as f64 * cut) as usize;
        let lines = bytes[..cut].iter().filter(|b| **b == b'\n').count();
        match read(&bytes[..cut]) {
            Ok(found) => {
                let judgement = judge(&found.run);
                prop_assert_eq!(judgement.verdict, Verdict::Cancelled);
                prop_assert_ne!(judgement.exit_code(), 0);
                // A whole line whose newline is cut off counts as well.
                let kept = events[..lines].last().map_or(0, |event| event.t);
                prop_assert!(found.run.now >= kept);
            }
            Err(error) => prop_assert!(lines == 0 && matches!(error, ReadError::NotARecord { .. }), "{}", error),
        }
    }
}

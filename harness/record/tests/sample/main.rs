//! The committed samples under `reports/sample`: a made-up but plausible run, once with nothing wrong and once with a
//! Service that points nowhere for 300 ms and a source that loses its credentials. The record is generated here, everything
//! else from the record.
//!
//! `FERRY_UPDATE_SAMPLES=1 cargo test -p ferry-record --test sample` writes them anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod cluster;

use std::path::{Path, PathBuf};

use ferry_record::codec::{RECORD_FILE, RecordWriter};
use ferry_record::event::{
    Budget, FORMAT, Failure, Level, Outcome, OwnRule, PhaseInfo, PhaseRole, Place, ProbeInfo, RunStarted, SampleBlock,
};
use ferry_record::redact::Redactor;
use ferry_record::report::{self, HTML_FILE, JUNIT_FILE, MARKDOWN_FILE};
use ferry_record::verdict::{judge, judge_live};
use ferry_record::{Event, EventKind, RunState, Verdict, fold, invariants};
use rstest::rstest;

const MS: u64 = 1_000_000;
const INTERVAL: u64 = 50 * MS;
/// When the run is judged, before it tears down.
const VERDICT: u64 = 76_910 * MS;

/// What goes wrong in a run.
#[derive(Clone, Copy, PartialEq)]
enum Story {
    Nothing,
    /// The Service's selector matches no pod from 48.200 to 48.500 s, the sampler itself oversleeps once, and the operator's
    /// source has no credentials for a while.
    BrokenService,
}

#[rstest]
#[case::nothing_wrong("pass", Story::Nothing, Verdict::Pass)]
#[case::broken_service("fail", Story::BrokenService, Verdict::Fail)]
fn the_samples_are_what_their_record_gives(#[case] folder: &str, #[case] story: Story, #[case] verdict: Verdict) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/sample").join(folder);
    let record = record(story);
    check(folder.join(RECORD_FILE), &record);

    let read = fold::read(&folder).unwrap();
    let judgement = judge(&read.run);
    assert_eq!(judgement.verdict, verdict);
    assert_eq!(read.run.recorded.as_ref(), Some(&judgement), "the file tells another verdict than the run did");
    check(folder.join(HTML_FILE), &report::html::page(&read.run, &judgement).unwrap());
    check(folder.join(JUNIT_FILE), &report::junit::xml(&read.run, &judgement).unwrap());
    check(folder.join(MARKDOWN_FILE), &report::markdown::summary(&read.run, &judgement));
    if story == Story::BrokenService {
        insta::assert_snapshot!(report::text::summary(&read.run, &judgement, &report::text::Style::plain()));
    }
}

fn check(path: PathBuf, expected: &str) {
    if std::env::var_os("FERRY_UPDATE_SAMPLES").is_some() {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, expected).unwrap();
    }
    let found = fs_err::read_to_string(&path).unwrap();
    assert!(found == expected, "{} is out of date: run with FERRY_UPDATE_SAMPLES=1", path.display());
}

fn record(story: Story) -> String {
    let mut events = timed(story);
    events.sort_by_key(|e| e.t);
    let before = events.partition_point(|e| e.t < VERDICT);
    let run: RunState = events[..before].iter().collect();
    events.insert(before, Event { t: VERDICT, kind: EventKind::Verdict(judge_live(&run)) });
    events.push(Event { t: 79_020 * MS, kind: EventKind::RunEnded });
    let mut writer = RecordWriter::new(Vec::new(), Redactor::default());
    events.iter().for_each(|event| writer.append(event).unwrap());
    String::from_utf8(writer.into_inner()).unwrap()
}

/// The run's events, times in milliseconds.
fn timed(story: Story) -> Vec<Event> {
    let mut events = vec![started()];
    let mut add = |ms: u64, kind: EventKind| events.push(Event { t: ms * MS, kind });
    let log = |level, message: &str| EventKind::Log { level, message: message.into() };

    for (key, value) in [
        ("synthetic", "made up by a test to show what a report looks like; no cluster ran"),
        ("flux.before", "2.9.2"),
        ("flux.after", "2.9.4"),
        ("flux-operator", "0.59.0"),
        ("kubernetes", "1.34.4"),
        ("image.node", "sha256:3a5fc82a10b4e5a9c1d6d0c1be6cbb5d6f1c2b0a8d0a1a39c8c9a0f7a6f0e2d1"),
        ("image.flux-operator", "sha256:91bb0c2ad2b9a5f3a8f1f4c7b5f94a8a7f3b1d7c2e6f5a4b3c2d1e0f9a8b7c6d"),
    ] {
        add(1, EventKind::Fact { key: key.into(), value: value.into() });
    }
    for (name, from, to) in [
        ("bundle", 2, 640),
        ("cluster", 640, 15_120),
        ("git and registry", 15_120, 16_150),
        ("self-proof", 17_200, 24_860),
        ("tear-down", 76_920, 79_010),
    ] {
        add(from, EventKind::ActivityStarted { activity: name.into() });
        add(to, EventKind::ActivityEnded { activity: name.into(), error: None });
    }
    add(640, log(Level::Info, "23 of 23 images and tools are in the cache"));
    add(15_118, log(Level::Info, "cluster ferry-7f3a is usable: DNS answers from a pod"));
    add(26_190, log(Level::Info, "3 probes start: 20 samples a second each"));

    let cut = (22_110 * MS, 22_312 * MS);
    let (fault, target) = ("cut".into(), "deployment/ferry-lab/demo".into());
    add(22_320, EventKind::Fault { fault, target, from: cut.0, to: cut.1, margin: 4 * MS });
    for (ms, check, message) in [
        (21_950, "rollout", "2 pods replaced one after the other: none of 92 samples failed"),
        (24_850, "outage", "cut for 202 ms: seen from 22.100 s to 22.350 s, edges within 50 ms and one interval"),
    ] {
        add(ms, EventKind::SelfProof { check: check.into(), passed: true, message: message.into() });
    }

    let phases =
        [(0, 16_200, 26_150), (1, 26_210, 36_210), (2, 36_220, 57_020), (3, 57_030, 66_880), (4, 66_890, 76_890)];
    for (phase, from, to) in phases {
        add(from, EventKind::PhaseStarted { phase });
        add(to, EventKind::PhaseEnded { phase, outcome: Outcome::Done });
    }
    let steps = [
        (0, 16_200, 22_410, "bootstrap", "flux bootstrap git, path clusters/test", 21, 120),
        (0, 22_420, 26_140, "wait", "kustomization/flux-system/apps is ready", 22, 300),
        (1, 26_210, 36_210, "sleep", "nothing is done for 10s", 12, 11),
        (2, 36_220, 41_040, "install-operator", "install Flux Operator 0.59.0", 26, 180),
        (2, 41_050, 41_420, "apply", "apply instance.yaml", 27, 30),
        (2, 41_430, 56_890, "wait", "fluxinstance/flux-system/flux is ready", 28, 300),
        (2, 56_900, 57_010, "assert", "FluxReport names flux-operator as manager", 29, 30),
        (3, 57_030, 57_640, "commit", "delete clusters/test/flux-system", 33, 30),
        (3, 57_650, 62_310, "wait", "every source is at head", 34, 120),
        (3, 62_320, 66_870, "commit", "a change of the web page reaches the workload", 35, 120),
        (4, 66_890, 76_890, "sleep", "nothing more is done for 10s", 12, 11),
    ];
    for (step, (phase, from, to, kind, title, line, within)) in steps.into_iter().enumerate() {
        let place = Some(Place { file: "scenarios/single-tenant/official.yaml".into(), line, column: 9 });
        let (kind, title, deadline) = (kind.into(), title.into(), Some(within * 1_000 * MS));
        add(from, EventKind::StepStarted { step, phase, kind, title, place, deadline, parent: None });
        add(to, EventKind::StepEnded { step, outcome: Outcome::Done });
    }
    for (ms, step, reason) in [
        (22_450, 1, "kustomization/flux-system/apps: not found"),
        (23_900, 1, "kustomization/flux-system/apps: Ready=Unknown, Reconciliation in progress"),
        (41_460, 5, "fluxinstance/flux-system/flux: Ready=Unknown, Reconciliation in progress"),
        (43_800, 5, "deployment/flux-system/source-controller: 0 of 1 replicas updated"),
        (49_400, 5, "deployment/flux-system/kustomize-controller: 0 of 1 replicas updated"),
        (54_100, 5, "fluxinstance/flux-system/flux: Ready=Unknown, waiting for health checks"),
        (57_700, 8, "gitrepository/flux-system/flux-system: at 4d1f0a2, head is 9c3b7e1"),
    ] {
        add(ms, EventKind::NotYet { step, reason: reason.into() });
    }
    if story == Story::BrokenService {
        for probe in ["web/outside/new", "web/outside/reused"] {
            let reason = "the sampler woke 130 ms late: the host's CPU was busy".into();
            let (from, to) = (53_060 * MS, 53_190 * MS);
            add(53_190, EventKind::SamplerOutage { probe: probe.into(), from, to, reason });
        }
    }
    events.extend(cluster::events(story));
    for (seed, (place, connection, base)) in
        [("outside", "new", 1_450), ("outside", "reused", 720), ("inside", "new", 890)].into_iter().enumerate()
    {
        events.extend(probe(story, seed as u64, place, connection, base));
    }
    events
}

fn started() -> Event {
    let phase = |name: &str, steps, role, changes: &[&str]| PhaseInfo {
        name: name.into(),
        budget: Budget::default(),
        steps,
        role,
        changes: changes.iter().map(|pattern| (*pattern).to_owned()).collect(),
    };
    let host = [
        ("cores", "2"),
        ("engine", "Docker 20.10.24"),
        ("images", "source"),
        ("kernel", "6.1.0"),
        ("memory", "24 GiB"),
    ];
    let started = RunStarted {
        format: FORMAT,
        run: "20261121-120304-7f3a".into(),
        scenario: "single-tenant/official".into(),
        summary: "The official migration of a bootstrapped cluster (synthetic sample: no cluster ran)".into(),
        cell: "k8s_1_34::kind".into(),
        ferry: "0.1.0".into(),
        wall: "2026-11-21T12:03:04.118Z".parse().unwrap(),
        clusters: vec![],
        phases: vec![
            phase("bootstrap", 2, PhaseRole::Scenario, &[]),
            phase("quiet", 1, PhaseRole::Quiet, &[]),
            phase("take over", 4, PhaseRole::Scenario, &[]),
            phase("clean up", 3, PhaseRole::Scenario, &["configmap/apps/page"]),
            phase("soak", 1, PhaseRole::Soak, &[]),
        ],
        // Nothing is cut but by the self-proof, and no policy keeps anything out.
        invariants: invariants::names()
            .filter(|name| !["faults-seen", "policy-enforced", "self-proof", "watches", "images"].contains(name))
            .map(str::to_owned)
            .collect(),
        rules: vec![OwnRule {
            name: "fast-take-over".into(),
            cel: "phases['take over'].seconds < 60 && commits.all(c, c.seconds < 30)".into(),
        }],
        flux_namespace: "flux-system".into(),
        self_proof: true,
        expect: None,
        host: host.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
    };
    Event { t: 0, kind: EventKind::RunStarted(Box::new(started)) }
}

/// One probe: 1,010 samples from 26.2 s on, in blocks of a second.
fn probe(story: Story, seed: u64, place: &str, connection: &str, base: u32) -> Vec<Event> {
    let name = format!("web/{place}/{connection}");
    let (start, planned) = ((26_200 + seed * 7) * MS, 1_010);
    let info = ProbeInfo {
        probe: name.clone(),
        kind: "http".into(),
        target: "GET http://web.apps.svc/ is 200".into(),
        place: place.into(),
        connection: connection.into(),
        start,
        interval: INTERVAL,
        timeout: 1_000 * MS,
    };
    let mut events = vec![Event { t: start - 5 * MS, kind: EventKind::ProbeStarted(info) }];
    let mut random = Random(seed * 7_919 + 1);
    for first in (0..planned).step_by(20) {
        let mut block = SampleBlock {
            probe: name.clone(),
            start: start + first * INTERVAL,
            interval: INTERVAL,
            ..Default::default()
        };
        for (index, i) in (first..planned.min(first + 20)).enumerate() {
            let due = (start + i * INTERVAL) / MS;
            // Controllers that start take their share of two cores.
            let busy = u32::from((41_500..56_000).contains(&due));
            let mut slip = 18 + random.below(60) + random.rarely(30, 900);
            let mut latency =
                base + random.below(base / 3) + random.rarely(14, 3_000 + busy * 9_000) + busy * random.below(900);
            if story == Story::BrokenService {
                if place == "outside" && (53_060..53_190).contains(&due) {
                    slip = (53_190 - due as u32) * 1_000;
                }
                // A connection made before still leads to a pod; a new one finds none.
                if connection == "new" && (48_200..48_500).contains(&due) {
                    // Published ports accept first and then reset; inside, nobody accepts.
                    let failure = if place == "outside" { Failure::Reset } else { Failure::Refused };
                    block.failed.push((index as u32, failure));
                    latency = 380 + random.below(200);
                }
            }
            latency += slip;
            block.slip.push(slip);
            block.latency.push(latency);
        }
        let t = block.start + (block.latency.len() as u64) * INTERVAL + 10 * MS;
        events.push(Event { t, kind: EventKind::Samples(block) });
    }
    events.push(Event {
        t: start + planned * INTERVAL + 20 * MS,
        kind: EventKind::ProbeStopped { probe: name, planned },
    });
    events
}

/// Numbers without meaning, the same on every machine.
struct Random(u64);

impl Random {
    /// Below `n`, thinning out towards it.
    fn below(&mut self, n: u32) -> u32 {
        let uniform = |random: &mut Self| random.next() % u64::from(n.max(1));
        uniform(self).min(uniform(self)) as u32
    }

    /// Mostly 0; about once in `times` something below `n`.
    fn rarely(&mut self, times: u64, n: u32) -> u32 {
        if self.next().is_multiple_of(times) { self.below(n) } else { 0 }
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

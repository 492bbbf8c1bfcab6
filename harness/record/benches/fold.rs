//! From a record on disk to the verdict and the page. The targets are 10 million samples in 10 s, in 256 MiB, on 200 MB of
//! disk and in a page of 3 MB; what was reached is printed at the end.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench has nobody to report to but its user")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use divan::counter::ItemsCount;
use ferry_record::codec::RecordWriter;
use ferry_record::event::{FORMAT, Failure, PhaseInfo, PhaseRole, ProbeInfo, RunStarted, SampleBlock};
use ferry_record::redact::Redactor;
use ferry_record::{Event, EventKind, fold, invariants, report, verdict};

const SECOND: u64 = 1_000_000_000;

/// 10 probes of 200 samples a second each, written every quarter of a second.
const PROBES: u64 = 10;
const INTERVAL: u64 = SECOND / 200;
const PER_BLOCK: u64 = 50;

/// Records by their number of samples, made once.
static RECORDS: OnceLock<Mutex<BTreeMap<u64, PathBuf>>> = OnceLock::new();

fn main() {
    divan::main();
    for (samples, folder) in records().lock().expect("nobody panics").iter() {
        let size = folder.join("record.jsonl").metadata().map_or(0, |file| file.len());
        let page = folder.join("index.html").metadata().map_or(0, |file| file.len());
        println!("{samples} samples: {} MB on disk, a page of {} kB", size / 1_000_000, page / 1_000);
        let _ = fs_err::remove_dir_all(folder);
    }
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        println!("peak memory of the whole bench: {}", peak.trim());
    }
}

fn records() -> &'static Mutex<BTreeMap<u64, PathBuf>> {
    RECORDS.get_or_init(Mutex::default)
}

/// The folder of a record with that many samples; one block in fifty has an outage.
fn record(samples: u64) -> PathBuf {
    let mut records = records().lock().expect("nobody panics");
    let make = || {
        let folder = std::env::temp_dir().join(format!("ferry-bench-{}-{samples}", std::process::id()));
        fs_err::create_dir_all(&folder).expect("a temporary folder");
        let mut writer = RecordWriter::create(&folder, Redactor::default()).expect("a new file");
        let mut add = |t, kind| writer.append(&Event { t, kind }).expect("the disk has room");
        add(0, EventKind::RunStarted(Box::new(started())));
        for phase in 0..2 {
            add(phase as u64 * 60 * SECOND, EventKind::PhaseStarted { phase });
        }
        (0..PROBES).for_each(|probe| add(0, EventKind::ProbeStarted(info(probe))));
        let blocks = samples / PROBES / PER_BLOCK;
        for block in 0..blocks {
            let end = (block + 1) * PER_BLOCK * INTERVAL;
            (0..PROBES).for_each(|probe| add(end, EventKind::Samples(samples_of(probe, block))));
        }
        let (end, planned) = (blocks * PER_BLOCK * INTERVAL, blocks * PER_BLOCK);
        (0..PROBES).for_each(|probe| add(end, EventKind::ProbeStopped { probe: info(probe).probe, planned }));
        folder
    };
    records.entry(samples).or_insert_with(make).clone()
}

fn started() -> RunStarted {
    let phase =
        |name: &str, role| PhaseInfo { name: name.into(), budget: Default::default(), steps: 0, role, changes: vec![] };
    RunStarted {
        format: FORMAT,
        run: "bench".into(),
        scenario: "bench/fold".into(),
        summary: "Many samples".into(),
        cell: "k8s_1_34::kind".into(),
        ferry: "0.1.0".into(),
        wall: "2026-11-21T12:00:00Z".parse().expect("a time"),
        clusters: vec![],
        phases: vec![phase("quiet", PhaseRole::Quiet), phase("take over", PhaseRole::Scenario)],
        invariants: invariants::names().map(str::to_owned).collect(),
        rules: vec![],
        flux_namespace: "flux-system".into(),
        self_proof: true,
        expect: None,
        host: BTreeMap::new(),
    }
}

fn info(probe: u64) -> ProbeInfo {
    ProbeInfo {
        probe: format!("web-{probe}/outside/reused"),
        kind: "http".into(),
        target: "http://web.apps.svc/".into(),
        place: "outside".into(),
        connection: "reused".into(),
        start: 0,
        interval: INTERVAL,
        timeout: SECOND,
    }
}

fn samples_of(probe: u64, block: u64) -> SampleBlock {
    let failed = if block % 50 == probe { (10..30).map(|i| (i, Failure::Refused)).collect() } else { Vec::new() };
    let first = (block * PER_BLOCK) as u32;
    let all = first..first + PER_BLOCK as u32;
    SampleBlock {
        probe: info(probe).probe,
        start: block * PER_BLOCK * INTERVAL,
        interval: INTERVAL,
        latency: all.clone().map(|i| 700 + i.wrapping_mul(7_919) % 3_000).collect(),
        slip: all.map(|i| 20 + i.wrapping_mul(31) % 400).collect(),
        failed,
    }
}

#[divan::bench(args = [1_000_000, 10_000_000], sample_count = 3, sample_size = 1)]
fn read_fold_judge_and_render(bencher: divan::Bencher<'_, '_>, samples: u64) {
    let folder = record(samples);
    bencher.counter(ItemsCount::new(samples)).bench_local(|| {
        let read = fold::read(&folder).expect("just written");
        let judgement = verdict::judge(&read.run);
        report::write(&folder, &read.run, &judgement).expect("the template fits");
        judgement.verdict
    });
}

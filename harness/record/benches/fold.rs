//! From a record in memory to the verdict and the page. The target is 10 million samples in 10 s.

#![allow(clippy::expect_used, reason = "a bench has nobody to report to")]

use divan::counter::ItemsCount;
use ferry_record::codec::{RecordReader, RecordWriter};
use ferry_record::event::{Failure, SampleBlock};
use ferry_record::redact::Redactor;
use ferry_record::{Event, EventKind, RunState, report, verdict};

fn main() {
    divan::main();
}

const SAMPLES: u64 = 1_000_000;
const PER_BLOCK: u64 = 200;

/// 2,000 samples a second; one block in fifty has an outage.
fn record() -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), Redactor::default());
    for block in 0..SAMPLES / PER_BLOCK {
        let start = block * PER_BLOCK * 500_000;
        let failed = if block % 50 == 0 { (40..60).map(|i| (i, Failure::Refused)).collect() } else { Vec::new() };
        let block = SampleBlock {
            probe: "web/outside/reused".into(),
            start,
            interval: 500_000,
            latency: (0..PER_BLOCK as u32).map(|i| 700 + i * 7_919 % 3_000).collect(),
            slip: (0..PER_BLOCK as u32).map(|i| 20 + i * 31 % 400).collect(),
            failed,
        };
        writer
            .append(&Event { t: start + PER_BLOCK * 500_000, kind: EventKind::Samples(block) })
            .expect("a Vec takes all");
    }
    writer.into_inner()
}

#[divan::bench(sample_count = 5)]
fn read_fold_judge_and_render(bencher: divan::Bencher<'_, '_>) {
    let bytes = record();
    bencher.counter(ItemsCount::new(SAMPLES)).bench_local(|| {
        let mut run = RunState::default();
        for event in RecordReader::new(&bytes[..], "record.jsonl") {
            run.apply(&event.expect("just written"));
        }
        let judgement = verdict::judge(&run);
        report::html::page(&run, &judgement).expect("the template fits").len()
    });
}

//! From a thousand files to findings, as `ferry lint` does it. The target is 1 s and 100 MB for all of them together.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench has nobody to report to")]

use std::path::PathBuf;

use divan::counter::ItemsCount;
use ferry_scenario::lint::Linter;
use ferry_scenario::{Disk, discover};

const SCENARIOS: usize = 1_000;

fn main() {
    divan::main();
    // Of the whole process: divan's own share is a few megabytes.
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or(" unknown");
    println!("peak memory:{peak}");
}

/// The repository's own scenarios and fleet, with many more like the official one.
fn generated() -> tempfile::TempDir {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Disk::new(&own);
    for path in ferry_scenario::folders::Files::list(&disk, "fleets/web") {
        let target = folder.path().join(&path);
        fs_err::create_dir_all(target.parent().expect("a folder")).expect("a folder in it");
        fs_err::copy(own.join(&path), target).expect("a copy");
    }
    let official = fs_err::read_to_string(own.join("single-tenant/official.yaml")).expect("the official scenario");
    let area = folder.path().join("generated");
    fs_err::create_dir(&area).expect("an area");
    for i in 0..SCENARIOS {
        let name = format!("scenario: official-{i}");
        // Every tenth has something to find.
        let text = official.replace("scenario: official", &name);
        let text = if i % 10 == 0 { text.replace("tags: [official,", "tags: [official, official,") } else { text };
        fs_err::write(area.join(format!("official-{i}.yaml")), text).expect("a scenario");
    }
    folder
}

#[divan::bench(sample_count = 5)]
fn read_parse_and_lint(bencher: divan::Bencher<'_, '_>) {
    let folder = generated();
    bencher.counter(ItemsCount::new(SCENARIOS)).bench_local(|| {
        let disk = Disk::new(folder.path());
        let linter = Linter::new(&disk);
        let entries = discover(folder.path()).expect("a folder of scenarios");
        let found: usize = entries.iter().map(|e| linter.lint(e.scenario.as_ref().expect("it parses")).len()).sum();
        assert_eq!((entries.len(), found), (SCENARIOS, SCENARIOS / 10));
        found
    });
}

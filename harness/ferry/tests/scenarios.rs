//! Every scenario as a trial that `cargo test` and nextest list and run alike.
//!
//! Listing reads scenario files and nothing else: no Docker, no environment that could differ between list and run.
//! `FERRY_CLUSTER=0` lists the scenarios as ignored, for machines that cannot run clusters; nothing is skipped unasked.

use std::path::Path;
use std::process::ExitCode;

use ferry::cli::{ImageArgs, Images, Keep, Progress, RunArgs, ScenarioFolder};
use ferry::commands::run;
use ferry_scenario::{Cell, Entry};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    ferry::start_process();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ignored = std::env::var("FERRY_CLUSTER").is_ok_and(|v| v == "0");
    let mut trials: Vec<Trial> = ferry_scenario::discover(&root.join("scenarios"))
        .unwrap_or_default()
        .into_iter()
        .map(|entry| trial(&root, entry, ignored))
        .collect();
    if trials.is_empty() {
        trials.push(Trial::test("no_scenarios_found", || Err(Failed::from("scenarios/ holds no scenario"))));
    }
    // Clusters share two cores; a second one beside the first would starve both.
    let arguments = Arguments { test_threads: arguments.test_threads.or(Some(1)), ..arguments };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(root: &Path, entry: Entry, ignored: bool) -> Trial {
    let root = root.to_path_buf();
    Trial::test(entry.trial_name(&Cell::default()), move || {
        if let Err(found) = &entry.scenario {
            return Err(Failed::from(found.to_text()));
        }
        let arguments = RunArgs {
            scenario: entry.id(),
            folder: ScenarioFolder { scenarios: root.join("scenarios") },
            images: ImageArgs { images: images(), mirror: None, lock: None },
            provision: std::env::var("FERRY_PROVISION").is_ok_and(|v| !v.is_empty() && v != "0"),
            keep: Keep::Never,
            progress: Progress::Plain,
            reports: root.join("reports/out"),
        };
        match run::run(&arguments, Path::new(env!("CARGO_BIN_EXE_ferry"))) {
            Ok(ExitCode::SUCCESS) => Ok(()),
            Ok(exit) => Err(Failed::from(format!("ended with {exit:?}; its summary is above"))),
            Err(problem) => Err(Failed::from(ferry::edge::chain(&problem))),
        }
    })
    .with_ignored_flag(ignored)
}

/// `FERRY_IMAGES`, as for `ferry run`.
fn images() -> Images {
    let asked = std::env::var("FERRY_IMAGES").unwrap_or_default();
    clap::ValueEnum::from_str(&asked, true).unwrap_or(Images::Auto)
}

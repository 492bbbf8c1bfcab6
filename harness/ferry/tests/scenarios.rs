//! Every scenario, in each cell of its matrix, as a trial that `cargo test` and nextest list and run alike.
//!
//! Listing reads scenario files and nothing else: no Docker, no environment that could differ between list and run.
//! `FERRY_CLUSTER=0` lists all trials as ignored, for machines that cannot run clusters, and `FERRY_PROVIDERS=kind` those of
//! other providers; nothing is skipped unasked. A broken file is a trial that fails with what is wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferry::cli::{ImageArgs, Images, Keep, Progress, RunArgs, ScenarioFolder, SelectArgs};
use ferry::commands::run;
use ferry::commands::trials::Trial as Chosen;
use ferry::edge::Exit;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    ferry::start_process();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut trials = vec![];
    match ferry_scenario::discover(&folder) {
        Ok(entries) => {
            for entry in entries {
                for cell in entry.cells() {
                    let chosen = Chosen { entry: entry.clone(), cell, suites: vec![], folder: folder.clone() };
                    trials.push(trial(chosen));
                }
            }
        }
        Err(error) => trials.push(Trial::test("scenarios_are_found", move || Err(Failed::from(error)))),
    }
    if trials.is_empty() {
        trials.push(Trial::test("scenarios_are_found", || Err(Failed::from("scenarios/ holds no scenario"))));
    }
    // Clusters share the cores; a second one beside the first would starve both.
    let arguments = Arguments { test_threads: arguments.test_threads.or(Some(1)), ..arguments };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(chosen: Chosen) -> Trial {
    let ignored = is_ignored(&chosen.cell.provider);
    Trial::test(chosen.name(), move || {
        let checked = chosen.check(&Default::default()).map_err(|problem| failed(&problem))?;
        let Some(loaded) = checked.loaded else { return Err(Failed::from(checked.found.to_text())) };
        let arguments = arguments(&chosen.folder);
        match run::one(&loaded, &arguments, Path::new(env!("CARGO_BIN_EXE_ferry"))) {
            Ok(Exit::Pass) => Ok(()),
            Ok(exit) => Err(Failed::from(format!("{}; the summary is above", exit.word()))),
            Err(problem) => Err(failed(&problem)),
        }
    })
    .with_ignored_flag(ignored)
}

/// By explicit settings only.
fn is_ignored(provider: &str) -> bool {
    let providers = std::env::var("FERRY_PROVIDERS");
    let without_provider = providers.is_ok_and(|names| !names.split(',').any(|name| name.trim() == provider));
    without_provider || std::env::var("FERRY_CLUSTER").is_ok_and(|v| v == "0")
}

fn arguments(folder: &Path) -> RunArgs {
    RunArgs {
        names: vec![],
        select: SelectArgs::default(),
        folder: ScenarioFolder { scenarios: folder.to_path_buf() },
        images: ImageArgs { images: images(), mirror: None, lock: None },
        provision: std::env::var("FERRY_PROVISION").is_ok_and(|v| !v.is_empty() && v != "0"),
        keep: Keep::Never,
        progress: Progress::Plain,
        reports: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../reports/out"),
        history: std::env::var_os("FERRY_HISTORY").map(PathBuf::from),
    }
}

fn failed(problem: &ferry::edge::Problem) -> Failed {
    Failed::from(ferry::edge::chain(problem))
}

/// `FERRY_IMAGES`, as for `ferry run`.
fn images() -> Images {
    let asked = std::env::var("FERRY_IMAGES").unwrap_or_default();
    clap::ValueEnum::from_str(&asked, true).unwrap_or(Images::Auto)
}

//! Every scenario, in each cell of its matrix, as a trial that `cargo test` and nextest list and run alike.
//!
//! Listing reads scenario files and nothing else: no Docker. `FERRY_SUITE` says which suite is run, `ci` unless it is set;
//! trials of others are listed as ignored, as are all with `FERRY_CLUSTER=0`, for machines that cannot run clusters, and with
//! `FERRY_PROVIDERS=kind` those of other providers; with `FERRY_IMAGES=source` those of k3s, whose image cannot be built, and
//! their kind says so; unless `FERRY_IMAGES=registry` those that pull from registries while they run. A broken file is a trial
//! that fails with what is wrong, in any suite. `FERRY_AT_ONCE` says how many clusters run side by side.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;
use ferry::at_once;
use ferry::cli::{Cli, Command, Keep, Progress, RunArgs, ScenarioFolder, SelectArgs};
use ferry::commands::run;
use ferry::commands::trials::{self, Trial as Chosen};
use ferry::edge::Exit;
use libtest_mimic::{Arguments, Failed, Trial};

/// The suite that every change must pass.
const DEFAULT_SUITE: &str = "ci";

/// The tag of scenarios that bring in what the bundle does not have, from public registries.
const REGISTRIES: &str = "registries";

/// Set by a trial that was told to stop.
static CANCELLED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    ferry::start_process();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let suite = std::env::var("FERRY_SUITE").ok().filter(|name| !name.is_empty());
    let suite = suite.unwrap_or_else(|| DEFAULT_SUITE.into());
    let trials = found(&ScenarioFolder { scenarios }, &suite).unwrap_or_else(|why| {
        let broken = move || Err(Failed::from(why));
        vec![Trial::test("scenarios_are_found", broken)]
    });
    // Clusters share the cores: on two of them a second cluster would starve the first.
    let (at_once, trials) = match at_once::clusters() {
        Ok(number) => (number, trials),
        Err(why) => (1, vec![Trial::test("scenarios_at_once", move || Err(Failed::from(why)))]),
    };
    let arguments = Arguments { test_threads: arguments.test_threads.or(Some(at_once)), ..arguments };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn found(folder: &ScenarioFolder, suite: &str) -> Result<Vec<Trial>, String> {
    let everything = trials::select(&[], &SelectArgs::default(), folder).map_err(|e| ferry::edge::chain(&e))?;
    let everything = everything.ok_or("suites.yaml cannot be used; what is wrong with it is above")?;
    if everything.is_empty() {
        return Err(format!("{} holds no scenario", folder.scenarios.display()));
    }
    let asked = SelectArgs { suite: Some(suite.to_owned()), ..SelectArgs::default() };
    let in_suite = trials::select(&[], &asked, folder).map_err(|e| ferry::edge::chain(&e))?.unwrap_or_default();
    let in_suite: Vec<String> = in_suite.iter().map(Chosen::name).collect();
    Ok(everything.into_iter().map(|chosen| trial(chosen, &in_suite)).collect())
}

fn trial(chosen: Chosen, in_suite: &[String]) -> Trial {
    let asked = chosen.entry.scenario.is_err() || in_suite.contains(&chosen.name());
    let pulls = chosen.entry.scenario.as_ref().is_ok_and(|s| s.tags.iter().any(|tag| tag.as_str() == REGISTRIES));
    let unbuildable = chosen.cell.provider == "k3s" && is_asked_for("source");
    let ignored = !asked || unbuildable || is_ignored(&chosen.cell.provider) || pulls && !is_asked_for("registry");
    Trial::test(chosen.name(), move || {
        // libtest-mimic goes on after a trial that a signal ended: whoever sent it meant them all.
        if CANCELLED.load(Ordering::Relaxed) {
            return Err(Failed::from("cancelled before it began"));
        }
        let checked = chosen.check(&Default::default()).map_err(|problem| failed(&problem))?;
        let Some(loaded) = checked.loaded else { return Err(Failed::from(checked.found.to_text())) };
        let arguments = arguments(&chosen.folder)?;
        match run::one(&loaded, &arguments, Path::new(env!("CARGO_BIN_EXE_ferry"))) {
            Ok(ended) if ended.exit == Exit::Pass => Ok(()),
            Ok(ended) => {
                CANCELLED.fetch_or(ended.exit == Exit::Cancelled, Ordering::Relaxed);
                Err(Failed::from(format!("{}\n{}", ended.exit.word(), ended.why.join("\n"))))
            }
            Err(problem) => Err(failed(&problem)),
        }
    })
    .with_kind(if unbuildable { "k3s cannot be built from source" } else { "" })
    .with_ignored_flag(ignored)
}

/// Whether `FERRY_IMAGES` says so in as many words.
fn is_asked_for(images: &str) -> bool {
    std::env::var("FERRY_IMAGES").is_ok_and(|asked| asked == images)
}

/// By explicit settings only.
fn is_ignored(provider: &str) -> bool {
    let providers = std::env::var("FERRY_PROVIDERS");
    let without_provider = providers.is_ok_and(|names| !names.split(',').any(|name| name.trim() == provider));
    without_provider || std::env::var("FERRY_CLUSTER").is_ok_and(|v| v == "0")
}

/// What `ferry run` would do with the same environment.
fn arguments(folder: &Path) -> Result<RunArgs, Failed> {
    let Cli { command: Command::Run(arguments) } = Cli::try_parse_from(["ferry", "run"])? else {
        return Err(Failed::from("`ferry run` is another command"));
    };
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/out");
    Ok(RunArgs {
        folder: ScenarioFolder { scenarios: folder.to_path_buf() },
        keep: Keep::Never,
        progress: Progress::Plain,
        reports: if std::env::var_os("FERRY_REPORTS").is_some() { arguments.reports } else { reports },
        // Machines that run tests are busy, and a run that could not be measured says nothing about what is tested.
        retries: if std::env::var_os("FERRY_RETRIES").is_some() { arguments.retries } else { 2 },
        ..arguments
    })
}

fn failed(problem: &ferry::edge::Problem) -> Failed {
    Failed::from(ferry::edge::chain(problem))
}

//! What each command does. Only these files and the views print; standard output is for results, standard error for the rest.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line is where ferry speaks")]

pub mod bundle;
pub mod cleanup;
pub mod doctor;
pub mod explain;
pub mod history;
pub mod lint;
pub mod matrix;
pub mod new;
pub mod report;
pub mod run;
pub mod scenarios;
pub mod trials;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::edge::Problem;

/// Carries out the command that was given.
pub fn dispatch(cli: Cli) -> Result<ExitCode, Problem> {
    match cli.command {
        Command::Run(arguments) => {
            let ferry = std::env::current_exe().map_err(|e| Problem::infra("ferry cannot find itself").because(e))?;
            run::run(&arguments, &ferry)
        }
        Command::List(arguments) => scenarios::list(&arguments),
        Command::Lint(arguments) => lint::lint(&arguments),
        Command::Plan { scenario, format, select, folder } => scenarios::plan(&scenario, format, &select, &folder),
        Command::Schema => scenarios::schema(),
        Command::Explain { path } => explain::explain(path.as_deref()),
        Command::Catalogue(folder) => scenarios::catalogue(&folder),
        Command::New { scenario, from, folder } => new::new(&scenario, from, &folder),
        Command::Doctor { provision, stop_engine, json, images } => {
            blocking(doctor::command(provision, stop_engine, json, &images))
        }
        Command::Bundle { command } => blocking(bundle::command(command)),
        Command::Report { run, folder } => report::report(run.as_deref(), &folder),
        Command::Verdict { run, folder } => report::verdict(run.as_deref(), &folder),
        Command::Compare(arguments) => report::compare(&arguments),
        Command::History(arguments) => history::history(&arguments),
        Command::Clusters { rm } => blocking(cleanup::clusters(rm.as_deref())),
        Command::Gc => blocking(cleanup::gc()),
        Command::Reap(arguments) => {
            // Before a runtime makes threads and descriptors that the owner's death could take down.
            ferry_lab::reaper::detach().map_err(|e| Problem::infra("the reaper cannot leave its owner").because(e))?;
            blocking(cleanup::reap(arguments))
        }
    }
}

/// Shows a problem with its causes and its remedy.
pub fn complain(problem: Problem) {
    eprintln!("{:?}", miette::Report::new(problem));
}

/// Runs async work on a runtime of its own.
fn blocking<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Problem::infra("the async runtime cannot be started").because(e))?;
    let result = runtime.block_on(work);
    // What still hangs (a resolver, a blocking read) must not hold the process.
    runtime.shutdown_background();
    result
}

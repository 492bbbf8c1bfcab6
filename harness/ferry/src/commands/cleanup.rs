//! `ferry clusters`, `gc`, `reap`: what runs leave behind.

use std::process::ExitCode;

use ferry_lab::gc::{self, Swept};
use ferry_lab::labels::Life;
use ferry_lab::reaper;
use ferry_lab::run::RunId;

use super::doctor;
use crate::cli::ReapArgs;
use crate::edge::{Exit, Problem};

/// Lists what runs have left standing, or removes what one has.
pub async fn clusters(remove: Option<&str>) -> Result<ExitCode, Problem> {
    let engine = doctor::engine().await?;
    if let Some(run) = remove {
        let run = run_id(run)?;
        let swept = gc::teardown(&engine, &run).await.map_err(silent)?;
        return Ok(tell(run.as_str(), &swept));
    }
    for found in gc::find(&engine).await.map_err(silent)? {
        let life = match found.life {
            Life::Alive => "running",
            Life::Dead => "ended",
            Life::Unknown => "of another machine",
        };
        let kept = if found.kept { ", kept" } else { "" };
        println!("{}  {life}{kept}", found.run);
        for thing in &found.things {
            println!("  {thing}");
        }
    }
    Ok(Exit::Pass.into())
}

/// Removes what dead runs have left.
pub async fn gc() -> Result<ExitCode, Problem> {
    let engine = doctor::engine().await?;
    let swept = gc::sweep(&engine).await.map_err(silent)?;
    if swept.is_empty() {
        println!("nothing to remove");
    }
    let mut exit = ExitCode::SUCCESS;
    for (run, swept) in &swept {
        let this = tell(run, swept);
        if !swept.is_clean() {
            exit = this;
        }
    }
    Ok(exit)
}

/// Waits for a run's owner to die, then removes what the run left. The caller has detached the process.
pub async fn reap(arguments: ReapArgs) -> Result<ExitCode, Problem> {
    let run = run_id(&arguments.run)?;
    let engine = doctor::engine().await?;
    let swept = reaper::reap(&engine, &run, arguments.owner, &arguments.owner_start)
        .await
        .map_err(|e| Problem::infra("the reaper").because(e))?;
    Ok(tell(run.as_str(), &swept))
}

fn tell(run: &str, swept: &Swept) -> ExitCode {
    for thing in &swept.removed {
        println!("{run}: removed {thing}");
    }
    for (thing, why) in &swept.left {
        eprintln!("{run}: could not remove {thing}: {why}");
    }
    if swept.is_clean() { Exit::Pass.into() } else { Exit::Infra.into() }
}

fn run_id(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|e| Problem::usage(format!("{text} is not the id of a run")).because(Box::new(e) as Box<_>))
}

fn silent(error: gc::GcError) -> Problem {
    Problem::infra("the engine does not say what runs have left").because(error)
}

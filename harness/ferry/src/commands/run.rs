//! `ferry run`.

use std::path::Path;
use std::process::ExitCode;

use super::scenarios::Loaded;
use crate::cli::RunArgs;
use crate::edge::Problem;
use crate::view::Screen;

/// Runs one scenario and prints its summary. `ferry` is the program that the run's reaper is started from.
pub fn run(arguments: &RunArgs, ferry: &Path) -> Result<ExitCode, Problem> {
    let Some(scenario) = Loaded::checked(&arguments.scenario, &arguments.folder)? else {
        return Ok(crate::edge::Exit::Usage.into());
    };
    let screen = Screen::open(arguments.progress);
    let finished = super::blocking(crate::run::run(&scenario, arguments, ferry, &screen))?;
    println!("{}", super::report::summary(&finished.folder)?);
    for left in &finished.left {
        eprintln!("left behind: {left}");
    }
    Ok(finished.exit())
}

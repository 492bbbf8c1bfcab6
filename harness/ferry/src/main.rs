//! The `ferry` command.

use std::process::ExitCode;

use clap::Parser;
use ferry::cli::Cli;
use ferry::commands;

fn main() -> ExitCode {
    ferry::start_process();
    let cli = Cli::parse();
    match commands::dispatch(cli) {
        Ok(exit) => exit,
        Err(problem) => {
            let exit = problem.exit();
            commands::complain(problem);
            exit.into()
        }
    }
}

//! `ferry explain`: what can be written where.

use std::process::ExitCode;

use crate::edge::{Exit, Problem};

/// Prints the page of a path; of the whole file when there is none.
pub fn explain(path: Option<&str>) -> Result<ExitCode, Problem> {
    let page = ferry_scenario::explain(path.unwrap_or_default()).map_err(|e| Problem::usage(e.message).hint(e.hint))?;
    print!("{page}");
    Ok(Exit::Pass.into())
}

//! `ferry report` and `ferry verdict`: everything shown of a run, from its record alone.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferry_record::{fold, report as render, verdict as judging};

use crate::edge::Problem;

/// Where runs keep their records unless told otherwise.
const RUNS: &str = "reports/out";

/// Writes the reports of a run again and prints its summary.
pub fn report(run: Option<&Path>) -> Result<ExitCode, Problem> {
    let folder = locate(run)?;
    let read = read(&folder)?;
    let judgement = judging::judge(&read.run);
    render::write(&folder, &read.run, &judgement)
        .map_err(|e| Problem::infra(format!("the reports in {} cannot be written", folder.display())).because(e))?;
    println!("{}", summary(&folder)?);
    Ok(ExitCode::from(judgement.exit_code()))
}

/// Judges a run again.
pub fn verdict(run: Option<&Path>) -> Result<ExitCode, Problem> {
    let folder = locate(run)?;
    let judgement = judging::judge(&read(&folder)?.run);
    println!("{}", judgement.verdict);
    for finding in judgement.deciding() {
        println!("  {} — {}", finding.rule, finding.message);
    }
    Ok(ExitCode::from(judgement.exit_code()))
}

/// The summary of the run in a folder.
pub fn summary(folder: &Path) -> Result<String, Problem> {
    let read = read(folder)?;
    let judgement = judging::judge(&read.run);
    let style = render::text::Style {
        color: std::io::stdout().is_terminal(),
        folder: Some(folder.display().to_string()),
        notes: Vec::new(),
    };
    Ok(render::text::summary(&read.run, &judgement, &style.noting(&read)))
}

fn read(folder: &Path) -> Result<fold::ReadRun, Problem> {
    fold::read(folder).map_err(|e| {
        let hint = e.hint().map(String::from);
        Problem::usage("the record cannot be read").because(e).hint(hint)
    })
}

/// The folder of a run given by path or id; the newest by default. Ids begin with their time, so the last is the newest.
fn locate(run: Option<&Path>) -> Result<PathBuf, Problem> {
    match run {
        Some(path) if path.exists() => Ok(path.to_path_buf()),
        Some(id) if Path::new(RUNS).join(id).exists() => Ok(Path::new(RUNS).join(id)),
        Some(id) => {
            let hint = format!("name a folder, or the id of one in {RUNS}");
            Err(Problem::usage(format!("there is no run {}", id.display())).hint(hint))
        }
        None => {
            let runs = fs_err::read_dir(RUNS).map_err(|e| Problem::usage("there are no runs").because(e))?;
            let newest = runs.filter_map(|entry| entry.ok().map(|e| e.path())).filter(|p| p.is_dir()).max();
            newest.ok_or_else(|| Problem::usage(format!("{RUNS} holds no run")))
        }
    }
}

//! `ferry report`, `verdict` and `compare`: everything shown of runs, from their records alone.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferry_record::report::compare::Comparison;
use ferry_record::{fold, report as render, verdict as judging};

use crate::cli::{CompareArgs, OutputFormat, ReportsFolder};
use crate::edge::{Exit, Problem};

/// Writes the reports of a run again and prints its summary.
pub fn report(run: Option<&Path>, runs: &ReportsFolder) -> Result<ExitCode, Problem> {
    let folder = locate(run, runs)?;
    let read = read(&folder)?;
    let judgement = judging::judge(&read.run);
    render::write(&folder, &read.run, &judgement)
        .map_err(|e| Problem::infra(format!("the reports in {} cannot be written", folder.display())).because(e))?;
    println!("{}", summary(&folder)?.text);
    Ok(ExitCode::from(judgement.exit_code()))
}

/// Judges a run again.
pub fn verdict(run: Option<&Path>, runs: &ReportsFolder) -> Result<ExitCode, Problem> {
    let folder = locate(run, runs)?;
    let judgement = judging::judge(&read(&folder)?.run);
    println!("{}", judgement.verdict);
    for finding in judgement.deciding() {
        println!("  {} — {}", finding.rule, finding.message);
    }
    Ok(ExitCode::from(judgement.exit_code()))
}

/// Prints two runs side by side.
pub fn compare(arguments: &CompareArgs) -> Result<ExitCode, Problem> {
    let read_run = |run: &Path| read(&locate(Some(run), &arguments.folder)?);
    let (a, b) = (read_run(&arguments.a)?, read_run(&arguments.b)?);
    let judged = [&a, &b].map(|read| judging::judge(&read.run));
    let mut comparison = Comparison::new((&a.run, &judged[0]), (&b.run, &judged[1]));
    for (letter, read) in [("A", &a), ("B", &b)] {
        let notes = render::text::Style::plain().noting(read).notes;
        comparison.notes.extend(notes.into_iter().map(|note| format!("{letter}: {note}")));
    }
    match arguments.format {
        OutputFormat::Text => print!("{}", comparison.text(&style())),
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(&comparison)
                .map_err(|e| Problem::infra("the comparison cannot be written as JSON").because(e))?;
            println!("{text}");
        }
    }
    Ok(Exit::Pass.into())
}

/// For standard output.
pub(super) fn style() -> render::text::Style {
    render::text::Style { color: std::io::stdout().is_terminal(), ..render::text::Style::plain() }
}

/// What is said of a run when it ends.
#[derive(Debug)]
pub struct Summary {
    /// All of it.
    pub text: String,
    /// The lines of what decided.
    pub why: Vec<String>,
}

/// The summary of the run in a folder.
pub fn summary(folder: &Path) -> Result<Summary, Problem> {
    let read = read(folder)?;
    let judgement = judging::judge(&read.run);
    let style = render::text::Style { folder: Some(folder.display().to_string()), ..style() };
    let text = render::text::summary(&read.run, &judgement, &style.noting(&read));
    Ok(Summary { text, why: render::why(&read.run, &judgement) })
}

fn read(folder: &Path) -> Result<fold::ReadRun, Problem> {
    fold::read(folder).map_err(|e| {
        let hint = e.hint().map(String::from);
        Problem::usage("the record cannot be read").because(e).hint(hint)
    })
}

/// The folder of a run given by path or id; the newest by default. Ids begin with their time, so the last is the newest.
fn locate(run: Option<&Path>, folder: &ReportsFolder) -> Result<PathBuf, Problem> {
    let runs = folder.reports.as_path();
    match run {
        Some(path) if path.exists() => Ok(path.to_path_buf()),
        Some(id) if runs.join(id).exists() => Ok(runs.join(id)),
        Some(id) => {
            let id = id.display().to_string();
            let known = ids(runs).unwrap_or_default();
            let nearest = nearest(&id, &known).map(|nearest| format!("did you mean {nearest}? ")).unwrap_or_default();
            let hint = format!("{nearest}name a folder, or the id of one in {}", runs.display());
            Err(Problem::usage(format!("there is no run {id}")).hint(hint))
        }
        None => {
            let newest = ids(runs).map_err(|e| Problem::usage("there are no runs").because(e))?.pop();
            newest.map(|id| runs.join(id)).ok_or_else(|| Problem::usage(format!("{} holds no run", runs.display())))
        }
    }
}

/// The ids of the runs in a folder, the newest last.
fn ids(runs: &Path) -> std::io::Result<Vec<String>> {
    let entries = fs_err::read_dir(runs)?.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    let mut ids: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// What was most likely meant.
pub(super) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    known.iter().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)))
}

//! `ferry list`, `plan`, `schema`, `catalogue`: everything about scenario files that needs no machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferry_scenario::select::{Suites, suites};
use ferry_scenario::{Diagnostics, Disk, Entry, Sets};

use super::matrix;
use super::trials::{self, Trial};
use crate::cli::{ListArgs, ListFormat, PlanFormat, ScenarioFolder, SelectArgs};
use crate::edge::{Exit, Problem};

/// Lists scenarios, or what a selection leaves of their trials; broken ones too.
pub fn list(arguments: &ListArgs) -> Result<ExitCode, Problem> {
    if arguments.format == ListFormat::GithubMatrix {
        return matrix::list(arguments);
    }
    if arguments.shards.is_some() {
        return Err(Problem::usage("--shards is for the jobs of a matrix, and the list has none")
            .hint("add --format github-matrix, or list one part: --shard 1/3".to_string()));
    }
    let Some(trials) = trials::select(&[], &arguments.select, &arguments.folder)? else {
        return Ok(Exit::Usage.into());
    };
    match arguments.format {
        ListFormat::Text | ListFormat::GithubMatrix => print!("{}", listed(&trials)),
        ListFormat::Trials => trials.iter().for_each(|trial| println!("{}", trial.name())),
        ListFormat::Json => {
            let sets = arguments.select.sets();
            let all: Vec<_> = trials.iter().map(|trial| as_json(trial, &sets)).collect();
            let text = serde_json::to_string_pretty(&all)
                .map_err(|e| Problem::infra("the list cannot be written as JSON").because(e))?;
            println!("{text}");
        }
    }
    Ok(Exit::Pass.into())
}

/// A line for each scenario.
fn listed(trials: &[Trial]) -> String {
    let width = trials.iter().map(|trial| trial.entry.id().len()).max().unwrap_or(0);
    let mut lines = String::new();
    for cells in trials.chunk_by(|a, b| a.entry.path == b.entry.path) {
        let entry = &cells[0].entry;
        let says = match &entry.scenario {
            Ok(scenario) => scenario.summary.value.clone(),
            Err(found) => format!("broken: {}", found.to_text().lines().next().unwrap_or_default()),
        };
        let cells = if cells.len() > 1 { format!(" ({} cells)", cells.len()) } else { String::new() };
        lines += &format!("{:width$}  {says}{cells}\n", entry.id());
    }
    lines
}

fn as_json(trial: &Trial, sets: &Sets) -> serde_json::Value {
    // What templates make of it in this cell.
    let scenario = trial.entry.load(Some(&trial.cell), sets);
    let scenario = scenario.as_ref();
    serde_json::json!({
        "trial": trial.name(),
        "scenario": trial.entry.id(),
        "file": trial.entry.path,
        "cell": trial.cell,
        "summary": scenario.map(|scenario| scenario.summary.value.clone()).ok(),
        "tags": scenario.map(|scenario| scenario.tags.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default(),
        "suites": trial.suites,
        "broken": scenario.err().map(Diagnostics::to_text),
    })
}

/// Shows what a run would do, in each cell.
pub fn plan(
    name: &str,
    format: PlanFormat,
    selection: &SelectArgs,
    folder: &ScenarioFolder,
) -> Result<ExitCode, Problem> {
    let Some(trials) = trials::select(&[name.to_owned()], selection, folder)? else { return Ok(Exit::Usage.into()) };
    let mut plans = vec![];
    for trial in &trials {
        let checked = trial.check(&selection.sets())?;
        show(&checked.found);
        let Some(loaded) = checked.loaded else { return Ok(Exit::Usage.into()) };
        plans.push(loaded.plan);
    }
    match (format, plans.as_slice()) {
        (PlanFormat::Text, plans) => {
            let texts: Vec<String> = plans.iter().map(ToString::to_string).collect();
            print!("{}", texts.join("\n"));
        }
        (PlanFormat::Json, plans) => {
            let text = serde_json::to_string_pretty(plans)
                .map_err(|e| Problem::infra("the plan cannot be written as JSON").because(e))?;
            println!("{text}");
        }
    }
    Ok(Exit::Pass.into())
}

/// Prints every scenario on one page.
pub fn catalogue(folder: &ScenarioFolder) -> Result<ExitCode, Problem> {
    let entries = all(&folder.scenarios)?;
    let Some(suites) = suites(&entries, folder)? else { return Ok(Exit::Usage.into()) };
    print!("{}", ferry_scenario::catalogue::catalogue(&entries, &suites, &Disk::new(&folder.scenarios)));
    Ok(Exit::Pass.into())
}

/// The suites; none at all where there is no file of them. What is wrong with them is printed; then there are none to use.
pub(super) fn suites(entries: &[Entry], folder: &ScenarioFolder) -> Result<Option<Suites>, Problem> {
    let path = folder.scenarios.join(suites::FILE);
    if !path.exists() {
        return Ok(Some(Suites::default()));
    }
    let text = fs_err::read_to_string(&path).map_err(|e| Problem::usage("the suites cannot be read").because(e))?;
    let ids: Vec<String> = entries.iter().map(Entry::id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    Ok(suites::load(&path.display().to_string(), &text, &ids).map_err(|found| show(&found)).ok())
}

/// Prints the schema of scenario files.
pub fn schema() -> Result<ExitCode, Problem> {
    let text = serde_json::to_string_pretty(&ferry_scenario::schema())
        .map_err(|e| Problem::infra("the schema cannot be written as JSON").because(e))?;
    println!("{text}");
    Ok(Exit::Pass.into())
}

pub(super) fn all(folder: &Path) -> Result<Vec<Entry>, Problem> {
    ferry_scenario::discover(folder).map_err(|e| {
        Problem::usage(e.to_string())
            .hint("run ferry from the repository's root, or say where with --scenarios".to_string())
    })
}

/// The entry for `area/name` or a file, and the folder that holds all scenarios.
pub(super) fn find(name: &str, folder: &ScenarioFolder) -> Result<(Entry, PathBuf), Problem> {
    if name.ends_with(".yaml") || name.ends_with(".yml") {
        let path = Path::new(name);
        let part =
            |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let area = path.parent();
        let entry = Entry {
            area: part(area),
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_path_buf(),
            scenario: ferry_scenario::parse_file(path),
        };
        return Ok((entry, area.and_then(Path::parent).unwrap_or(Path::new("")).to_path_buf()));
    }
    if let Some(entry) = ferry_scenario::find(&folder.scenarios, name) {
        return Ok((entry, folder.scenarios.clone()));
    }
    let known: Vec<String> = all(&folder.scenarios)?.iter().map(Entry::id).collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let hint = match nearest {
        Some(nearest) => format!("did you mean {nearest}? `ferry list` shows all {}", known.len()),
        None => format!("{} holds no scenario", folder.scenarios.display()),
    };
    Err(Problem::usage(format!("there is no scenario {name}")).hint(hint))
}

pub(super) fn show(found: &Diagnostics) {
    for report in found.reports() {
        eprintln!("{report:?}");
    }
}

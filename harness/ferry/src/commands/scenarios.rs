//! `ferry list`, `plan`, `schema`, `catalogue`: everything about scenario files that needs no machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferry_scenario::lint::Linter;
use ferry_scenario::select::{Suites, suites};
use ferry_scenario::{Cell, Diagnostics, Disk, Entry, Plan, Scenario};

use crate::cli::{PlanFormat, ScenarioFolder};
use crate::edge::{Exit, Problem};

/// A scenario that parses, with where it is.
#[derive(Debug)]
pub struct Loaded {
    /// `area/name`.
    pub name: String,
    /// The matrix cell that it runs in.
    pub cell: Cell,
    /// The folder that holds all scenarios.
    pub folder: PathBuf,
    /// The scenario.
    pub scenario: Scenario,
    /// What a run of it does.
    pub plan: Plan,
}

impl Loaded {
    /// Reads, lints and plans a scenario given as `area/name` or as a file. What is wrong with it is printed; then there
    /// is no scenario.
    pub fn checked(name: &str, folder: &ScenarioFolder) -> Result<Option<Self>, Problem> {
        let (entry, folder) = find(name, folder)?;
        let files = Disk::new(&folder);
        let scenario = match &entry.scenario {
            Err(found) => {
                show(found);
                return Ok(None);
            }
            Ok(scenario) => scenario.clone(),
        };
        let known = super::lint::known(&ferry_lab::bundle::load()?);
        let found = Linter::new(&files).knowing(&known).lint(&scenario);
        show(&found);
        if found.has_errors() {
            return Ok(None);
        }
        let cell = Cell::default();
        let plan = ferry_scenario::plan(&scenario, &cell, &files);
        Ok(Some(Self { name: entry.id(), cell, folder, scenario, plan }))
    }
}

/// Lists the scenarios; broken ones too.
pub fn list(folder: &ScenarioFolder) -> Result<ExitCode, Problem> {
    let entries = all(&folder.scenarios)?;
    let width = entries.iter().map(|e| e.id().len()).max().unwrap_or(0);
    for entry in entries {
        match &entry.scenario {
            Ok(scenario) => println!("{:width$}  {}", entry.id(), scenario.summary.value),
            Err(found) => {
                println!("{:width$}  broken: {}", entry.id(), found.to_text().lines().next().unwrap_or_default())
            }
        }
    }
    Ok(Exit::Pass.into())
}

/// Shows what a run would do.
pub fn plan(name: &str, format: PlanFormat, folder: &ScenarioFolder) -> Result<ExitCode, Problem> {
    let Some(loaded) = Loaded::checked(name, folder)? else { return Ok(Exit::Usage.into()) };
    match format {
        PlanFormat::Text => print!("{}", loaded.plan),
        PlanFormat::Json => {
            let text = serde_json::to_string_pretty(&loaded.plan)
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
fn suites(entries: &[Entry], folder: &ScenarioFolder) -> Result<Option<Suites>, Problem> {
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

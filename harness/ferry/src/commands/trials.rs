//! Which trials a command is about: scenarios by name, suite, filter and shard, each in the cells of its matrix.

use std::path::{Path, PathBuf};

use ferry_scenario::diagnostic::codes;
use ferry_scenario::lint::Linter;
use ferry_scenario::select::{Candidate, Filter, Selection, Suites};
use ferry_scenario::{Cell, Diagnostics, Disk, Entry, Plan, Scenario, Sets};

use super::scenarios::{all, find, show, suites};
use crate::cli::{ScenarioFolder, SelectArgs};
use crate::edge::Problem;

/// A scenario in one cell, not checked yet.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The scenario's file, and what became of reading it.
    pub entry: Entry,
    /// The cell that it runs in.
    pub cell: Cell,
    /// The suites that it belongs to.
    pub suites: Vec<String>,
    /// The folder that holds all scenarios.
    pub folder: PathBuf,
}

/// A scenario that parses and lints, in one cell, with its plan.
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

impl Trial {
    /// As test runners call it.
    pub fn name(&self) -> String {
        self.entry.trial_name(&self.cell)
    }

    /// Reads, lints and plans the scenario for its cell, with values for its variables.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, sets: &Sets) -> Result<Checked, Problem> {
        let scenario = match self.entry.load(Some(&self.cell), sets) {
            Ok(scenario) => scenario,
            Err(found) => return Ok(Checked { loaded: None, found }),
        };
        let files = Disk::new(&self.folder);
        let known = super::lint::known(&ferry_lab::bundle::load()?);
        let found = Linter::new(&files).knowing(&known).lint(&scenario);
        let plan = ferry_scenario::plan(&scenario, &self.cell, &files);
        let loaded =
            Loaded { name: self.entry.id(), cell: self.cell.clone(), folder: self.folder.clone(), scenario, plan };
        Ok(Checked { loaded: (!found.has_errors()).then_some(loaded), found })
    }
}

/// A trial that was checked.
#[derive(Debug)]
pub struct Checked {
    /// The scenario, if it can run.
    pub loaded: Option<Loaded>,
    /// What is wrong with it.
    pub found: Diagnostics,
}

/// What a selection leaves.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// The chosen trials.
    pub trials: Vec<Trial>,
    /// Scenarios that cannot be varied as `--set` says, each with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Finds the trials of the named scenarios, or of all, that the selection leaves. What is wrong with the selection itself is
/// printed; then there are none. What `--set` leaves out of all scenarios is printed as well.
pub fn select(
    names: &[String],
    selection: &SelectArgs,
    folder: &ScenarioFolder,
) -> Result<Option<Vec<Trial>>, Problem> {
    let Some(selected) = selected(names, selection, folder, true)? else { return Ok(None) };
    if let Some((_, reason)) = selected.left_out.first() {
        eprintln!("note: left out as --set cannot vary them so: {} scenario(s); {reason}", selected.left_out.len());
    }
    Ok(Some(selected.trials))
}

/// As [`select`] of all scenarios, but leaves it to the caller to say what is left out, nothing at all perhaps.
pub fn select_quietly(selection: &SelectArgs, folder: &ScenarioFolder) -> Result<Option<Selected>, Problem> {
    selected(&[], selection, folder, false)
}

/// `is_strict`: a selection that leaves nothing is a mistake where something in it can have no meaning.
fn selected(
    names: &[String],
    selection: &SelectArgs,
    folder: &ScenarioFolder,
    is_strict: bool,
) -> Result<Option<Selected>, Problem> {
    let sets = selection.sets();
    let by_name: Vec<(Entry, PathBuf)> = match names {
        [] => all(&folder.scenarios)?.into_iter().map(|entry| (entry, folder.scenarios.clone())).collect(),
        names => names.iter().map(|name| find(name, folder)).collect::<Result<_, _>>()?,
    };
    let Some(suites) = known_suites(&by_name, names.is_empty(), selection, folder)? else { return Ok(None) };
    if let Some(name) = &selection.suite
        && suites.get(name).is_none()
    {
        let known: Vec<&str> = suites.all().iter().map(|suite| suite.name.as_str()).collect();
        let nearest = suites.nearest(name).map(|nearest| format!("did you mean {nearest}? ")).unwrap_or_default();
        return Err(Problem::usage(format!("there is no suite {name}"))
            .hint(format!("{nearest}suites.yaml has {}", known.join(", "))));
    }
    let (mut trials, mut left_out, mut refused) = (vec![], vec![], None);
    for (entry, folder) in &by_name {
        let varied = varied(entry, &sets);
        // A scenario that was named must take the values, or say why it does not.
        match misfit(entry, &varied, &sets, folder).filter(|_| names.is_empty()) {
            Some(reason) => {
                left_out.push((entry.id(), format!("{}: {reason}", entry.id())));
                refused = refused.or(varied.scenario.err());
            }
            None => trials.extend(trials_of(&varied, folder, &suites)),
        }
    }
    if let (true, true, Some(refused)) = (is_strict, trials.is_empty(), refused) {
        show(&refused);
        return Ok(None);
    }
    let Some(trials) = narrowed(trials, selection, is_strict)? else { return Ok(None) };
    Ok(Some(Selected { trials, left_out }))
}

/// The suites, if the selection asks for any or all scenarios are listed.
fn known_suites(
    found: &[(Entry, PathBuf)],
    is_everything: bool,
    selection: &SelectArgs,
    folder: &ScenarioFolder,
) -> Result<Option<Suites>, Problem> {
    if is_everything {
        let entries: Vec<Entry> = found.iter().map(|(entry, _)| entry.clone()).collect();
        return suites(&entries, folder);
    }
    match selection.is_empty() {
        true => Ok(Some(Suites::default())),
        false => suites(&all(&folder.scenarios)?, folder),
    }
}

/// The scenario with values for variables. Its cells can be others than the file alone says.
fn varied(entry: &Entry, sets: &Sets) -> Entry {
    match sets.is_empty() {
        true => entry.clone(),
        false => Entry { scenario: entry.load(None, sets), ..entry.clone() },
    }
}

/// Why a sound scenario cannot be varied so, if it cannot: it lacks a variable, its matrix excludes the cell, or the provider
/// has no such cluster. A broken one is no misfit, so that it says what is wrong with it.
fn misfit(entry: &Entry, varied: &Entry, sets: &Sets, folder: &Path) -> Option<String> {
    let scenario = entry.scenario.as_ref().ok()?;
    match &varied.scenario {
        Err(found) => {
            let is_about_values = |code: &str| [codes::UNKNOWN_VARIABLE, codes::MATRIX].contains(&code);
            let first = found.first()?;
            found.iter().all(|diagnostic| is_about_values(diagnostic.code)).then(|| first.message.clone())
        }
        Ok(_) => {
            let profile = format!("{}-{}", sets.get("provider")?, scenario.cluster);
            let path = folder.join("../kind-configs").join(format!("{profile}.yaml"));
            (!path.is_file()).then(|| format!("there is no cluster profile {profile}"))
        }
    }
}

/// A scenario in each of its cells.
fn trials_of(entry: &Entry, folder: &Path, suites: &Suites) -> Vec<Trial> {
    let tags = tags(entry);
    let in_cell = |cell: Cell| {
        let suites = suites.of(&candidate(entry, &cell, &tags, &[])).into_iter().map(Into::into).collect();
        Trial { entry: entry.clone(), cell, suites, folder: folder.to_path_buf() }
    };
    entry.cells().into_iter().map(in_cell).collect()
}

fn narrowed(trials: Vec<Trial>, selection: &SelectArgs, is_strict: bool) -> Result<Option<Vec<Trial>>, Problem> {
    let tags: Vec<Vec<&str>> = trials.iter().map(|trial| tags(&trial.entry)).collect();
    let suites: Vec<Vec<&str>> = trials.iter().map(|trial| trial.suites.iter().map(String::as_str).collect()).collect();
    let candidates: Vec<Candidate<'_>> = trials
        .iter()
        .zip(tags.iter().zip(&suites))
        .map(|(trial, (tags, suites))| candidate(&trial.entry, &trial.cell, tags, suites))
        .collect();
    let filter = match &selection.filter {
        None => None,
        Some(text) => match Filter::parse("--filter", text) {
            Ok(filter) => {
                // Values for dimensions can leave a part of a filter without trials that has some otherwise.
                let is_idle = selection.set.is_empty() || !candidates.iter().any(|trial| filter.matches(trial));
                let found = filter.check("--filter", &candidates);
                if is_strict && is_idle && found.has_errors() {
                    show(&found);
                    return Ok(None);
                }
                Some(filter)
            }
            Err(found) => {
                show(&found);
                return Ok(None);
            }
        },
    };
    let chosen = Selection { suite: selection.suite.clone(), filter, shard: selection.shard }.pick(&candidates);
    let mut trials: Vec<Option<Trial>> = trials.into_iter().map(Some).collect();
    Ok(Some(chosen.into_iter().filter_map(|index| trials[index].take()).collect()))
}

fn tags(entry: &Entry) -> Vec<&str> {
    let tags = entry.scenario.as_ref().map(|scenario| scenario.tags.as_slice()).unwrap_or_default();
    tags.iter().map(|tag| tag.as_str()).collect()
}

fn candidate<'a>(entry: &'a Entry, cell: &'a Cell, tags: &'a [&'a str], suites: &'a [&'a str]) -> Candidate<'a> {
    Candidate { area: &entry.area, name: &entry.name, tags, suites, cell }
}

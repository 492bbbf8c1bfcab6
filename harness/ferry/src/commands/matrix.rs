//! `ferry list --format github-matrix`: a suite's lanes, cut into shards, as the jobs of a GitHub workflow.
//!
//! A job says nothing that `ferry run` does not understand: its `arguments` choose the same trials on any machine.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use ferry_lab::bundle::{self, Bundle};
use ferry_scenario::select::lanes::{Lane, NEWEST};
use ferry_scenario::text::Version;
use ferry_scenario::{Cell, Disk, Entry, Scenario, Sets};
use serde::Serialize;

use super::scenarios::{all, suites};
use super::trials::{self, Trial};
use crate::cli::{ListArgs, ScenarioFolder, SelectArgs};
use crate::edge::{Exit, Problem};
use crate::run::stock;

/// GitHub refuses a matrix with more jobs.
const MOST_JOBS: usize = 256;

/// What a job does beside its trials: images and tools, on a machine that has none.
const SET_UP: Duration = Duration::from_secs(45 * 60);

/// How much longer trials may take on somebody else's machine before nobody waits for them any more.
const PATIENCE: u32 = 3;

/// Why a lane is left out whose trials are all of other suites.
const NOBODY: &str = "no trial of the selection runs there";

/// For `strategy.matrix`.
#[derive(Debug, Serialize)]
struct Matrix {
    include: Vec<Job>,
}

/// One job: a shard of a lane.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Job {
    /// Names its artifacts.
    id: String,
    /// For people.
    name: String,
    suite: String,
    kubernetes: String,
    provider: String,
    /// The Flux that clusters are bootstrapped with.
    from: String,
    /// The Flux that they end with.
    to: String,
    floating: bool,
    shard: String,
    trials: usize,
    timeout_minutes: u64,
    /// Of `ferry run`, as a shell takes them.
    arguments: String,
}

/// A lane that has trials, and what is to be known of them.
struct Manned {
    lane: Lane,
    trials: Vec<Trial>,
    kubernetes: BTreeSet<String>,
    providers: BTreeSet<String>,
    from: BTreeSet<String>,
    to: BTreeSet<String>,
}

/// Prints the matrix on one line, as a step's output needs it, and what is left out of it on standard error.
pub fn list(arguments: &ListArgs) -> Result<ExitCode, Problem> {
    if arguments.select.shard.is_some() {
        return Err(Problem::usage("a matrix has all shards of its lanes, and --shard asks for one")
            .hint("say into how many jobs a lane is cut: --shards 3".to_string()));
    }
    let bundle = bundle::load()?;
    let entries = all(&arguments.folder.scenarios)?;
    let Some(lanes) = lanes(&entries, &arguments.select, &arguments.folder)? else { return Ok(Exit::Usage.into()) };
    let mut jobs: Vec<Job> = Vec::new();
    for lane in lanes {
        let lane = newest(lane, &entries, &arguments.folder.scenarios, &bundle);
        let select = SelectArgs { set: merged(&lane.sets, &arguments.select.sets()), ..arguments.select.clone() };
        let Some(selected) = trials::select_quietly(&select, &arguments.folder)? else {
            return Ok(Exit::Usage.into());
        };
        let misfit = selected.left_out.first().map(|(_, reason)| reason.as_str());
        match manned(lane.clone(), selected.trials, &select.sets(), &bundle) {
            Err(why) => eprintln!("note: {lane}: left out; {}", why.as_deref().or(misfit).unwrap_or(NOBODY)),
            Ok(manned) => {
                if let Some(reason) = misfit {
                    eprintln!("note: {lane}: without {} scenario(s); {reason}", selected.left_out.len());
                }
                jobs.extend(shards(&manned, &select, arguments));
            }
        }
    }
    match jobs.len() {
        0 => Err(Problem::usage("the matrix would have no jobs: no lane has a trial")
            .hint("`ferry list` with the same --suite and --filter shows what they choose".to_string())),
        many if many > MOST_JOBS => {
            Err(Problem::usage(format!("the matrix would have {many} jobs, and GitHub takes at most {MOST_JOBS}"))
                .hint("ask for fewer --shards, or take values out of the suite's lanes".to_string()))
        }
        _ => {
            let text = serde_json::to_string(&Matrix { include: jobs })
                .map_err(|e| Problem::infra("the matrix cannot be written as JSON").because(e))?;
            println!("{text}");
            Ok(Exit::Pass.into())
        }
    }
}

/// The lanes of the chosen suite; one, as scenarios are written, if it has none.
fn lanes(entries: &[Entry], select: &SelectArgs, folder: &ScenarioFolder) -> Result<Option<Vec<Lane>>, Problem> {
    let Some(suites) = suites(entries, folder)? else { return Ok(None) };
    let suite = select.suite.as_deref().and_then(|name| suites.get(name));
    let lanes = suite.map(|suite| suite.lanes.clone()).unwrap_or_default();
    Ok(Some(if lanes.is_empty() { vec![Lane::default()] } else { lanes }))
}

/// Puts a release in the place of `newest`: the newest that the bundle has nodes of.
fn newest(mut lane: Lane, entries: &[Entry], folder: &Path, bundle: &Bundle) -> Lane {
    if lane.kubernetes() == Some(NEWEST) {
        let scenario = entries.iter().find_map(|entry| entry.scenario.as_ref().ok());
        let provider = lane.provider().map_or_else(|| Cell::default().provider, str::to_owned);
        let cells = (0..=u8::MAX).rev().map(|minor| format!("1.{minor}"));
        let mut cells = cells.map(|kubernetes| Cell { kubernetes, provider: provider.clone(), ..Cell::default() });
        let found = scenario.and_then(|scenario| cells.find(|cell| node(scenario, cell, folder, bundle).is_ok()));
        // With none the lane is left out, for the reason that its node gives.
        lane.sets.insert("kubernetes".into(), found.unwrap_or_default().kubernetes);
    }
    lane
}

/// The bundle's component that the cell's nodes are made from, or why there is none.
fn node(scenario: &Scenario, cell: &Cell, folder: &Path, bundle: &Bundle) -> Result<String, Problem> {
    let profile = stock::profile(folder, scenario, cell)?;
    stock::node(scenario, cell, &profile, bundle)
}

/// What the lane sets, and what the command line sets beside or instead.
fn merged(lane: &Sets, given: &Sets) -> Vec<(String, String)> {
    let mut sets = lane.clone();
    sets.extend(given.clone());
    sets.into_iter().collect()
}

/// The lane with its trials, or why they cannot run, if there are any.
fn manned(lane: Lane, trials: Vec<Trial>, sets: &Sets, bundle: &Bundle) -> Result<Manned, Option<String>> {
    let first = trials.first().ok_or(None)?;
    let scenarios: Vec<_> = trials.iter().filter_map(|trial| trial.entry.load(Some(&trial.cell), sets).ok()).collect();
    let refusal = |scenario: &Scenario| Some(node(scenario, &scenario.cell, &first.folder, bundle).err()?.to_string());
    let refusals: Vec<String> = scenarios.iter().filter_map(refusal).collect();
    // A trial that cannot run says so itself, as a broken file does; a lane of nothing else would be red for ever.
    if let (Some(why), true) = (refusals.first(), refusals.len() == scenarios.len()) {
        return Err(Some(why.clone()));
    }
    if scenarios.is_empty() {
        return Err(Some("every file in it is broken; `ferry lint` says how".to_owned()));
    }
    let files = Disk::new(&first.folder);
    let (mut from, mut to) = (BTreeSet::new(), BTreeSet::new());
    for scenario in &scenarios {
        let plan = ferry_scenario::plan(scenario, &scenario.cell, &files);
        from.insert(scenario.flux.version.to_string());
        let releases = plan.needs.flux.keys().filter_map(|release| release.parse::<Version>().ok());
        to.extend(releases.max_by(|a, b| a.get().cmp(b.get())).map(|release| release.to_string()));
    }
    let kubernetes = scenarios.iter().map(|scenario| scenario.cell.kubernetes.clone()).collect();
    let providers = scenarios.iter().map(|scenario| scenario.cell.provider.clone()).collect();
    Ok(Manned { lane, trials, kubernetes, providers, from, to })
}

/// The jobs of a lane, none of them empty.
fn shards(manned: &Manned, select: &SelectArgs, arguments: &ListArgs) -> Vec<Job> {
    let asked = arguments.shards.map_or(1, std::num::NonZeroUsize::get);
    let count = asked.min(manned.trials.len());
    (1..=count).map(|index| job(manned, select, &arguments.folder.scenarios, (index, count))).collect()
}

fn job(manned: &Manned, select: &SelectArgs, scenarios: &Path, (index, count): (usize, usize)) -> Job {
    let joined = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join("+");
    let shard = format!("{index}/{count}");
    // As `Selection::pick` deals them out: by their names.
    let mut trials: Vec<&Trial> = manned.trials.iter().collect();
    trials.sort_by_cached_key(|trial| trial.name());
    let trials: Vec<&Trial> = trials.into_iter().skip(index - 1).step_by(count).collect();
    let suite = select.suite.clone().unwrap_or_else(|| "all".into());
    let varied = select.set.iter().filter(|(name, _)| !ferry_scenario::cell::BUILT_IN.contains(&name.as_str()));
    let varied: Vec<String> = varied.map(|(name, value)| format!("{name} {value}")).collect();
    let floating = manned.lane.floating;
    let (kubernetes, provider) = (joined(&manned.kubernetes), joined(&manned.providers));
    let (from, to) = (joined(&manned.from), joined(&manned.to));
    let mut words = vec![suite.clone(), format!("k8s {kubernetes}"), provider.clone()];
    words.extend(varied);
    words.extend(floating.then(|| "floating".to_owned()));
    let mut id = words.clone();
    id.push(format!("{index} of {count}"));
    words.push(format!("Flux {from} → {to}"));
    words.push(shard.clone());
    Job {
        id: slug(&id.join(" ")),
        name: words.join(" · "),
        timeout_minutes: minutes(&trials, &select.sets()),
        arguments: run_arguments(select, floating, scenarios, (count > 1).then_some(&shard)),
        trials: trials.len(),
        suite,
        kubernetes,
        provider,
        from,
        to,
        floating,
        shard,
    }
}

/// When to give a job up.
fn minutes(trials: &[&Trial], sets: &Sets) -> u64 {
    let expected = |trial: &&Trial| {
        let scenario = trial.entry.load(Some(&trial.cell), sets).ok()?;
        Some(ferry_scenario::plan(&scenario, &trial.cell, &Disk::new(&trial.folder)).estimate.expected)
    };
    let sum: Duration = trials.iter().filter_map(expected).sum();
    (SET_UP + sum * PATIENCE).as_secs().div_ceil(60)
}

fn run_arguments(select: &SelectArgs, floating: bool, scenarios: &Path, shard: Option<&String>) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), quoted(value)]);
    if let Some(suite) = &select.suite {
        option("--suite", suite);
    }
    match (&select.filter, &select.suite) {
        (Some(filter), _) => option("--filter", filter),
        // A command that names nothing would not run.
        (None, None) => option("--filter", "all()"),
        (None, Some(_)) => {}
    }
    select.set.iter().for_each(|(name, value)| option("--set", &format!("{name}={value}")));
    if let Some(shard) = shard {
        option("--shard", shard);
    }
    if scenarios != Path::new("scenarios") {
        option("--scenarios", &scenarios.display().to_string());
    }
    words.extend(floating.then(|| "--floating".to_owned()));
    words.join(" ")
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A name that artifacts may have.
fn slug(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' });
    let plain: String = plain.collect();
    plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("nightly", "nightly")]
    #[case("kubernetes=1.34", "kubernetes=1.34")]
    #[case("tag(a) & not k8s(<1.34)", "'tag(a) & not k8s(<1.34)'")]
    #[case("it's", r"'it'\''s'")]
    #[case("", "''")]
    fn words_are_quoted_for_a_shell(#[case] word: &str, #[case] expected: &str) {
        assert_eq!(quoted(word), expected);
    }

    #[rstest]
    #[case("nightly k8s 1.34 kind 1 of 4", "nightly-k8s-1.34-kind-1-of-4")]
    #[case("ci k8s 1.33+1.34 kind parts A+b", "ci-k8s-1.33-1.34-kind-parts-a-b")]
    fn ids_can_name_artifacts(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(slug(text), expected);
    }
}

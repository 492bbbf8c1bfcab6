//! The command line: arguments only. What each command does is in `commands`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ferry_scenario::Sets;
use ferry_scenario::select::{self, Shard};
use ferry_scenario::text::HumanDuration;

/// Carry a live cluster from flux bootstrap to Flux Operator, and prove that no request was lost.
#[derive(Debug, Parser)]
#[command(name = "ferry", version, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 pass · 1 fail · 2 usage or lint · 3 infrastructure · 4 inconclusive · 130 cancelled"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios, each on a cluster of its own, and give a verdict
    #[command(after_help = filters())]
    Run(RunArgs),
    /// List the scenarios
    #[command(after_help = filters())]
    List(ListArgs),
    /// Check scenario files without running anything
    Lint(LintArgs),
    /// Show what a run would do: phases, steps, deadlines, images. Nothing is started
    Plan {
        /// The scenario, as area/name or as a file
        scenario: String,
        /// As text for people, or as JSON for programs
        #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
        format: PlanFormat,
        /// Which of its cells
        #[command(flatten)]
        select: SelectArgs,
        /// Where scenarios are
        #[command(flatten)]
        folder: ScenarioFolder,
    },
    /// Print the JSON schema of scenario files
    Schema,
    /// Say what can be written in a scenario: keys, types, defaults, an example
    Explain {
        /// A key or type, and what is below it, such as phases.budget or step.wait.ready; the whole file when none is given
        path: Option<String>,
    },
    /// Print scenarios/README.md: every scenario on one page
    Catalogue(ScenarioFolder),
    /// Write a commented scenario and its fleet to start from
    New {
        /// The new scenario, as area/name
        scenario: String,
        /// What to start from
        #[arg(long, value_enum, default_value_t = Template::Official)]
        from: Template,
        /// Where scenarios are
        #[command(flatten)]
        folder: ScenarioFolder,
    },
    /// Check whether this machine can run scenarios, and say the remedy for each finding
    Doctor {
        /// Carry the remedies out (Debian, as root)
        #[arg(long, env = "FERRY_PROVISION", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
        provision: bool,
        /// Stop the Docker Engine that an earlier --provision started, and no other
        #[arg(long, conflicts_with = "provision")]
        stop_engine: bool,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
        /// Where images come from
        #[command(flatten)]
        images: ImageArgs,
    },
    /// The images and tools of a run: build, pull, list, mirror
    Bundle {
        /// What to do with it
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Derive the reports of a run again from its record, and print its summary
    Report {
        /// The run's id or folder; the newest when none is given
        run: Option<PathBuf>,
        /// Where runs are
        #[command(flatten)]
        folder: ReportsFolder,
    },
    /// Judge a run again from its record alone
    Verdict {
        /// The run's id or folder; the newest when none is given
        run: Option<PathBuf>,
        /// Where runs are
        #[command(flatten)]
        folder: ReportsFolder,
    },
    /// Show two runs side by side: verdicts, times, and what their probes saw
    Compare(CompareArgs),
    /// List the runs of the past, the newest first
    History(HistoryArgs),
    /// List the clusters that runs have left standing (--keep), or remove one
    Clusters {
        /// Remove what this run left: containers, networks, volumes
        #[arg(long, value_name = "RUN")]
        rm: Option<String>,
    },
    /// Remove what dead runs left behind
    Gc,
    /// Wait for a run's owner to die, then remove what it left (started by `run`, not by people)
    #[command(hide = true)]
    Reap(ReapArgs),
}

/// Where scenarios are.
#[derive(Debug, Clone, Args)]
pub struct ScenarioFolder {
    /// Folder with the scenarios
    #[arg(long, env = "FERRY_SCENARIOS", default_value = "scenarios", value_name = "DIR")]
    pub scenarios: PathBuf,
}

/// Which trials. A trial is a scenario in one cell of its matrix.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectArgs {
    /// Only trials of this suite of suites.yaml
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,
    /// Only trials that this describes, such as 'tag(smoke) & not k8s(<1.34)'
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Only this part of them, such as 1/3
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Another value for a variable of the scenario, or for a dimension of its matrix
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

impl SelectArgs {
    /// Whether nothing is selected by it.
    pub fn is_empty(&self) -> bool {
        self.suite.is_none() && self.filter.is_none() && self.shard.is_none()
    }

    /// Values for variables. Of two for the same, the last counts.
    pub fn sets(&self) -> Sets {
        self.set.iter().cloned().collect()
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as auth=http")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn filters() -> String {
    format!("Filters:\n{}", select::SYNTAX.lines().map(|line| format!("  {line}\n")).collect::<String>())
}

/// Arguments of `ferry list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Which trials
    #[command(flatten)]
    pub select: SelectArgs,
    /// How they are printed
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    /// With github-matrix: into how many jobs a lane is cut, at most [default: 1]
    #[arg(long, value_name = "N")]
    pub shards: Option<NonZeroUsize>,
    /// Where scenarios are
    #[command(flatten)]
    pub folder: ScenarioFolder,
}

/// How scenarios are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A line for each scenario
    Text,
    /// A line for each trial: its name, as test runners call it
    Trials,
    /// An array of trials
    Json,
    /// The jobs of a GitHub workflow's matrix: the suite's lanes, cut into shards, with the arguments of `ferry run` for each
    GithubMatrix,
}

/// Arguments of `ferry lint`.
#[derive(Debug, Clone, Args)]
pub struct LintArgs {
    /// Scenario files or folders, or `-` for standard input; all scenarios when none is given
    pub paths: Vec<PathBuf>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = LintFormat::Text)]
    pub format: LintFormat,
    /// Say what a rule is for, with an example, by its code or name
    #[arg(long, value_name = "RULE", conflicts_with_all = ["paths", "format", "deny_warnings"])]
    pub explain: Option<String>,
    /// Exit with 2 for warnings too
    #[arg(long)]
    pub deny_warnings: bool,
    /// Where scenarios are
    #[command(flatten)]
    pub folder: ScenarioFolder,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// For people, with the lines that they are about
    Text,
    /// An array of objects
    Json,
    /// Workflow commands, which GitHub shows beside the changed lines
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Arguments of `ferry run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Scenarios, as area/name or as a file
    #[arg(value_name = "SCENARIO")]
    pub names: Vec<String>,
    /// Which trials of them
    #[command(flatten)]
    pub select: SelectArgs,
    /// Where scenarios are
    #[command(flatten)]
    pub folder: ScenarioFolder,
    /// Where images come from
    #[command(flatten)]
    pub images: ImageArgs,
    /// Install what is missing on this machine first (Debian, as root)
    #[arg(long, env = "FERRY_PROVISION", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub provision: bool,
    /// Keep the cluster and its servers after the run
    #[arg(long, value_enum, default_value_t = Keep::Never)]
    pub keep: Keep,
    /// What is done around the scenario to be sure of its verdict
    #[command(flatten)]
    pub proof: ProofArgs,
    /// How often a trial is run again that ended inconclusive or because infrastructure broke; one that failed never is
    #[arg(long, env = "FERRY_RETRIES", value_name = "N", default_value_t = 0)]
    pub retries: u8,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub progress: Progress,
    /// Folder for the run's record and reports
    #[arg(long, env = "FERRY_REPORTS", default_value = "reports/out", value_name = "DIR")]
    pub reports: PathBuf,
    /// File with the history of runs, to compare with and to add to; history.sqlite in the folder of reports by default
    #[arg(long, env = "FERRY_HISTORY", value_name = "FILE")]
    pub history: Option<PathBuf>,
}

/// Where runs are.
#[derive(Debug, Clone, Args)]
pub struct ReportsFolder {
    /// Folder with the records and reports of runs
    #[arg(long, env = "FERRY_REPORTS", default_value = "reports/out", value_name = "DIR", hide_env_values = true)]
    pub reports: PathBuf,
}

/// Arguments of `ferry compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The first run's id or folder
    #[arg(value_name = "RUN")]
    pub a: PathBuf,
    /// The second run's id or folder
    #[arg(value_name = "RUN")]
    pub b: PathBuf,
    /// As text for people, or as JSON for programs
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// Where runs are
    #[command(flatten)]
    pub folder: ReportsFolder,
}

/// Arguments of `ferry history`.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// Only runs of this scenario, as area/name
    pub scenario: Option<String>,
    /// As text for people, or as JSON for programs
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// How many runs, at most
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub last: u32,
    /// File with the history; history.sqlite in the folder of reports by default
    #[arg(long, env = "FERRY_HISTORY", value_name = "FILE", hide_env_values = true)]
    pub history: Option<PathBuf>,
    /// Where runs are
    #[command(flatten)]
    pub folder: ReportsFolder,
}

/// What is done around a scenario to be sure of its verdict.
#[derive(Debug, Clone, Default, Args)]
pub struct ProofArgs {
    /// Leave out the probes' self-proof, the quiet stretch before the migration and the soak after it: `latency`, which needs
    /// them, is not judged then
    #[arg(long, env = "FERRY_QUICK", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub quick: bool,
    /// How long nothing is done before the migration, for scenarios that have such a stretch [default: as they say, or 10s]
    #[arg(long, env = "FERRY_QUIET", value_name = "DURATION", value_parser = duration)]
    pub quiet: Option<Duration>,
    /// How long nothing is done after the migration, for scenarios that have such a stretch [default: as they say, or 10s]
    #[arg(long, env = "FERRY_SOAK", value_name = "DURATION", value_parser = duration)]
    pub soak: Option<Duration>,
}

/// A duration as scenarios write it.
fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<HumanDuration>().map(HumanDuration::get).map_err(|error| error.to_string())
}

/// Where images and tools come from.
#[derive(Debug, Clone, Args)]
pub struct ImageArgs {
    /// Pull images, build them from source, or pull where registries answer and build otherwise
    #[arg(long, env = "FERRY_IMAGES", value_enum, default_value_t = Images::Auto)]
    pub images: Images,
    /// Pull from this registry instead, where images keep their upstream names below HOST[/PREFIX]
    #[arg(long, env = "FERRY_MIRROR", value_name = "HOST")]
    pub mirror: Option<String>,
    /// Digests of the mirror's images, as written by `ferry bundle mirror`
    #[arg(long, env = "FERRY_LOCK", value_name = "FILE", requires = "mirror")]
    pub lock: Option<PathBuf>,
    /// Pull what tags name today, whatever digests are pinned: shows early what upstream has changed
    #[arg(long, env = "FERRY_FLOATING", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue, conflicts_with = "lock")]
    pub floating: bool,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// Lines for people
    Text,
    /// One JSON object
    Json,
}

/// How runs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Tables for people
    Text,
    /// One JSON value
    Json,
}

/// What a new scenario starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// The whole official migration: bootstrap, take over, clean up, deliver
    Official,
    /// Bootstrap and take-over alone
    Minimal,
}

/// See [`ImageArgs::images`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Images {
    /// Ask whether registries answer
    Auto,
    /// Pull by digest
    Registry,
    /// Build from language modules and Debian packages
    Source,
}

/// When a cluster outlives its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// Never
    Never,
    /// When the verdict is not the expected one
    OnFailure,
    /// Always
    Always,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// Live on a terminal, lines elsewhere
    Auto,
    /// Live
    Live,
    /// A line for each transition
    Plain,
}

/// Commands on the bundle.
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Pull or build components into the cache, where runs will find them
    Build {
        /// Component names; the whole bundle when none is given
        components: Vec<String>,
        /// Where images come from
        #[command(flatten)]
        images: ImageArgs,
    },
    /// Name, version, licence, origin and home of everything in the bundle, and whether it is in the cache
    List,
    /// Print a bill of materials: everything in the bundle with version, licence, source and what it is made of, as CycloneDX 1.6
    Sbom,
    /// Build what upstream publishes, push it under its upstream names to a registry, and write the digests to a lock file
    Mirror {
        /// Registry that takes pushes without a password: host, with an optional path
        #[arg(value_name = "HOST[/PREFIX]")]
        host: String,
        /// Where to write the digests
        #[arg(long, default_value = "bundle.lock", value_name = "FILE")]
        lock: PathBuf,
        /// Component names; all with an upstream reference when none is given
        components: Vec<String>,
    },
    /// Remove from cache and engine what no current recipe names, what interrupted builds left, and stages of builds
    Gc {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

/// Arguments of the reaper.
#[derive(Debug, Clone, Args)]
pub struct ReapArgs {
    /// The run
    #[arg(long)]
    pub run: String,
    /// Process id of its owner
    #[arg(long)]
    pub owner: u32,
    /// Start time of its owner, in clock ticks since boot
    #[arg(long)]
    pub owner_start: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}

//! The workflows under `.github` keep to what `ferry`, the suites and the toolchains really are. What GitHub makes of them is
//! actionlint's business, which the workflow `ci` runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use ferry::cli::{Cli, Command as Asked};
use rstest::rstest;
use serde_yaml::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs_err::read_to_string(root().join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap()
}

const CI: &str = ".github/workflows/ci.yaml";
const NIGHTLY: &str = ".github/workflows/nightly.yaml";
const MACHINE: &str = ".github/actions/machine/action.yaml";

/// The jobs of a suite's matrix, by the command that the workflow plans with.
fn jobs(suite: &str, shards: &str) -> Vec<serde_json::Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry"));
    command.current_dir(root()).args(["list", "--format", "github-matrix", "--suite", suite, "--shards", shards]);
    let output = command.env_remove("FERRY_SCENARIOS").output().unwrap();
    assert!(output.status.success(), "{suite}: {}", String::from_utf8_lossy(&output.stderr));
    let matrix: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    matrix["include"].as_array().unwrap().clone()
}

/// The words of a shell's command line, as far as workflows and a matrix quote.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Every line of a workflow that calls ferry: its arguments, before anything is put in the place of what is between `${{ }}`.
fn calls(path: &str) -> Vec<String> {
    let text = read(path);
    let calls = text.lines().filter_map(|line| line.trim().strip_prefix("- run: ").or(Some(line.trim())));
    let calls =
        calls.filter_map(|line| line.strip_prefix("run: ").or(Some(line))?.strip_prefix("target/release/ferry "));
    calls.map(|line| line.split(" >").next().unwrap().to_owned()).collect()
}

fn parsed(arguments: &str) -> Cli {
    let words = std::iter::once("ferry".to_owned()).chain(words(arguments));
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("ferry {arguments}\n{error}"))
}

#[test]
fn every_call_of_ferry_is_one_that_it_understands() {
    let calls = calls(NIGHTLY);
    assert_eq!(calls.len(), 4, "{calls:#?}");
    for call in calls {
        let call = call.replace("$suite", "nightly").replace("$SHARDS", "4");
        for job in jobs("nightly", "4").iter().chain(&jobs("floating", "4")) {
            let arguments = call.replace("${{ matrix.arguments }}", job["arguments"].as_str().unwrap());
            assert!(!arguments.contains("${{"), "{arguments}");
            parsed(&arguments);
        }
    }
}

/// What a job is planned to run is what it runs.
#[rstest]
#[case("nightly", "3")]
#[case("floating", "1")]
fn a_job_runs_as_many_trials_as_it_says(#[case] suite: &str, #[case] shards: &str) {
    let mut seen = BTreeSet::new();
    for job in jobs(suite, shards) {
        let arguments = job["arguments"].as_str().unwrap();
        assert!(seen.insert(job["id"].as_str().unwrap().to_owned()), "{job}");
        let Asked::Run(run) = parsed(&format!("run {arguments}")).command else { panic!("{arguments}") };
        assert_eq!(Some(run.images.floating), job["floating"].as_bool());
        let mut list = Command::new(env!("CARGO_BIN_EXE_ferry"));
        let words = words(arguments).into_iter().filter(|word| word != "--floating");
        list.current_dir(root()).env_remove("FERRY_SCENARIOS").args(["list", "--format", "trials"]).args(words);
        let listed = String::from_utf8(list.output().unwrap().stdout).unwrap();
        assert_eq!(Some(listed.lines().count() as u64), job["trials"].as_u64(), "{arguments}\n{listed}");
        assert!(!listed.is_empty(), "{arguments}");
    }
}

#[test]
fn the_suites_that_can_be_asked_for_are_all_there_and_fit_into_a_matrix() {
    let nightly = yaml(NIGHTLY);
    let inputs = &nightly["on"]["workflow_dispatch"]["inputs"];
    let options = inputs["suite"]["options"].as_sequence().unwrap().iter().map(|name| name.as_str().unwrap());
    let offered: BTreeSet<&str> = options.collect();
    let written: Value = yaml("scenarios/suites.yaml");
    let suites: BTreeSet<&str> = written.as_mapping().unwrap().keys().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(offered, suites);
    let shards = inputs["shards"]["default"].as_u64().unwrap().to_string();
    for suite in suites {
        let jobs = jobs(suite, &shards);
        assert!((1..=256).contains(&jobs.len()), "{suite}");
    }
    let by_default =
        read(NIGHTLY).lines().find_map(|line| line.trim().strip_prefix("SUITES: ").map(str::to_owned)).unwrap();
    let schedule = nightly["on"]["schedule"].as_sequence().unwrap();
    let times: BTreeSet<&str> = schedule.iter().map(|entry| entry["cron"].as_str().unwrap()).collect();
    // Between quotes stand the time that is asked for, and suites.
    let (asked, named): (Vec<&str>, Vec<&str>) =
        by_default.split('\'').skip(1).step_by(2).partition(|quoted| times.contains(quoted));
    assert_eq!(asked.len(), 1, "{by_default}");
    assert!(
        named.len() == 2 && named.iter().all(|names| names.split(' ').all(|suite| offered.contains(suite))),
        "{by_default}"
    );
}

#[test]
fn the_matrix_has_what_the_workflow_takes_from_it() {
    let job = jobs("floating", "1").remove(0);
    let text = read(NIGHTLY);
    let used: BTreeSet<&str> = text
        .split("matrix.")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next())
        .filter(|key| !["outputs", "json"].contains(key))
        .collect();
    assert!(used.contains("arguments") && used.contains("timeout-minutes"), "{used:?}");
    for key in used {
        assert!(!job[key].is_null(), "the matrix has no {key}: {job}");
    }
}

/// A tag can be moved to other code, and a default can give a job more than it needs.
#[rstest]
#[case(CI)]
#[case(NIGHTLY)]
fn a_workflow_takes_what_it_needs_and_no_more(#[case] path: &str) {
    let workflow = yaml(path);
    assert_eq!(serde_json::to_value(&workflow["permissions"]).unwrap(), serde_json::json!({"contents": "read"}));
    assert!(workflow["concurrency"]["group"].is_string());
    for (name, job) in workflow["jobs"].as_mapping().unwrap() {
        assert!(!job["timeout-minutes"].is_null(), "{name:?}");
        for step in job["steps"].as_sequence().unwrap() {
            pinned(step);
        }
    }
}

#[test]
fn the_machine_has_the_versions_that_the_code_asks_for() {
    let machine = yaml(MACHINE);
    for step in machine["runs"]["steps"].as_sequence().unwrap() {
        pinned(step);
    }
    let cargo = read("Cargo.toml");
    let rust = cargo.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let text = read(MACHINE);
    assert!(text.contains(&format!("rustup toolchain install {rust} ")), "{rust}");
    let (major, minor) = ferry_lab::doctor::Needs::default().go;
    for path in [MACHINE, CI] {
        let text = read(path);
        let go = text.lines().filter_map(|line| line.trim().strip_prefix("go-version: ")).collect::<Vec<_>>();
        assert!(!go.is_empty() && go.iter().all(|go| *go == format!("\"{major}.{minor}\"")), "{path}: {go:?}");
    }
}

fn pinned(step: &Value) {
    let Some(uses) = step["uses"].as_str() else { return };
    let is_hash = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let by_hash = uses.split_once('@').is_some_and(|(_, at)| is_hash(at));
    let here = uses.strip_prefix("./").is_some_and(|path| root().join(path).join("action.yaml").is_file());
    assert!(by_hash || here, "{uses} is pinned by no commit");
    if uses.starts_with("actions/checkout@") {
        assert_eq!(step["with"]["persist-credentials"].as_bool(), Some(false), "{uses}");
    }
}

/// `fail-fast` would hide what other lanes have to say.
#[test]
fn all_lanes_run_and_all_reports_are_kept() {
    let nightly = yaml(NIGHTLY);
    assert_eq!(nightly["jobs"]["lane"]["strategy"]["fail-fast"].as_bool(), Some(false));
    for (path, job) in [(CI, "ci"), (NIGHTLY, "lane")] {
        let workflow = yaml(path);
        let steps = workflow["jobs"][job]["steps"].as_sequence().unwrap();
        let kept = steps.iter().find(|step| step["name"].as_str() == Some("Reports")).unwrap();
        assert_eq!(kept["if"].as_str(), Some("always()"), "{path}");
    }
    assert!(read(CI).contains("- run: .ci/run\n"));
}

//! What nextest asks of the scenario trials: a list on standard output and nothing else, without Docker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::path::PathBuf;
use std::process::{Command, Output};

use rstest::rstest;

/// The scenario trials' own test binary, built beside this one.
fn trials() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = fs_err::read_dir(here.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("scenarios-") && path.extension().is_none()
    };
    let newest = built.filter(named).max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    newest.expect("the scenario trials are not built: run `cargo test` for the whole package")
}

fn ask(arguments: &[&str], ignore: bool) -> Output {
    let mut command = Command::new(trials());
    // An engine that cannot be reached must make no difference.
    command.args(arguments).env("DOCKER_HOST", "unix:///nowhere/docker.sock").env_remove("FERRY_CLUSTER");
    if ignore {
        command.env("FERRY_CLUSTER", "0");
    }
    command.output().unwrap()
}

#[rstest]
#[case::all(&["--list", "--format", "terse"], false, true)]
#[case::ignored_of_none(&["--list", "--format", "terse", "--ignored"], false, false)]
#[case::ignored_of_all(&["--list", "--format", "terse", "--ignored"], true, true)]
fn the_list_is_all_that_is_printed(#[case] arguments: &[&str], #[case] ignore: bool, #[case] listed: bool) {
    let output = ask(arguments, ignore);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.lines().all(|line| line.ends_with(": test")), "{text}");
    assert_eq!(text.lines().any(|line| line == "single_tenant::official::k8s_1_34::kind: test"), listed, "{text}");
}

#[test]
fn an_exact_name_that_is_ignored_is_not_run() {
    let output = ask(&["--exact", "single_tenant::official::k8s_1_34::kind", "--nocapture"], true);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("1 ignored"), "{text}");
}

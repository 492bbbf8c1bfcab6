//! What nextest asks of these trials: a list on standard output and nothing else, without an engine.

use std::process::{Command, Output};

use libtest_mimic::{Failed, Trial};

/// One trial of those that [`super::support::on_engine`] makes.
const NAME: &str = "doctor::a_look_leaves_nothing_behind";

/// They need no engine, and so are never ignored.
pub fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 2] = [
        ("the_list_is_all_that_is_printed", the_list_is_all_that_is_printed),
        ("an_exact_name_that_is_ignored_is_not_run", an_exact_name_that_is_ignored_is_not_run),
    ];
    let trial = |(name, test): (&str, fn())| {
        let run = move || {
            test();
            Ok::<_, Failed>(())
        };
        Trial::test(format!("listing::{name}"), run)
    };
    tests.into_iter().map(trial).collect()
}

fn ask(arguments: &[&str], ignore: bool) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // An engine that cannot be reached must make no difference.
    command.args(arguments).env("DOCKER_HOST", "unix:///nowhere/docker.sock").env_remove("FERRY_CLUSTER");
    if ignore {
        command.env("FERRY_CLUSTER", "0");
    }
    command.output().unwrap()
}

fn the_list_is_all_that_is_printed() {
    for (ignored_only, ignore, listed) in [(false, false, true), (true, false, false), (true, true, true)] {
        let mut arguments = vec!["--list", "--format", "terse"];
        arguments.extend(ignored_only.then_some("--ignored"));
        let output = ask(&arguments, ignore);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}");
        assert!(text.lines().all(|line| line.ends_with(": test")), "{text}");
        assert_eq!(text.contains(NAME), listed, "{arguments:?}, ignored: {ignore}\n{text}");
    }
}

fn an_exact_name_that_is_ignored_is_not_run() {
    let output = ask(&["--exact", NAME, "--nocapture"], true);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("1 ignored"), "{text}");
}

//! The reaper, against a real engine. A harness of its own, because this binary is also the owner that is killed and the
//! reaper that cleans up after it: `cargo test -p ferry-lab --test reaper -- --ignored`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the owner tells its run to the test")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use ferry_lab::engine::Engine;
use ferry_lab::network::Network;
use ferry_lab::reaper;
use ferry_lab::run::RunScope;
use ferry_lab::{gc, labels::Owner};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("own") => own(Path::new(&arguments[2])),
        Some("reap") => reap(&arguments[2..]),
        _ => {
            let trial = |name, test: fn()| {
                let test = move || {
                    test();
                    Ok::<_, Failed>(())
                };
                Trial::test(name, test).with_ignored_flag(true)
            };
            let trials = vec![
                trial("a_killed_owners_things_are_reaped", a_killed_owners_things_are_reaped),
                trial("a_dismissed_reaper_leaves_the_run_alone", a_dismissed_reaper_leaves_the_run_alone),
            ];
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

/// Owns a run with a network and a reaper, says its id and the reaper's, and waits to be killed.
fn own(out: &Path) -> ExitCode {
    let run = RunScope::create(out).unwrap();
    block_on(async { Network::create(&Engine::connect().await.unwrap(), &run).await.unwrap() });
    let _reaper = reaper::spawn(&std::env::current_exe().unwrap(), &run).unwrap();
    println!("{}", run.id);
    std::thread::sleep(Duration::from_secs(600));
    ExitCode::FAILURE
}

fn reap(arguments: &[String]) -> ExitCode {
    let [_, run, _, pid, _, start] = arguments else { panic!("{arguments:?}") };
    reaper::detach().unwrap();
    let swept = block_on(async {
        let engine = Engine::connect().await.unwrap();
        reaper::reap(&engine, &run.parse().unwrap(), pid.parse().unwrap(), start).await.unwrap()
    });
    if swept.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn a_killed_owners_things_are_reaped() {
    let out = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .arg("own")
        .arg(out.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(owner.stdout.take().unwrap());
    let mut run = String::new();
    output.read_line(&mut run).unwrap();
    let run = run.trim();
    assert_eq!(things(run), [format!("network ferry-{run}")]);

    owner.kill().unwrap();
    // The reaper must not hold the owner's output open: whoever reads it would wait for the reaper.
    assert_eq!(output.read_line(&mut String::new()).unwrap(), 0);
    owner.wait().unwrap();
    let killed = Instant::now();
    while !things(run).is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(30), "the reaper should have removed {:?}", things(run));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn a_dismissed_reaper_leaves_the_run_alone() {
    let out = tempfile::tempdir().unwrap();
    let run = RunScope::create(out.path()).unwrap();
    let engine = block_on(async {
        let engine = Engine::connect().await.unwrap();
        Network::create(&engine, &run).await.unwrap();
        engine
    });
    assert_eq!(Some(&run.owner), Owner::of(std::process::id()).as_ref());
    reaper::spawn(&std::env::current_exe().unwrap(), &run).unwrap().dismiss().unwrap();
    assert_eq!(things(run.id.as_str()).len(), 1);
    drop(engine);
    block_on(async {
        let engine = Engine::connect().await.unwrap();
        assert!(gc::teardown(&engine, &run.id).await.unwrap().is_clean());
    });
}

fn things(run: &str) -> Vec<String> {
    let found = block_on(async { gc::find(&Engine::connect().await.unwrap()).await.unwrap() });
    let mine = found.into_iter().filter(|found| found.run == run);
    mine.flat_map(|found| found.things).map(|thing| thing.to_string()).collect()
}

//! The reaper, which this binary also is, and an owner to be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use ferry_lab::engine::Engine;
use ferry_lab::labels::Owner;
use ferry_lab::network::Network;
use ferry_lab::reaper;
use ferry_lab::run::{RunId, RunScope};

use crate::support::{Lab, block_on, things};

trials![a_killed_owners_things_are_reaped, a_dismissed_reaper_leaves_the_run_alone];

/// Owns a run with a network and a reaper, says its id, and waits to be killed.
pub fn own(out: &Path) -> ExitCode {
    let run = RunScope::create(out).unwrap();
    block_on(async { Network::create(&Engine::connect().await.unwrap(), &run).await.unwrap() });
    let _reaper = reaper::spawn(&std::env::current_exe().unwrap(), &run).unwrap();
    println!("{}", run.id);
    std::thread::sleep(Duration::from_secs(600));
    ExitCode::FAILURE
}

/// As `ferry reap`.
pub fn reap(run: &str, pid: &str, start: &str) -> ExitCode {
    reaper::detach().unwrap();
    let swept = block_on(async {
        let engine = Engine::connect().await.unwrap();
        reaper::reap(&engine, &run.parse().unwrap(), pid.parse().unwrap(), start).await.unwrap()
    });
    if swept.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn a_killed_owners_things_are_reaped() {
    let engine = Engine::connect().await.unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .arg("--own")
        .arg(out.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(owner.stdout.take().unwrap());
    let mut run = String::new();
    output.read_line(&mut run).unwrap();
    let run: RunId = run.trim().parse().unwrap();
    let before = things(&engine, run.as_str()).await;
    owner.kill().unwrap();
    assert_eq!(before, [format!("network ferry-{run}")]);

    // The reaper must not hold the owner's output open: whoever reads it would wait for the reaper.
    assert_eq!(output.read_line(&mut String::new()).unwrap(), 0);
    owner.wait().unwrap();
    let killed = Instant::now();
    loop {
        let left = things(&engine, run.as_str()).await;
        if left.is_empty() {
            break;
        }
        assert!(killed.elapsed() < Duration::from_secs(30), "the reaper should have removed {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_dismissed_reaper_leaves_the_run_alone() {
    Lab::with(async |lab| {
        Network::create(&lab.engine, &lab.run).await.unwrap();
        let me = Owner::current().unwrap();
        assert_eq!((lab.run.owner.pid, &lab.run.owner.start), (me.pid, &me.start));
        let mine = RunScope { owner: me, ..lab.run.clone() };
        reaper::spawn(&std::env::current_exe().unwrap(), &mine).unwrap().dismiss().unwrap();
        assert_eq!(lab.things(&lab.run.id).await.len(), 1);
    })
    .await;
}

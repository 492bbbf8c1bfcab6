//! Takes the processors of the engine's machine away from all else for a while, as a neighbour does who is out of hand.

use std::time::Duration;

use crate::container::{Cgroup, Container, ContainerError, ContainerSpec};
use crate::engine::{Engine, EngineInfo};
use crate::run::RunScope;

/// The largest weight that control groups know, of version 1; the engine maps it to 10,000, the largest of version 2.
const SHARES: i64 = 262_144;

/// Busy loops, one for each processor, which end by themselves even if nobody is left to end them.
/// A loop that did not last until it was ended (`timeout` says so by 124) has taken nothing from anybody.
const LOOPS: &str = r#"
set -eu
all=
for each in $(seq "$(nproc)"); do timeout "$0" sh -c 'while :; do :; done' & all="$all $!"; done
test -n "$all"
for each in $all; do code=0; wait "$each" || code=$?; test "$code" = 124; done"#;

/// Starves everything on the machine for `time`, in a container from `image`, which needs a shell and coreutils. All of the run's
/// own containers and, if it is on that machine, the process that calls this share what is left: less than a hundredth.
///
/// # Errors
/// When the container cannot be started, waited for, or removed, and when its image cannot do what it is for.
pub async fn starve(engine: &Engine, run: &RunScope, image: &str, time: Duration) -> Result<(), ContainerError> {
    let spec = ContainerSpec {
        role: "hog".into(),
        image: image.into(),
        entrypoint: Some("sh".into()),
        command: vec!["-c".into(), LOOPS.into(), format!("{}", time.as_secs_f64())],
        cgroup: Some(above_all(engine.info())),
        ..Default::default()
    };
    let hog = Container::start(engine, run, spec).await?;
    let code = hog.at().exit_code().await?;
    let container = hog.at().name.clone();
    hog.remove().await?;
    if code == 0 {
        return Ok(());
    }
    Err(ContainerError::Ended { container, image: image.into(), purpose: "take the processors away", code })
}

/// A group beside those of users, services and containers, and not among the containers: weights count against siblings alone.
fn above_all(info: &EngineInfo) -> Cgroup {
    let parent = if info.cgroup_driver == "systemd" { "-.slice" } else { "/" };
    Cgroup { parent: parent.into(), cpu_shares: SHARES }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use rstest::rstest;

    use super::LOOPS;

    #[rstest]
    #[case::whole("", true)]
    #[case::no_coreutils("PATH=/nonexistent;", false)]
    #[case::loops_that_end_at_once("timeout() { :; };", false)]
    #[case::no_processors("seq() { :; };", false)]
    fn nothing_taken_is_no_success(#[case] before: &str, #[case] taken: bool) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("{before}{LOOPS}"), "0.1"]);
        assert_eq!(shell.output().unwrap().status.success(), taken);
    }
}

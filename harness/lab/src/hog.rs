//! Takes the processors of the engine's machine away from all else for a while, as a neighbour does who is out of hand.

use std::time::Duration;

use crate::container::{Cgroup, Container, ContainerError, ContainerSpec};
use crate::engine::{Engine, EngineInfo};
use crate::run::RunScope;

/// The largest weight that control groups know, of version 1; the engine maps it to 10,000, the largest of version 2.
const SHARES: i64 = 262_144;

/// Busy loops, one for each processor, which end by themselves even if nobody is left to end them.
const LOOPS: &str = r#"for each in $(seq "$(nproc)"); do timeout "$0" sh -c 'while :; do :; done' & done; wait"#;

/// Starves everything on the machine for `time`, in a container from `image`, which needs a shell and coreutils. All of the run's
/// own containers and, if it is on that machine, the process that calls this share what is left: less than a hundredth.
///
/// # Errors
/// When the container cannot be started, waited for, or removed.
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
    hog.at().exit_code().await?;
    hog.remove().await
}

/// A group beside those of users, services and containers, and not among the containers: weights count against siblings alone.
fn above_all(info: &EngineInfo) -> Cgroup {
    let parent = if info.cgroup_driver == "systemd" { "-.slice" } else { "/" };
    Cgroup { parent: parent.into(), cpu_shares: SHARES }
}

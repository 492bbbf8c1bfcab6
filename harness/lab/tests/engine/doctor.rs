//! The doctor, and the engine it looks at, for real.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;
use ferry_lab::doctor::{Images, Needs, Status, doctor};
use ferry_lab::engine::Engine;
use ferry_lab::labels;

trials![a_look_leaves_nothing_behind];

/// The trial of a privileged container is the one thing that a look changes: it has to work, and to leave nothing.
async fn a_look_leaves_nothing_behind() {
    let docker = Engine::connect().await.unwrap().docker;

    let report = doctor(&Needs { images: Images::Cached, ..Needs::default() }).await;

    let status = |check| report.findings.iter().find(|finding| finding.check == check).map(|finding| finding.status);
    assert_eq!((status("engine"), status("privileged")), (Some(Status::Ok), Some(Status::Ok)), "{report:?}");
    // Of this process, as others may be looking at the same time.
    let mine = [(labels::RUN, "doctor".to_owned()), (labels::OWNER_PID, std::process::id().to_string())];
    let mine = HashMap::from([("label", mine.map(|(key, value)| format!("{key}={value}")).to_vec())]);
    let left = ListContainersOptionsBuilder::new().all(true).filters(&mine).build();
    assert_eq!(docker.list_containers(Some(left)).await.unwrap(), []);
}

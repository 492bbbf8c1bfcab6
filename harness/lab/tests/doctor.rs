//! The doctor, and the engine it looks at, for real.

use std::collections::HashMap;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};
use ferry_lab::{
    doctor::{Images, Needs, Status, doctor},
    engine::Engine,
    labels,
};

/// The trial of a privileged container is the one thing that a look changes: it has to work, and to leave nothing.
#[tokio::test]
#[ignore = "needs a Docker Engine"]
async fn a_look_leaves_nothing_behind() {
    let docker = Engine::connect().await.unwrap().docker;
    let images = || async {
        let all = ListImagesOptionsBuilder::new().all(true).build();
        docker.list_images(Some(all)).await.unwrap().into_iter().filter(|image| image.size == 0).count()
    };
    let before = images().await;

    let report = doctor(&Needs { images: Images::Cached, ..Needs::default() }).await;

    let status = |check| report.findings.iter().find(|finding| finding.check == check).map(|finding| finding.status);
    assert_eq!((status("engine"), status("privileged")), (Some(Status::Ok), Some(Status::Ok)), "{report:?}");
    let ours = HashMap::from([("label", vec![format!("{}=doctor", labels::RUN)])]);
    let left = ListContainersOptionsBuilder::new().all(true).filters(&ours).build();
    assert_eq!(docker.list_containers(Some(left)).await.unwrap(), []);
    assert_eq!(images().await, before);
}

//! The stand-in's image: built for a trial on the node image, and removed with it. No bundle, scenario or report knows it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::Command;

use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptionsBuilder};
use ferry_lab::engine::Engine;
use ferry_lab::run::RunId;
use futures::{FutureExt, TryStreamExt};

use crate::support::Lab;

/// The stand-in's sources.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/k3s/stand_in");

/// Builds an image of the stand-in for `test`, and removes it whatever becomes of that. Layers are shared, so a further one
/// costs a second.
pub async fn with_stand_in(test: impl AsyncFnOnce(&Lab, &str)) {
    let engine = Engine::connect().await.unwrap();
    let image = format!("flux-ferry-trial/k3s-stand-in:{}", RunId::new());
    let trial = Lab::with(async |lab| {
        build(lab, &image).await;
        test(lab, &image).await;
    });
    let outcome = AssertUnwindSafe(trial).catch_unwind().await;
    // After the lab: an image that containers run of cannot be removed.
    let options = RemoveImageOptionsBuilder::new().force(true).build();
    let removed = engine.docker.remove_image(&image, Some(options), None).await;
    if let Err(failure) = outcome {
        resume_unwind(failure);
    }
    removed.unwrap();
}

async fn build(lab: &Lab, image: &str) {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("k3s");
    let architecture = lab.engine.docker.version().await.unwrap().arch.unwrap_or_else(|| "amd64".into());
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&binary).arg(".").current_dir(SOURCES);
    go.envs([("CGO_ENABLED", "0"), ("GOOS", "linux"), ("GOARCH", architecture.as_str()), ("GOFLAGS", "-mod=mod")]);
    let built = go.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let mut context = tar::Builder::new(Vec::new());
    let mut append = |name: &str, from: &Path, mode: u32| {
        let content = fs_err::read(from).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        context.append_data(&mut header, name, content.as_slice()).unwrap();
    };
    append("k3s", &binary, 0o755);
    append("ctr", &Path::new(SOURCES).join("ctr"), 0o755);
    append("Dockerfile", &Path::new(SOURCES).join("Dockerfile"), 0o644);
    let args = [("BASE".to_owned(), lab.image("node-1.34.4-lab").to_owned())].into();
    let options = BuildImageOptionsBuilder::default().t(image).rm(true).forcerm(true).buildargs(&args).build();
    let body = bollard::body_full(context.into_inner().unwrap().into());
    lab.engine.docker.build_image(options, None, Some(body)).try_collect::<Vec<_>>().await.unwrap();
}

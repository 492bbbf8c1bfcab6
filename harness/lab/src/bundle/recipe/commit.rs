//! An image made by running another one, giving it images, and committing what it has become.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerConfig, ContainerCreateBody, HostConfig, Mount, MountType, PortBinding};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder,
    StartContainerOptions, StopContainerOptions, UploadToContainerOptionsBuilder, WaitContainerOptions,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::io::ReaderStream;

use super::super::error::{Doing as _, StepError};
use super::super::graph::COMMIT_FOLDER;
use super::super::images;
use super::super::model::{CommitAction, CommitRecipe};
use super::super::push::push;
use super::{Site, blocking, labels};

/// A commit or an upload of a node's images moves over a gigabyte; the client's default of two minutes is for a fast disk.
const LONG: Duration = Duration::from_secs(600);

/// How long the registry may take from its start to its first answer (measured: 0.2 s).
const REGISTRY_DEADLINE: Duration = Duration::from_secs(30);

/// The port on which a registry image listens.
const REGISTRY_PORT: &str = "5000/tcp";

/// Runs the base, acts, commits.
pub(super) async fn build(site: &Site<'_>, recipe: &CommitRecipe) -> Result<(), StepError> {
    let docker = site.docker.clone().with_timeout(LONG);
    let container = match recipe.action {
        CommitAction::ImportIntoNode => import_into_node(site, &docker, recipe).await?,
        CommitAction::PushIntoRegistry => push_into_registry(site, &docker, recipe).await?,
    };
    commit(site, &docker, recipe, &container).await
}

async fn create(site: &Site<'_>, docker: &Docker, config: ContainerCreateBody) -> Result<String, StepError> {
    let name = images::build_container(&site.planned.slug());
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    docker.create_container(Some(options), config).await.doing(|| format!("create {name}"))?;
    Ok(name)
}

/// Gives the node image its images, by a script that knows containerd's store.
async fn import_into_node(site: &Site<'_>, docker: &Docker, recipe: &CommitRecipe) -> Result<String, StepError> {
    let scratch = site.draft.scratch()?;
    let archives = scratch.join("archives");
    fs_err::create_dir_all(&archives)?;
    for (number, (name, component)) in recipe.images.iter().enumerate() {
        site.log.line(&format!("saving {component} as {name}"));
        let archive = archives.join(format!("{number:02}.tar"));
        images::save_as(docker, site.inputs.image(component)?, name, archive).await?;
    }
    site.bundle.sources.write(COMMIT_FOLDER, &scratch)?;

    // A volume, because overlayfs cannot unpack images on overlayfs; anonymous, so that it goes with the container.
    let mount = Mount { target: Some("/mnt".to_owned()), typ: Some(MountType::VOLUME), ..Default::default() };
    let container = create(
        site,
        docker,
        ContainerCreateBody {
            image: Some(site.inputs.image(&recipe.base)?.to_owned()),
            entrypoint: Some(vec!["/bin/sh".to_owned(), "/mnt/import-into-node.sh".to_owned()]),
            cmd: Some(Vec::new()),
            host_config: Some(HostConfig { privileged: Some(true), mounts: Some(vec![mount]), ..Default::default() }),
            ..Default::default()
        },
    )
    .await?;
    let upload = scratch.join("upload.tar");
    let packed = upload.clone();
    blocking(move || {
        pack(&scratch, &packed)?;
        // The upload is another gigabyte.
        fs_err::remove_dir_all(archives)
    })
    .await?;
    let file = fs_err::tokio::File::open(&upload).await?;
    let options = UploadToContainerOptionsBuilder::default().path("/mnt").build();
    let body = bollard::body_try_stream(ReaderStream::with_capacity(file, 1 << 20));
    docker
        .upload_to_container(&container, Some(options), body)
        .await
        .doing(|| "copy the images into the node".to_owned())?;
    run_to_end(site, docker, &container).await?;
    Ok(container)
}

/// The archives and the script, as they are to appear in /mnt.
fn pack(scratch: &Path, to: &Path) -> std::io::Result<()> {
    let (file, _) = fs_err::File::create(to)?.into_parts();
    let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
    tar.append_dir_all("archives", scratch.join("archives"))?;
    tar.append_path_with_name(scratch.join("import-into-node.sh"), "import-into-node.sh")?;
    tar.into_inner()?.into_inner().map_err(|error| error.into_error())?;
    Ok(())
}

/// Starts a container and follows its output until it ends, which it must do well. No deadline: the build's cancellation
/// ends it, and its log shows what it is at.
async fn run_to_end(site: &Site<'_>, docker: &Docker, container: &str) -> Result<(), StepError> {
    docker
        .start_container(container, None::<StartContainerOptions>)
        .await
        .doing(|| "start the container".to_owned())?;
    let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).build();
    let mut output = std::pin::pin!(docker.logs(container, Some(options)));
    while let Some(chunk) = output.next().await {
        let chunk = chunk.doing(|| "follow the container's log".to_owned())?;
        chunk.to_string().lines().for_each(|line| site.log.line(line));
    }
    let ended = docker.wait_container(container, None::<WaitContainerOptions>).try_collect::<Vec<_>>().await;
    ended.doing(|| format!("bring the container for {} to a good end", site.planned.name))?;
    Ok(())
}

/// Fills a running registry over its published port; its storage is part of its file system, and so of the commit.
async fn push_into_registry(site: &Site<'_>, docker: &Docker, recipe: &CommitRecipe) -> Result<String, StepError> {
    let loopback = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: None };
    let ports = HashMap::from([(REGISTRY_PORT.to_owned(), Some(vec![loopback]))]);
    let container = create(
        site,
        docker,
        ContainerCreateBody {
            image: Some(site.inputs.image(&recipe.base)?.to_owned()),
            exposed_ports: Some(vec![REGISTRY_PORT.to_owned()]),
            host_config: Some(HostConfig { port_bindings: Some(ports), ..Default::default() }),
            ..Default::default()
        },
    )
    .await?;
    docker
        .start_container(&container, None::<StartContainerOptions>)
        .await
        .doing(|| "start the registry".to_owned())?;
    let registry = published(docker, &container).await?;
    for (name, component) in &recipe.images {
        let target = format!("{registry}/{name}");
        site.log.line(&format!("pushing {component} as {name}"));
        let digest = push(docker, site.inputs.image(component)?, &target, REGISTRY_DEADLINE, site.leftovers).await?;
        site.log.line(&format!("{name}@{digest}"));
    }
    docker.stop_container(&container, None::<StopContainerOptions>).await.doing(|| "stop the registry".to_owned())?;
    Ok(container)
}

/// `127.0.0.1:<port>`, as the engine published the registry's port.
async fn published(docker: &Docker, container: &str) -> Result<String, StepError> {
    let inspected = docker.inspect_container(container, None::<InspectContainerOptions>).await;
    let inspected = inspected.doing(|| "inspect the registry's container".to_owned())?;
    let ports = inspected.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
    let port = ports.get(REGISTRY_PORT).and_then(|bindings| bindings.as_ref()?.first()?.host_port.clone());
    port.map(|port| format!("127.0.0.1:{port}")).ok_or_else(|| {
        StepError::unusable(
            "the engine published no port for the registry",
            "`docker logs` of its container may say why it ended",
        )
    })
}

/// Commits the container with everything that the base says about how to run it.
async fn commit(site: &Site<'_>, docker: &Docker, recipe: &CommitRecipe, container: &str) -> Result<(), StepError> {
    let base = site.inputs.image(&recipe.base)?;
    let config = docker.inspect_image(base).await.doing(|| format!("inspect {base}"))?.config.unwrap_or_default();
    let image = site.planned.image();
    let (repo, tag) = images::split_tag(&image);
    let options =
        CommitContainerOptionsBuilder::default().container(container).repo(repo).tag(tag).pause(false).build();
    let config = ContainerConfig {
        // Empty rather than absent: absent would mean what the container ran.
        entrypoint: Some(config.entrypoint.unwrap_or_default()),
        cmd: Some(config.cmd.unwrap_or_default()),
        env: config.env,
        exposed_ports: config.exposed_ports,
        volumes: config.volumes,
        user: config.user,
        working_dir: config.working_dir,
        stop_signal: config.stop_signal,
        labels: Some(labels(site.planned)),
        ..Default::default()
    };
    docker.commit_container(options, config).await.doing(|| format!("commit {image}"))?;
    Ok(())
}

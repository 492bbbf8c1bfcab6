//! Filling a registry with source-built components under their upstream names: a mirror for where upstream cannot be reached.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::TryStreamExt as _;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::error::{BundleError, Doing as _, StepError};
use super::images::{self, Leftovers};
use super::model::{Bundle, Registry};
use super::pins::Digests;
use super::prepare::{Images, Options, Prepared, prepare};
use super::progress::{Event, Progress};
use super::push::push;
use super::recipe::{append, blocking};
use super::reference::Reference;
use crate::engine::Engine;

/// How long the mirror may refuse connections before that counts as a failure.
const DEADLINE: Duration = Duration::from_secs(10);

/// Builds the wanted components and pushes those that upstream publishes to `HOST[/prefix]`. Gives the digests under which
/// the mirror has them: what `--lock` wants ([`super::pins::write`] makes the file).
pub async fn mirror_to(
    engine: &Engine,
    bundle: &Bundle,
    host: &str,
    wanted: &[&str],
    options: &Options,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Digests, BundleError> {
    let options = Options { images: Images::Source, mirror: None, lock: None, ..options.clone() };
    let prepared = prepare(engine, bundle, wanted, &options, progress, cancel).await?;
    let mut digests = Digests::new();
    for name in wanted {
        let Some(registry) = bundle.components.get(*name).and_then(|component| component.registry.as_ref()) else {
            continue;
        };
        let leftovers = Leftovers::default();
        let pushed = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(StepError::Cancelled),
            pushed = push_component(&engine.docker, &prepared, name, registry, host, &leftovers) => pushed,
        };
        let cleared = leftovers.clear(&engine.docker).await;
        let digest = pushed.and_then(|digest| cleared.map(|()| digest)).map_err(|error| match error {
            StepError::Cancelled => BundleError::Cancelled,
            StepError::Engine { doing, source } => BundleError::Engine { doing, source },
            other => BundleError::Mirror { component: (*name).to_owned(), reason: other },
        })?;
        progress.event(Some(name), Event::Line(&format!("{}@{digest}", registry.reference)));
        digests.insert(registry.reference.clone(), digest);
    }
    Ok(digests)
}

async fn push_component(
    docker: &Docker,
    prepared: &Prepared,
    name: &str,
    registry: &Registry,
    host: &str,
    leftovers: &Leftovers,
) -> Result<String, StepError> {
    let reference = Reference::parse(&registry.reference);
    let target = format!("{}:{}", reference.repository(Some(host)), reference.tag);
    if registry.files.is_empty() {
        let image = prepared
            .image(name)
            .map_err(|error| StepError::unusable(error.to_string(), "this is a defect of ferry"))?;
        return push(docker, image, &target, DEADLINE, leftovers).await;
    }
    let mut files = BTreeMap::new();
    for (output, path) in &registry.files {
        let file = prepared.file(&format!("{name}/{output}"));
        let file = file.map_err(|error| StepError::unusable(error.to_string(), "this is a defect of ferry"))?;
        files.insert(path.trim_start_matches('/').to_owned(), file.to_owned());
    }
    let image = format!("flux-ferry/mirrored-{name}:{}", std::process::id());
    leftovers.name(&image);
    import_files(docker, files, &image).await?;
    push(docker, &image, &target, DEADLINE, leftovers).await
}

/// Makes an image of nothing but these files (path in it → file).
async fn import_files(docker: &Docker, files: BTreeMap<String, PathBuf>, image: &str) -> Result<(), StepError> {
    let archive = tempfile::NamedTempFile::new()?;
    let path = archive.path().to_owned();
    blocking(move || pack(&files, &path)).await?;
    let (repo, tag) = images::split_tag(image);
    let options = CreateImageOptionsBuilder::default().from_src("-").repo(repo).tag(tag).build();
    let file = fs_err::tokio::File::open(archive.path()).await?;
    let body = bollard::body_try_stream(ReaderStream::with_capacity(file, 1 << 16));
    let import = docker.create_image(Some(options), Some(body), None);
    import.try_for_each(|_| async { Ok(()) }).await.doing(|| format!("import {image}"))
}

fn pack(files: &BTreeMap<String, PathBuf>, to: &Path) -> std::io::Result<()> {
    let (file, _) = fs_err::File::create(to)?.into_parts();
    let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
    tar.mode(tar::HeaderMode::Deterministic);
    append(&mut tar, files)?;
    tar.into_inner()?.into_inner().map_err(|error| error.into_error())?;
    Ok(())
}

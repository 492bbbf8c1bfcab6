//! Carrying out recipes: one file per kind.

mod cargo;
mod commit;
mod debootstrap;
mod dockerfile;
mod go;
mod toolchain;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use bollard::Docker;

use super::cache::{Cache, Draft};
use super::error::StepError;
use super::images::{self, Leftovers};
use super::model::{Bundle, Recipe};
use super::plan::{Planned, Surroundings};
use super::progress::Log;

pub(super) use toolchain::{first_line, host_version};

/// All that a recipe may use.
pub(super) struct Site<'a> {
    pub(super) docker: &'a Docker,
    pub(super) bundle: &'a Bundle,
    pub(super) cache: &'a Cache,
    pub(super) around: &'a Surroundings,
    pub(super) planned: &'a Planned<'a>,
    pub(super) inputs: &'a Inputs,
    pub(super) draft: &'a Draft,
    pub(super) leftovers: &'a Leftovers,
    pub(super) log: &'a Log<'a>,
}

/// What the components that a recipe needs have yielded.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs {
    /// Images by component, as the engine knows them.
    pub(super) images: BTreeMap<String, String>,
    /// Files by `component/output`.
    pub(super) files: BTreeMap<String, PathBuf>,
}

impl Inputs {
    pub(super) fn image(&self, component: &str) -> Result<&str, StepError> {
        self.images.get(component).map(String::as_str).ok_or_else(|| absent(component))
    }

    pub(super) fn file(&self, reference: &str) -> Result<&PathBuf, StepError> {
        self.files.get(reference).ok_or_else(|| absent(reference))
    }
}

fn absent(reference: &str) -> StepError {
    StepError::unusable(
        format!("{reference} was not made before it was needed"),
        "report this: the bundle's plan is wrong",
    )
}

/// Carries out the planned component's recipe: files are in the draft then, an image is in the engine under its name.
pub(super) async fn build(site: &Site<'_>, recipe: &Recipe) -> Result<(), StepError> {
    match recipe {
        Recipe::Go(recipe) => go::build(site, recipe).await,
        Recipe::Cargo(recipe) => cargo::build(site, recipe).await,
        Recipe::Debootstrap(recipe) => debootstrap::build(site, recipe).await,
        Recipe::Dockerfile(recipe) => dockerfile::build(site, recipe).await,
        Recipe::Commit(recipe) => commit::build(site, recipe).await,
    }
}

/// Whether a recipe keeps a core and much memory busy on this machine.
pub(super) fn is_heavy(recipe: &Recipe) -> bool {
    matches!(recipe, Recipe::Go(_) | Recipe::Cargo(_))
}

/// Adds files and whole folders to an archive: path in it, and where the content is.
pub(super) fn append<'a, W: std::io::Write, P: AsRef<Path> + 'a>(
    tar: &mut tar::Builder<W>,
    inputs: impl IntoIterator<Item = (P, &'a PathBuf)>,
) -> std::io::Result<()> {
    for (path, from) in inputs {
        if from.is_dir() {
            tar.append_dir_all(path, from)?;
        } else {
            tar.append_path_with_name(from, path)?;
        }
    }
    Ok(())
}

/// The labels of every image that a recipe makes.
fn labels(planned: &Planned<'_>) -> HashMap<String, String> {
    HashMap::from([
        (images::COMPONENT_LABEL.to_owned(), planned.name.to_owned()),
        (images::KEY_LABEL.to_owned(), planned.key.as_str().to_owned()),
    ])
}

/// Runs what may block for long (hashing, copying, packing) where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, StepError> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?.map_err(StepError::Io)
}

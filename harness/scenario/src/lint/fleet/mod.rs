//! The objects of a fleet, each value with its place, for rules that look into manifests.

mod manifest;
mod sync;

use std::collections::BTreeSet;
use std::rc::Rc;

pub use manifest::Manifest;
pub(crate) use manifest::read_manifests;
pub(in crate::lint) use sync::{is_remote, joined};

use crate::diagnostic::Diagnostic;
use crate::folders::Files;
use crate::span::Source;

/// A fleet's folder, read.
#[derive(Debug, Default)]
pub struct Fleet {
    folder: String,
    files: BTreeSet<String>,
    manifests: Vec<Rc<Manifest>>,
    broken: Vec<Diagnostic>,
    sources: Vec<Source>,
}

impl Fleet {
    /// Reads every YAML file of a folder under scenarios. Templates are left out: those that ferry renders (`.j2`), and
    /// those of Helm charts.
    pub(super) fn read(folder: &str, files: &dyn Files) -> Fleet {
        let mut fleet = Fleet { folder: folder.to_owned(), ..Fleet::default() };
        let paths = files.list(folder);
        let charts: Vec<&str> = paths.iter().filter_map(|path| path.strip_suffix("Chart.yaml")).collect();
        for path in &paths {
            let Some(inside) = path.strip_prefix(folder).and_then(|path| path.strip_prefix('/')) else { continue };
            fleet.files.insert(inside.to_owned());
            let is_yaml = [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending));
            if !is_yaml || charts.iter().any(|chart| path.starts_with(chart)) {
                continue;
            }
            let Some(text) = files.read(path) else { continue };
            let source = Source::new(&files.shown(path), &text);
            match read_manifests(path, &source) {
                Ok(manifests) => fleet.manifests.extend(manifests.into_iter().map(Rc::new)),
                Err(found) => fleet.broken.push(*found),
            }
            fleet.sources.push(source);
        }
        fleet
    }

    /// Its objects, in the order of their files; documents without a kind are none.
    pub fn manifests(&self) -> &[Rc<Manifest>] {
        &self.manifests
    }

    /// Files that are not YAML, each by its first mistake.
    pub fn broken(&self) -> &[Diagnostic] {
        &self.broken
    }

    /// The files that were read.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether a path inside it is a file.
    pub fn has_file(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// Whether a path inside it is a folder.
    pub fn has_folder(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.range(folder.clone()..).next().is_some_and(|file| file.starts_with(&folder))
    }

    /// A manifest's path inside the fleet; none for one that is not of it.
    pub fn inside<'m>(&self, manifest: &'m Manifest) -> Option<&'m str> {
        manifest.path.strip_prefix(self.folder.as_str())?.strip_prefix('/')
    }

    /// Whether objects come to be that no manifest shows: by templates, Helm charts, ResourceSets, or names that kustomize
    /// changes. Then what is missing here may be there all the same.
    pub fn is_generated(&self) -> bool {
        let renames = |m: &Manifest| {
            m.is("kustomize.config.k8s.io", "Kustomization")
                && ["namePrefix", "nameSuffix"].iter().any(|key| m.at(key).is_some())
        };
        let generates = |m: &Manifest| ["HelmRelease", "ResourceSet"].contains(&m.kind()) || renames(m);
        self.files.iter().any(|file| file.ends_with(".j2")) || self.manifests.iter().any(|m| generates(m))
    }
}

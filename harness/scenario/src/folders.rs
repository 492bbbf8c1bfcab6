//! Where a scenario's files are, and a view of them that tests can replace.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cell::Cell;
use crate::model::Scenario;
use crate::text::RelPath;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// The scenarios folder as lint and plan see it. Paths are relative to it, with `/` between their parts.
pub trait Files {
    /// What is at a path, if anything.
    fn find(&self, path: &str) -> Option<Found>;

    /// A file's text, if it can be read.
    fn read(&self, path: &str) -> Option<String>;

    /// Every file below a folder, in the order of their paths. What cannot be listed is left out, as are links to folders.
    fn list(&self, folder: &str) -> Vec<String>;

    /// A path as people are shown it.
    fn shown(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// A scenarios folder that is not there.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl Files for NoFiles {
    fn find(&self, _path: &str) -> Option<Found> {
        None
    }

    fn read(&self, _path: &str) -> Option<String> {
        None
    }

    fn list(&self, _folder: &str) -> Vec<String> {
        Vec::new()
    }
}

/// The scenarios folder on disk.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// `root` is the folder that holds the areas and `fleets`.
    pub fn new(root: impl Into<PathBuf>) -> Disk {
        Disk { root: root.into() }
    }

    /// The scenarios folder that a scenario's file is in: its area's parent.
    pub fn around(file: &Path) -> Disk {
        let parent = file.parent().and_then(Path::parent).unwrap_or(Path::new(""));
        Disk::new(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
    }

    /// The folder that a path leads to.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Files for Disk {
    fn find(&self, path: &str) -> Option<Found> {
        let metadata = fs_err::metadata(self.root.join(path)).ok()?;
        Some(if metadata.is_dir() { Found::Folder } else { Found::File })
    }

    fn read(&self, path: &str) -> Option<String> {
        fs_err::read_to_string(self.root.join(path)).ok()
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = vec![folder.to_owned()];
        while let Some(folder) = next.pop() {
            for entry in fs_err::read_dir(self.root.join(&folder)).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{folder}/{name}");
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => next.push(path),
                    // A link to a folder could lead in circles.
                    Ok(kind) if kind.is_file() || self.find(&path) == Some(Found::File) => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }

    fn shown(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }
}

/// The profile of a scenario's cluster in a cell; none where it cannot be read.
pub fn profile(scenario: &Scenario, cell: &Cell, files: &dyn Files) -> Option<Value> {
    let text = files.read(&format!("../kind-configs/{}-{}.yaml", cell.provider, scenario.cluster))?;
    serde_saphyr::from_str(&text).ok()
}

/// The folder of a scenario's area, relative to the scenarios folder: `single-tenant`. Empty where its path has no folder.
pub fn area(scenario: &Scenario) -> &str {
    let parent = Path::new(scenario.source.name()).parent().and_then(Path::file_name);
    parent.and_then(|name| name.to_str()).unwrap_or_default()
}

/// Where a file that a step names is, relative to the scenarios folder: beside the scenario or, if not there, in its fleet.
pub fn locate(scenario: &Scenario, file: &RelPath, files: &dyn Files) -> Option<String> {
    let folders = [area(scenario), scenario.fleet.as_str()].into_iter();
    // A path from an empty folder on would be one from the root on.
    folders
        .filter(|folder| !folder.is_empty())
        .map(|folder| format!("{folder}/{file}"))
        .find(|path| files.find(path) == Some(Found::File))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A scenarios folder in memory: path → text.
    #[derive(Debug, Default)]
    pub struct Memory(pub BTreeMap<&'static str, &'static str>);

    impl Files for Memory {
        fn find(&self, path: &str) -> Option<Found> {
            let folder = format!("{path}/");
            match self.0.contains_key(path) {
                true => Some(Found::File),
                false => self.0.keys().any(|p| p.starts_with(&folder)).then_some(Found::Folder),
            }
        }

        fn read(&self, path: &str) -> Option<String> {
            self.0.get(path).map(ToString::to_string)
        }

        fn list(&self, folder: &str) -> Vec<String> {
            let folder = format!("{folder}/");
            self.0.keys().filter(|path| path.starts_with(&folder)).map(ToString::to_string).collect()
        }
    }

    #[test]
    fn a_folder_is_listed_with_all_below_it() {
        let root = tempfile::tempdir().unwrap();
        for path in ["fleets/web/a.yaml", "fleets/web/apps/b/c.yaml", "fleets/other/d.yaml"] {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let disk = Disk::new(root.path());
        assert_eq!(disk.list("fleets/web"), ["fleets/web/a.yaml", "fleets/web/apps/b/c.yaml"]);
        assert_eq!(disk.list("fleets/absent"), Vec::<String>::new());
    }
}

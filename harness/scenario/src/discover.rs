//! Which scenarios there are, and what their trials are called. Broken files are listed too, with what is wrong.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cell::{Cell, underscored};
use crate::diagnostic::Diagnostics;
use crate::model::Scenario;
use crate::parse::{FRAGMENTS, Sets, parse_file, parse_file_with};

/// Folders under scenarios that hold no scenarios.
pub const NOT_AREAS: [&str; 3] = ["fleets", FRAGMENTS, "schema"];

/// A scenario file, and what became of reading it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The folder it is in.
    pub area: String,
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The scenario in its first cell, or everything that is wrong with the file.
    pub scenario: Result<Scenario, Diagnostics>,
}

impl Entry {
    /// `area/name`, as users call it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.area, self.name)
    }

    /// The cells that it runs in. A broken file has one, so that its trial can say what is wrong.
    pub fn cells(&self) -> Vec<Cell> {
        self.scenario.as_ref().map_or_else(|_| vec![Cell::default()], |scenario| scenario.cells.clone())
    }

    /// The scenario in a cell, with values for its variables.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn load(&self, cell: Option<&Cell>, sets: &Sets) -> Result<Scenario, Diagnostics> {
        parse_file_with(&self.path, sets, cell)
    }

    /// `area::name::cell`, as test runners call it: `single_tenant::official::k8s_1_34::kind`.
    pub fn trial_name(&self, cell: &Cell) -> String {
        trial_name(&self.area, &self.name, cell)
    }
}

pub(crate) fn trial_name(area: &str, name: &str, cell: &Cell) -> String {
    format!("{}::{}::{cell}", underscored(area), underscored(name))
}

/// A scenarios folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot list scenarios in {}: {source}", path.display())]
pub struct DiscoverError {
    /// The folder.
    pub path: PathBuf,
    /// What came back.
    pub source: std::io::Error,
}

/// Every `AREA/NAME.yaml`, in the order of their names, but for manifests that scenarios apply: those have an `apiVersion`.
///
/// # Errors
/// If the folder or one of its areas cannot be listed. A file that cannot be read is listed with that as its diagnostic.
pub fn discover(scenarios: &Path) -> Result<Vec<Entry>, DiscoverError> {
    let mut entries = Vec::new();
    for (area, folder) in list(scenarios)? {
        if NOT_AREAS.contains(&area.as_str()) || area.starts_with('.') || !folder.is_dir() {
            continue;
        }
        for (file, path) in list(&folder)? {
            let Some(name) = file.strip_suffix(".yaml") else { continue };
            let scenario = parse_file(&path);
            if scenario.is_err() && is_manifest(&path) {
                continue;
            }
            entries.push(Entry { area: area.clone(), name: name.into(), path, scenario });
        }
    }
    Ok(entries)
}

/// One scenario by its `area/name`, without reading any other.
pub fn find(scenarios: &Path, id: &str) -> Option<Entry> {
    let (area, name) = id.split_once('/')?;
    let path = scenarios.join(area).join(format!("{name}.yaml"));
    let is_area = !NOT_AREAS.contains(&area) && !area.starts_with('.') && !name.contains('/');
    (is_area && path.is_file()).then(|| Entry {
        area: area.into(),
        name: name.into(),
        scenario: parse_file(&path),
        path,
    })
}

fn list(folder: &Path) -> Result<Vec<(String, PathBuf)>, DiscoverError> {
    let failed = |source| DiscoverError { path: folder.into(), source };
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a YAML file is a Kubernetes manifest, by its beginning.
fn is_manifest(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = fs_err::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start);
    let has = |key: &str| start.lines().any(|line| line.starts_with(key));
    read.is_ok() && has("apiVersion:") && !has("scenario:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn lists_scenarios_and_broken_files_but_no_manifests() {
        let folder = folder(&[
            ("multi-tenant/lock-down.yaml", "scenario: lock-down\n"),
            ("area/broken.yaml", "scenario: [\n"),
            ("area/empty.yaml", ""),
            ("area/instance.yaml", "apiVersion: v1\nkind: X\n"),
            ("area/notes.md", "scenario: x\n"),
            ("fleets/web/apps.yaml", "scenario: x\n"),
            ("schema/x.yaml", "scenario: x\n"),
            ("suites.yaml", "smoke: []\n"),
        ]);
        let entries = discover(folder.path()).unwrap();
        let names: Vec<String> =
            entries.iter().map(|e| format!("{} {}", e.id(), e.trial_name(&Cell::default()))).collect();
        insta::assert_debug_snapshot!(names, @r#"
        [
            "area/broken area::broken::k8s_1_34::kind",
            "area/empty area::empty::k8s_1_34::kind",
            "multi-tenant/lock-down multi_tenant::lock_down::k8s_1_34::kind",
        ]
        "#);
        assert!(entries.iter().all(|entry| entry.scenario.is_err()), "each of these is broken, and says so");
    }

    #[test]
    fn finds_one_without_reading_others() {
        let folder = folder(&[("area/broken.yaml", "scenario: [\n"), ("fleets/web.yaml", "")]);
        assert_eq!(find(folder.path(), "area/broken").unwrap().id(), "area/broken");
        for id in ["area/absent", "broken", "fleets/web", "area/../area/broken", "../area/broken", "/broken"] {
            assert!(find(folder.path(), id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there() {
        let error = discover(Path::new("/nowhere/scenarios")).unwrap_err();
        assert!(error.to_string().starts_with("cannot list scenarios in /nowhere/scenarios: "), "{error}");
    }
}

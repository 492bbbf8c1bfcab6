//! The files under `harness/lab/sources`, embedded: what recipes are made of besides the bundle's own text.

use std::io;
use std::path::Path;

/// One embedded file.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile {
    /// Path under `sources/`, with `/` between its parts.
    pub path: &'static str,
    /// Whether it is a program.
    pub executable: bool,
    /// What is in it.
    pub content: &'static [u8],
}

static EMBEDDED: &[SourceFile] = include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// A set of source files, sorted by path.
#[derive(Debug, Clone, Copy)]
pub struct Sources(&'static [SourceFile]);

impl Default for Sources {
    fn default() -> Self {
        Self::embedded()
    }
}

impl Sources {
    /// Those that were embedded when this crate was compiled.
    pub fn embedded() -> Self {
        Self(EMBEDDED)
    }

    /// Other ones.
    pub fn of(files: &'static [SourceFile]) -> Self {
        Self(files)
    }

    /// The files of one folder, with their path inside it.
    pub fn folder<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'static str, &'static SourceFile)> + 'a {
        self.0.iter().filter_map(move |file| {
            let inside = file.path.strip_prefix(folder)?.strip_prefix('/')?;
            Some((inside, file))
        })
    }

    /// Whether the folder, or a file of that path, exists.
    pub fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|file| file.path == path) || self.folder(path).next().is_some()
    }

    /// Writes a folder's files below `target`. Modes are normalised: 0755 for programs, else 0644.
    pub fn write(&self, folder: &str, target: &Path) -> io::Result<()> {
        for (inside, file) in self.folder(folder) {
            let path = target.join(inside);
            if let Some(parent) = path.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::write(&path, file.content)?;
            set_mode(&path, if file.executable { 0o755 } else { 0o644 })?;
        }
        Ok(())
    }
}

/// Sets a file's permission bits; does nothing where there are none.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_not_its_namesakes_prefix() {
        let sources = Sources::of(&[
            SourceFile { path: "kind-node/Dockerfile", executable: false, content: b"x" },
            SourceFile { path: "kind/go.mod", executable: false, content: b"module kind" },
            SourceFile { path: "kind/run.sh", executable: true, content: b"#!/bin/sh" },
        ]);
        let names: Vec<_> = sources.folder("kind").map(|(inside, _)| inside).collect();
        assert_eq!(names, ["go.mod", "run.sh"]);
        assert!(sources.contains("kind") && sources.contains("kind/go.mod") && !sources.contains("kin"));
    }

    #[test]
    fn written_files_keep_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::of(&[SourceFile { path: "a/b/c", executable: true, content: b"c" }]);
        sources.write("a", folder.path()).unwrap();
        assert_eq!(fs_err::read(folder.path().join("b/c")).unwrap(), b"c");
    }
}

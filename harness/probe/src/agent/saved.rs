//! What an agent is to sample, kept beside its spool for the next life.

use std::io;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;
use serde::{Deserialize, Serialize};

use crate::spec::ProbeSpec;

const SAVED: &str = "specs.json";

/// What to sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// As it was asked for, to know the same request again.
    pub asked: Vec<ProbeSpec>,
    /// As it is now that some probes were aimed at something else.
    pub aimed: Vec<ProbeSpec>,
}

impl Saved {
    /// Reads what the life before was to sample, if it was not stopped.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs_err::read(folder.join(SAVED)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps this for the next life.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        replace(&folder.join(SAVED), &serde_json::to_vec(self)?)
    }

    /// The next life has nothing to sample.
    pub fn remove(folder: &Path) -> io::Result<()> {
        match fs_err::remove_file(folder.join(SAVED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Replaces a file whole, readable for its owner only: specs may hold keys.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = PathBuf::from(format!("{}.draft", path.display()));
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    io::Write::write_all(&mut file, content)?;
    fs_err::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_there_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), None);
        let saved = Saved { asked: vec![], aimed: vec![] };
        saved.write(folder.path()).unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), Some(saved));
        let mode = fs_err::metadata(folder.path().join(SAVED)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Saved::remove(folder.path()).unwrap();
        Saved::remove(folder.path()).unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), None);
    }
}

//! One run: its id, its folder, its labels and its secrets.

mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fs_err::os::unix::fs::OpenOptionsExt;
use rand::RngExt;

pub use secrets::{Credentials, SecretError, SshKeyPair};

use crate::labels::{self, Owner, OwnerError};

/// The name of a run: when it began (UTC) and four random letters, e.g. `20261121-080512-kwvq`.
///
/// Ids sort by time, and fit everywhere a run's name is used: folder, Docker object, host name, label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// A new id.
    #[must_use]
    pub fn new() -> Self {
        // Neither vowels nor look-alikes: the letters spell nothing and can be read aloud.
        const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz";
        let mut random = rand::rng();
        let tail: String = (0..4).map(|_| LETTERS[random.random_range(0..LETTERS.len())] as char).collect();
        Self(format!("{}-{tail}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot be a run's id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a run id (like 20261121-080512-kwvq)")]
pub struct InvalidRunId(String);

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |part: Option<&str>, length, class: fn(char) -> bool| {
            part.is_some_and(|part| part.len() == length && part.chars().all(class))
        };
        let mut parts = text.split('-');
        let valid = fits(parts.next(), 8, |c| c.is_ascii_digit())
            && fits(parts.next(), 6, |c| c.is_ascii_digit())
            && fits(parts.next(), 4, |c| c.is_ascii_lowercase())
            && parts.next().is_none();
        if valid { Ok(Self(text.into())) } else { Err(InvalidRunId(text.into())) }
    }
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The process cannot be named as the owner.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The run's folder or a file in it could not be written.
    #[error("cannot write to the run's folder: {0}")]
    Io(#[from] std::io::Error),
}

/// What everything that belongs to one run has in common.
#[derive(Debug, Clone)]
pub struct RunScope {
    /// The run's name.
    pub id: RunId,
    /// The run's folder (mode 0700): record, reports, logs, kubeconfig, keys.
    pub dir: PathBuf,
    /// The process that answers for the run's things.
    pub owner: Owner,
}

impl RunScope {
    /// Begins a run owned by the calling process, with a folder of its own under `out` (`reports/out`).
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create(out: &Path) -> Result<Self, RunError> {
        let id = RunId::new();
        let dir = out.join(id.as_str());
        fs_err::create_dir_all(out)?;
        // Not recursive: an existing folder is another run's.
        std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Self { id, dir: fs_err::canonicalize(dir)?, owner: Owner::current()? })
    }

    /// The labels of something that plays `role` in the run.
    #[must_use]
    pub fn labels(&self, role: &str) -> BTreeMap<String, String> {
        let mut labels = self.owner.labels();
        labels.insert(labels::RUN.into(), self.id.to_string());
        labels.insert(labels::ROLE.into(), role.into());
        labels
    }

    /// `ferry-RUN`: the run's network, and the prefix of every other name.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("ferry-{}", self.id)
    }

    /// Writes a file that only the user may read (mode 0600) into the run's folder, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written, or exists.
    pub fn write_private(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, RunError> {
        let path = self.dir.join(name);
        let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        std::io::Write::write_all(&mut file, content.as_ref())?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_id_reads_back_as_itself_and_names_a_host() {
        let id = RunId::new();
        assert_eq!(id.as_str().parse::<RunId>().unwrap(), id);
        assert!(format!("ferry-{id}-control-plane").len() <= 63);
    }

    #[rstest]
    #[case("")]
    #[case("20261121-080512")]
    #[case("20261121-080512-kwvq-x")]
    #[case("20261121-080512-KWVQ")]
    #[case("../../etc-080512-kkvq")]
    fn other_texts_are_no_ids(#[case] text: &str) {
        assert!(text.parse::<RunId>().is_err());
    }

    #[test]
    fn folder_and_files_are_the_users_alone() {
        let out = tempfile::tempdir().unwrap();
        let run = RunScope::create(out.path()).unwrap();
        let file = run.write_private("kubeconfig", "secret").unwrap();
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&run.dir), mode(&file)), (0o700, 0o600));
        assert!(run.write_private("kubeconfig", "other").is_err(), "an existing file must not be overwritten");
    }

    #[test]
    fn labels_name_run_role_and_owner() {
        let out = tempfile::tempdir().unwrap();
        let run = RunScope::create(out.path()).unwrap();
        let labels: std::collections::HashMap<_, _> = run.labels("git").into_iter().collect();
        assert_eq!(labels[labels::RUN], run.id.to_string());
        assert_eq!(labels[labels::ROLE], "git");
        assert_eq!(Owner::from_labels(&labels), Some(run.owner));
    }
}

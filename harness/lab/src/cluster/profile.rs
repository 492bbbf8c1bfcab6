//! Cluster profiles: `kind-configs/PROVIDER-NAME.yaml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The shape of a cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// What it is, in one line.
    pub summary: String,
    /// Who makes it.
    pub provider: ProviderName,
    /// Nodes besides the control plane. With none, the control plane runs the workloads.
    #[serde(default)]
    pub workers: u8,
    /// Node ports that answer on a free port of the host's loopback address, by name.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// The pod network, in place of the provider's own: nodes are then the bundle's `node-VERSION-NAME`, which have its images
    /// and its manifests in them.
    pub pod_network: Option<String>,
    /// Documents merged into those that kubeadm gets, matched by their `kind`.
    #[serde(default)]
    pub kubeadm: Vec<serde_json::Value>,
}

/// Who can make clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderName {
    /// Kubernetes in Docker, by the kind command.
    Kind,
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "kind",
        })
    }
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No file has that name.
    #[error("there is no cluster profile {wanted} in {}; there are {}", .dir.display(), .known.join(", "))]
    Unknown {
        /// `PROVIDER-NAME`.
        wanted: String,
        /// Where it was sought.
        dir: PathBuf,
        /// What is there.
        known: Vec<String>,
    },
    /// It cannot be read.
    #[error("cannot read a cluster profile: {0}")]
    Io(#[from] std::io::Error),
    /// It is not a profile.
    #[error("{} is not a cluster profile: {source}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: Box<serde_saphyr::Error>,
    },
}

impl Profile {
    /// Reads the profile `name` of `provider` from `dir` (`kind-configs`).
    ///
    /// # Errors
    /// When there is none, or it is not a profile.
    pub fn load(dir: &Path, provider: ProviderName, name: &str) -> Result<Self, ProfileError> {
        let wanted = format!("{provider}-{name}");
        let path = dir.join(format!("{wanted}.yaml"));
        if !path.is_file() {
            return Err(ProfileError::Unknown { wanted, dir: dir.into(), known: Self::list(dir)? });
        }
        let text = fs_err::read_to_string(&path)?;
        serde_saphyr::from_str(&text).map_err(|source| ProfileError::Invalid { path, source: Box::new(source) })
    }

    /// The names (`PROVIDER-NAME`) of the profiles in `dir`, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(dir: &Path) -> Result<Vec<String>, ProfileError> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kind-configs")
    }

    #[test]
    fn every_committed_profile_is_one() {
        let names = Profile::list(&dir()).unwrap();
        assert!(names.len() >= 2, "{names:?}");
        for name in names {
            let (provider, name) = name.split_once('-').unwrap();
            assert_eq!(provider, "kind");
            Profile::load(&dir(), ProviderName::Kind, name).unwrap();
        }
    }

    #[test]
    fn an_unknown_profile_names_the_known() {
        let error = Profile::load(&dir(), ProviderName::Kind, "singel-node").unwrap_err().to_string();
        assert!(error.contains("kind-singel-node") && error.contains("kind-single-node, "), "{error}");
    }

    #[rstest]
    #[case::typo("summary: x\nprovider: kind\nworker: 1\n", "worker")]
    #[case::provider("summary: x\nprovider: minikube\n", "minikube")]
    #[case::empty("", "line 1, column 1")]
    fn what_is_no_profile_is_refused(#[case] text: &str, #[case] named: &str) {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("kind-x.yaml"), text).unwrap();
        let error = Profile::load(dir.path(), ProviderName::Kind, "x").unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

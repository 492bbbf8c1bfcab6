//! Cluster profiles: `kind-configs/PROVIDER-NAME.yaml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

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
    /// What only k3s is told.
    pub k3s: Option<K3sSettings>,
}

/// What a profile tells k3s beyond what the lab must.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct K3sSettings {
    /// Further arguments of `k3s server`.
    pub server: Vec<String>,
    /// Further arguments of `k3s agent`.
    pub agent: Vec<String>,
    /// A `registries.yaml` of every node; the run's own registry is added to it.
    pub registries: serde_json::Map<String, serde_json::Value>,
}

/// Who can make clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderName {
    /// Kubernetes in Docker, by the kind command.
    Kind,
    /// k3s in Docker.
    K3s,
}

impl ProviderName {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Kind, Self::K3s];
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "kind",
            Self::K3s => "k3s",
        })
    }
}

impl FromStr for ProviderName {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|provider| provider.to_string() == text);
        known.ok_or_else(|| ProfileError::Provider { wanted: text.into() })
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
    /// Nobody of that name makes clusters.
    #[error("{wanted} makes no clusters; {} do", ProviderName::ALL.map(|known| known.to_string()).join(" and "))]
    Provider {
        /// Who was asked for.
        wanted: String,
    },
    /// It says something to a provider that is not its own.
    #[error("{} says `{key}`, which {provider} does not read", .path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// What it says.
        key: &'static str,
        /// Its provider.
        provider: ProviderName,
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
        let profile: Self = serde_saphyr::from_str(&text)
            .map_err(|source| ProfileError::Invalid { path: path.clone(), source: Box::new(source) })?;
        match profile.misplaced() {
            Some(key) => Err(ProfileError::Misplaced { path, key, provider: profile.provider }),
            None => Ok(profile),
        }
    }

    /// What it says that its provider does not read.
    fn misplaced(&self) -> Option<&'static str> {
        match self.provider {
            ProviderName::Kind => self.k3s.is_some().then_some("k3s"),
            ProviderName::K3s if self.pod_network.is_some() => Some("pod-network"),
            ProviderName::K3s => (!self.kubeadm.is_empty()).then_some("kubeadm"),
        }
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
        assert!(names.len() >= 4, "{names:?}");
        for name in names {
            let (provider, name) = name.split_once('-').unwrap();
            let provider: ProviderName = provider.parse().unwrap();
            let profile = Profile::load(&dir(), provider, name).unwrap();
            assert_eq!(profile.provider, provider, "{name}");
            // The self-proof asks there.
            assert_eq!(profile.ports["proof"], 30079, "{provider}-{name}");
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
    #[case::misplaced("summary: x\nprovider: kind\nk3s: {server: []}\n", "says `k3s`, which kind does not read")]
    #[case::another_network(
        "summary: x\nprovider: k3s\npod-network: cilium\n",
        "says `pod-network`, which k3s does not read"
    )]
    #[case::empty("", "line 1, column 1")]
    fn what_is_no_profile_is_refused(#[case] text: &str, #[case] named: &str) {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("kind-x.yaml"), text).unwrap();
        let error = Profile::load(dir.path(), ProviderName::Kind, "x").unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

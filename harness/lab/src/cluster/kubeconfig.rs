//! Kubeconfigs: one for the host, one for containers beside the cluster.

use std::path::Path;

use serde_yaml::Value;

use super::ClusterError;

/// Why a text is no kubeconfig to work with.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It is not YAML.
    #[error("the cluster's kubeconfig is not YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// It names no cluster.
    #[error("the cluster's kubeconfig names no cluster")]
    NoCluster,
    /// The client cannot use it.
    #[error("the cluster's kubeconfig cannot be used: {0}")]
    Unusable(#[from] kube::config::KubeconfigError),
}

/// The same kubeconfig with its clusters at `server`.
pub(super) fn with_server(kubeconfig: &str, server: &str) -> Result<String, KubeconfigError> {
    let mut document: Value = serde_yaml::from_str(kubeconfig)?;
    let clusters = document
        .get_mut("clusters")
        .and_then(Value::as_sequence_mut)
        .filter(|clusters| !clusters.is_empty())
        .ok_or(KubeconfigError::NoCluster)?;
    for cluster in clusters {
        let address = cluster.get_mut("cluster").and_then(|cluster| cluster.get_mut("server"));
        *address.ok_or(KubeconfigError::NoCluster)? = server.into();
    }
    Ok(serde_yaml::to_string(&document)?)
}

/// A client with the credentials in a file, whatever the environment says.
pub(super) async fn client(path: &Path, cluster: &str) -> Result<kube::Client, ClusterError> {
    let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(KubeconfigError::from)?;
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.map_err(KubeconfigError::from)?;
    kube::Client::try_from(config).map_err(|source| ClusterError::Client { cluster: cluster.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "\
apiVersion: v1
kind: Config
clusters:
- name: kind-ferry
  cluster:
    certificate-authority-data: QUJD
    server: https://127.0.0.1:34567
users:
- name: kind-ferry
  user:
    client-key-data: REVG
";

    #[test]
    fn only_the_address_changes() {
        let internal = with_server(KIND, "https://ferry-control-plane:6443").unwrap();
        insta::assert_snapshot!(internal, @"
        apiVersion: v1
        kind: Config
        clusters:
        - name: kind-ferry
          cluster:
            certificate-authority-data: QUJD
            server: https://ferry-control-plane:6443
        users:
        - name: kind-ferry
          user:
            client-key-data: REVG
        ");
    }

    #[test]
    fn a_kubeconfig_without_clusters_is_refused() {
        assert!(matches!(with_server("clusters: []", "x"), Err(KubeconfigError::NoCluster)));
        assert!(matches!(with_server("{}", "x"), Err(KubeconfigError::NoCluster)));
    }
}

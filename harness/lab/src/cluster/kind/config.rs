//! What the kind command is told: a profile, the host's ports, and what this engine needs beyond the usual.

use serde_json::{Value, json};

use crate::cluster::Profile;
use crate::cluster::ports::HostPorts;
use crate::engine::Quirks;

/// The document for `kind create cluster --config`.
pub fn render(profile: &Profile, ports: &HostPorts, quirks: Quirks) -> Result<String, serde_yaml::Error> {
    let patches = profile.kubeadm.iter().cloned().chain(kubelet_patch(quirks));
    let patches = patches.map(|patch| serde_yaml::to_string(&patch)).collect::<Result<Vec<_>, _>>()?;
    let mappings: Vec<_> = profile
        .ports
        .iter()
        .map(|(name, port)| json!({"containerPort": port, "hostPort": ports.nodes.get(name), "listenAddress": "127.0.0.1"}))
        .collect();
    let mut nodes = vec![json!({"role": "control-plane", "extraPortMappings": mappings})];
    nodes.extend((0..profile.workers).map(|_| json!({"role": "worker"})));
    serde_yaml::to_string(&json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {
            "apiServerAddress": "127.0.0.1",
            "apiServerPort": ports.api,
            "disableDefaultCNI": profile.pod_network.is_some(),
        },
        "kubeadmConfigPatches": patches,
        "nodes": nodes,
    }))
}

/// What kubelet needs on an unusual machine. Its cgroup driver is not among it: that must be the node image's.
fn kubelet_patch(quirks: Quirks) -> Option<Value> {
    let mut patch = serde_json::Map::new();
    if quirks.cgroup_v1 {
        patch.insert("failCgroupV1".into(), json!(false));
    }
    if quirks.no_sys_resource {
        patch.insert("featureGates".into(), json!({"KubeletInUserNamespace": true}));
    }
    if patch.is_empty() {
        return None;
    }
    patch.insert("kind".into(), json!("KubeletConfiguration"));
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ProviderName;

    fn profile(workers: u8) -> Profile {
        Profile {
            summary: "for a test".into(),
            provider: ProviderName::Kind,
            workers,
            ports: [("web".into(), 30080)].into(),
            pod_network: None,
            k3s: None,
            kubeadm: vec![
                json!({"kind": "ClusterConfiguration", "etcd": {"local": {"extraArgs": {"unsafe-no-fsync": "true"}}}}),
            ],
        }
    }

    fn ports() -> HostPorts {
        HostPorts { api: 40000, nodes: [("web".into(), 40001)].into() }
    }

    #[test]
    fn an_unusual_machine_gets_what_it_needs() {
        let quirks = Quirks { cgroup_v1: true, cgroupfs: true, no_sys_resource: true };
        insta::assert_snapshot!(render(&profile(0), &ports(), quirks).unwrap());
    }

    #[test]
    fn a_usual_machine_gets_nothing_special() {
        insta::assert_snapshot!(render(&profile(2), &ports(), Quirks::default()).unwrap());
    }

    #[test]
    fn a_pod_network_of_its_own_takes_the_place_of_kinds() {
        let profile = Profile { pod_network: Some("cilium".into()), ..profile(1) };
        let rendered = render(&profile, &ports(), Quirks::default()).unwrap();
        assert!(rendered.contains("disableDefaultCNI: true"), "{rendered}");
    }
}

//! Faults that are injected on purpose, and dated so that what the probes saw can be held against it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ferry_lab::cluster::cut::{CutError, cut};
use ferry_lab::cluster::{Cluster as LabCluster, ClusterError as LabError};
use ferry_probe::Clock;
use ferry_record::EventKind;
use ferry_scenario::text::ObjectRef;
use serde_json::Value;

use crate::cluster::{Cluster, ClusterError};

/// Why a fault could not be injected.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The API did not say what to hit.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The node is not the lab's.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The node refused.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// There is nothing to hit.
    #[error("{0} has no running pod with an address")]
    NoPods(ObjectRef),
}

/// Cuts all pods of a workload or Service off from the network for `time`, on all their nodes at once, and returns the
/// fault as the record has it.
pub async fn cut_off(
    cluster: &Cluster,
    lab: &LabCluster,
    target: &ObjectRef,
    ports: &[u16],
    time: Duration,
    clock: &Clock,
) -> Result<EventKind, FaultError> {
    let pods = cluster.pods_of(target).await?.unwrap_or_default();
    let by_node = addresses(&pods);
    if by_node.is_empty() {
        return Err(FaultError::NoPods(target.clone()));
    }
    let cuts = by_node.iter().map(|(node, addresses)| async move {
        let node = lab.node(node)?;
        Ok::<_, FaultError>(cut(&node.container, addresses, ports, time).await?)
    });
    let cuts = futures::future::try_join_all(cuts).await?;
    // All pods were cut off from the last imposition to the first lifting; one at least from the first to the last.
    let imposed = |last: bool| cuts.iter().map(move |cut| clock.at(if last { cut.imposed.1 } else { cut.imposed.0 }));
    let lifted = |first: bool| cuts.iter().map(move |cut| clock.at(if first { cut.lifted.0 } else { cut.lifted.1 }));
    let (from, earliest) = (imposed(true).max().unwrap_or(0), imposed(false).min().unwrap_or(0));
    let (to, latest) = (lifted(true).min().unwrap_or(0), lifted(false).max().unwrap_or(0));
    let uncertainty = cuts.iter().map(|cut| cut.uncertainty).max().unwrap_or_default();
    let uncertainty = u64::try_from(uncertainty.as_nanos()).unwrap_or(u64::MAX);
    let margin = from.saturating_sub(earliest).max(latest.saturating_sub(to)).saturating_add(uncertainty);
    Ok(EventKind::Fault { fault: "cut".into(), target: target.to_string(), from, to, margin })
}

/// The IPv4 addresses of running pods, by node. Pods on the node's own network share its address, and cannot be cut.
fn addresses(pods: &[Value]) -> BTreeMap<String, Vec<IpAddr>> {
    let mut by_node: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for pod in pods {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str);
        let on_the_host = pod.pointer("/spec/hostNetwork").and_then(Value::as_bool).unwrap_or(false);
        let address = text("/status/podIP").and_then(|ip| ip.parse::<IpAddr>().ok());
        if let (Some(node), Some(address), false) = (text("/spec/nodeName"), address, on_the_host) {
            by_node.entry(node.to_owned()).or_default().push(address);
        }
    }
    by_node
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_are_cut_off_where_they_run() {
        let pod = |node: &str, ip: &str| json!({"spec": {"nodeName": node}, "status": {"podIP": ip}});
        let host = json!({"spec": {"nodeName": "a", "hostNetwork": true}, "status": {"podIP": "172.18.0.2"}});
        let pending = json!({"spec": {}, "status": {}});
        let found = addresses(&[pod("a", "10.0.0.1"), pod("b", "10.0.1.1"), pod("a", "10.0.0.2"), host, pending]);
        let text: Vec<String> = found.iter().map(|(node, ips)| format!("{node}: {ips:?}")).collect();
        assert_eq!(text, ["a: [10.0.0.1, 10.0.0.2]", "b: [10.0.1.1]"]);
    }
}

//! What Istio's ambient mode does to kubelet's probes, done by the node's packet filter alone.
//!
//! Its agent has every node rewrite the source of what the node's own processes send to pods to one link-local address, so that
//! probes go around the mesh. To a NetworkPolicy they come from an address outside the cluster then.

use std::net::Ipv4Addr;

use crate::container::{ContainerRef, ExecError};

/// Where kubelet's probes come from in Istio's ambient mode.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(169, 254, 7, 127);

/// Has `node` send what it sends over TCP to its pods, whose addresses are in `pods`, from [`SOURCE`]. Doing it twice is doing it
/// once.
///
/// # Errors
/// When the node refuses.
pub async fn rewrite_probes(node: &ContainerRef, pods: &str) -> Result<(), ExecError> {
    node.exec(["nft", "--file", "-"]).input(rules(pods)).succeed().await?;
    Ok(())
}

/// Before the chains of others (priority 100): a connection's source is decided once, by who comes first.
fn rules(pods: &str) -> String {
    format!(
        "add table ip ferry_mesh
flush table ip ferry_mesh
table ip ferry_mesh {{
  chain probes {{
    type nat hook postrouting priority 90; policy accept;
    ip daddr {pods} ip protocol tcp fib saddr type local snat to {SOURCE}
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_node_itself_sends_to_its_pods_is_rewritten() {
        insta::assert_snapshot!(rules("10.244.1.0/24"), @r"
        add table ip ferry_mesh
        flush table ip ferry_mesh
        table ip ferry_mesh {
          chain probes {
            type nat hook postrouting priority 90; policy accept;
            ip daddr 10.244.1.0/24 ip protocol tcp fib saddr type local snat to 169.254.7.127
          }
        }
        ");
    }
}

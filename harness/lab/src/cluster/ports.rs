//! Ports of the host's loopback address, chosen before a cluster is made.

use std::collections::BTreeMap;

use super::Profile;

/// Ports of the host's loopback address.
///
/// Chosen here and not by the engine, which would choose others when a node starts again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPorts {
    /// Of the API server.
    pub api: u16,
    /// Of the profile's node ports, by name.
    pub nodes: BTreeMap<String, u16>,
}

impl HostPorts {
    /// Free ports for everything that `profile` publishes.
    pub fn choose(profile: &Profile) -> std::io::Result<Self> {
        // All are held until all are chosen: else the same one could be found free twice.
        let hold = || std::net::TcpListener::bind(("127.0.0.1", 0));
        let api = hold()?;
        let nodes: BTreeMap<_, _> =
            profile.ports.keys().map(|name| Ok((name.clone(), hold()?))).collect::<std::io::Result<_>>()?;
        let port = |held: &std::net::TcpListener| held.local_addr().map(|address| address.port());
        Ok(Self {
            api: port(&api)?,
            nodes: nodes.iter().map(|(name, held)| Ok((name.clone(), port(held)?))).collect::<std::io::Result<_>>()?,
        })
    }
}

/// Whether the engine, as whoever asked it quotes it, could not publish a port.
pub fn is_taken(said: &str) -> bool {
    ["port is already allocated", "address already in use"].iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_ports_are_free_and_differ() {
        let profile: Profile =
            serde_saphyr::from_str("{summary: s, provider: kind, ports: {web: 30080, metrics: 30081}}").unwrap();
        let ports = HostPorts::choose(&profile).unwrap();
        let all: std::collections::BTreeSet<_> = ports.nodes.values().copied().chain([ports.api]).collect();
        assert_eq!(all.len(), 3);
        for port in all {
            std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }
}

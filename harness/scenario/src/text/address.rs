//! `web.apps.svc:80`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A host and a port: `web.apps.svc:80`. The host is a name or an IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name as DNS knows it, or an IPv4 address.
    pub host: String,
    /// The port, from 1.
    pub port: u16,
}

impl Address {
    /// Name and namespace, if the host is a Service's name in the cluster: `web.apps`, `web.apps.svc`,
    /// `web.apps.svc.cluster.local`.
    pub fn service(&self) -> Option<(&str, &str)> {
        let parts: Vec<&str> = self.host.trim_end_matches('.').split('.').collect();
        match parts[..] {
            [name, namespace] | [name, namespace, "svc", ..] => Some((name, namespace)),
            _ => None,
        }
    }

    /// Reads an address whose port may be left out.
    pub(super) fn read(text: &str, default_port: Option<u16>) -> Result<Address, String> {
        let (host, port) = match (text.rsplit_once(':'), default_port) {
            (Some((host, port)), _) => {
                let number = port.parse().ok().filter(|port| *port > 0);
                (host, number.ok_or_else(|| format!("`{port}` is not a port: ports are 1 to 65535"))?)
            }
            (None, Some(port)) => (text, port),
            (None, None) => return Err("it has no port".into()),
        };
        if host.is_empty() {
            return Err("it has no host".into());
        }
        match host.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(*c))) {
            Some(c) => Err(format!("its host contains {c:?}")),
            None => Ok(Address { host: host.into(), port }),
        }
    }
}

impl FromStr for Address {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Address::read(text, None).map_err(|why| {
            TextError::new(
                format!("`{text}` is not an address: {why}"),
                "write host and port, such as `web.apps.svc.cluster.local:80`",
            )
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

text_type!(Address,
    what: "an address such as `web.apps.svc:80` (host:port)",
    pattern: r"^[a-z0-9.-]+:\d+$",
    examples: ["web.apps.svc.cluster.local:80", "10.96.0.1:443"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("web.apps.svc.cluster.local:80", 80, Some(("web", "apps")))]
    #[case("web.apps.svc:8080", 8080, Some(("web", "apps")))]
    #[case("web.apps:80", 80, Some(("web", "apps")))]
    #[case("web:80", 80, None)]
    #[case("10.96.0.1:443", 443, None)]
    #[case("registry.example.org:5000", 5000, None)]
    fn reads(#[case] text: &str, #[case] port: u16, #[case] service: Option<(&str, &str)>) {
        let address: Address = text.parse().unwrap();
        assert_eq!((address.port, address.service(), address.to_string()), (port, service, text.to_owned()));
    }

    #[test]
    fn says_what_is_wrong() {
        let texts =
            ["", "web", ":80", "web:", "web:0", "web:65536", "web:http", "http://web:80", "We b:80", "[::1]:80"];
        insta::assert_snapshot!(texts.map(error::<Address>).join("\n"), @r"
        `` is not an address: it has no port (write host and port, such as `web.apps.svc.cluster.local:80`)
        `web` is not an address: it has no port (write host and port, such as `web.apps.svc.cluster.local:80`)
        `:80` is not an address: it has no host (write host and port, such as `web.apps.svc.cluster.local:80`)
        `web:` is not an address: `` is not a port: ports are 1 to 65535 (write host and port, such as `web.apps.svc.cluster.local:80`)
        `web:0` is not an address: `0` is not a port: ports are 1 to 65535 (write host and port, such as `web.apps.svc.cluster.local:80`)
        `web:65536` is not an address: `65536` is not a port: ports are 1 to 65535 (write host and port, such as `web.apps.svc.cluster.local:80`)
        `web:http` is not an address: `http` is not a port: ports are 1 to 65535 (write host and port, such as `web.apps.svc.cluster.local:80`)
        `http://web:80` is not an address: its host contains ':' (write host and port, such as `web.apps.svc.cluster.local:80`)
        `We b:80` is not an address: its host contains 'W' (write host and port, such as `web.apps.svc.cluster.local:80`)
        `[::1]:80` is not an address: its host contains '[' (write host and port, such as `web.apps.svc.cluster.local:80`)
        ");
    }
}

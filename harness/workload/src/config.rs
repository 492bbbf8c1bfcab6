//! Settings, all from environment variables.

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

/// Variables with this prefix are shown to whoever asks; no others are.
pub const SHOWN_PREFIX: &str = "DEMO_";

/// How the workload runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `PORT`: where it listens, on all addresses. 8080; 0 picks a free one.
    pub port: u16,
    /// `DRAIN_SECONDS`: how long it goes on serving after SIGTERM. 5: the removal of an endpoint reaches every kube-proxy
    /// and proxy within a second or two, and a client that resolved or connected just before gets its answer.
    pub drain: Duration,
    /// `FINISH_SECONDS`: how long requests may take that are under way when it stops listening. 20: with the drain it
    /// stays below the 30 seconds after which a pod is killed by default.
    pub finish: Duration,
    /// `DEMO_VERSION`, or `dev`.
    pub version: String,
    /// The variables to show.
    pub shown: BTreeMap<String, String>,
}

/// A variable with a value that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot read {name}={value:?}: expected {expected}")]
pub struct ConfigError {
    name: &'static str,
    value: String,
    expected: &'static str,
}

impl Config {
    /// Reads the settings from environment variables.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn from_env(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let all: BTreeMap<String, String> = variables.into_iter().collect();
        let seconds = |name, default| number(&all, name, "a whole number of seconds", default).map(Duration::from_secs);
        Ok(Self {
            port: number(&all, "PORT", "a port number from 0 to 65535", 8080)?,
            drain: seconds("DRAIN_SECONDS", 5)?,
            finish: seconds("FINISH_SECONDS", 20)?,
            version: all.get("DEMO_VERSION").cloned().unwrap_or_else(|| "dev".into()),
            shown: all.into_iter().filter(|(name, _)| name.starts_with(SHOWN_PREFIX)).collect(),
        })
    }
}

fn number<N: std::str::FromStr>(
    all: &BTreeMap<String, String>,
    name: &'static str,
    expected: &'static str,
    default: N,
) -> Result<N, ConfigError> {
    match all.get(name) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| ConfigError { name, value: value.clone(), expected }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_env(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn defaults() {
        insta::assert_debug_snapshot!(from(&[("PATH", "/bin")]).unwrap(), @r#"
        Config {
            port: 8080,
            drain: 5s,
            finish: 20s,
            version: "dev",
            shown: {},
        }
        "#);
    }

    #[test]
    fn everything_set() {
        let variables = [
            ("PORT", "0"),
            ("DRAIN_SECONDS", "1"),
            ("FINISH_SECONDS", "2"),
            ("DEMO_VERSION", "2.0"),
            ("DEMO_COLOUR", "blue"),
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ];
        insta::assert_debug_snapshot!(from(&variables).unwrap(), @r#"
        Config {
            port: 0,
            drain: 1s,
            finish: 2s,
            version: "2.0",
            shown: {
                "DEMO_COLOUR": "blue",
                "DEMO_VERSION": "2.0",
            },
        }
        "#);
    }

    #[rstest]
    #[case::port("PORT", "http", "cannot read PORT=\"http\": expected a port number from 0 to 65535")]
    #[case::port_too_high("PORT", "65536", "cannot read PORT=\"65536\": expected a port number from 0 to 65535")]
    #[case::drain("DRAIN_SECONDS", "5s", "cannot read DRAIN_SECONDS=\"5s\": expected a whole number of seconds")]
    #[case::finish("FINISH_SECONDS", "-1", "cannot read FINISH_SECONDS=\"-1\": expected a whole number of seconds")]
    #[case::empty("PORT", "", "cannot read PORT=\"\": expected a port number from 0 to 65535")]
    fn refuses(#[case] name: &str, #[case] value: &str, #[case] message: &str) {
        assert_eq!(from(&[(name, value)]).unwrap_err().to_string(), message);
    }
}

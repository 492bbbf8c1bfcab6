//! The combination of dimensions that a scenario runs in.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// One cell of a scenario's matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cell {
    /// Minor release of Kubernetes.
    pub kubernetes: String,
    /// Who makes the cluster.
    pub provider: String,
    /// The variables that the matrix varies, and their values here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
}

/// Who can make a cluster.
pub const PROVIDERS: [&str; 2] = ["kind", "k3s"];

/// Dimensions that every cell has. Templates know them as variables.
pub const BUILT_IN: [&str; 2] = ["kubernetes", "provider"];

impl Default for Cell {
    /// What a scenario without a matrix runs in.
    fn default() -> Cell {
        Cell { kubernetes: "1.34".into(), provider: "kind".into(), vars: BTreeMap::new() }
    }
}

impl Cell {
    /// The value of a dimension, as text.
    pub fn get(&self, dimension: &str) -> Option<String> {
        match dimension {
            "kubernetes" => Some(self.kubernetes.clone()),
            "provider" => Some(self.provider.clone()),
            other => self.vars.get(other).map(plain),
        }
    }
}

/// A value as authors write it, lists joined by `+`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("+"),
        other => other.to_string(),
    }
}

/// As the end of a trial's name: `k8s_1_34::kind::auth_http`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k8s_{}::{}", underscored(&self.kubernetes), underscored(&self.provider))?;
        self.vars.iter().try_for_each(|(name, value)| write!(f, "::{name}_{}", underscored(&plain(value))))
    }
}

/// Test runners' filters split words at hyphens and dots.
pub(crate) fn underscored(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_every_dimension() {
        assert_eq!(Cell::default().to_string(), "k8s_1_34::kind");
        let vars = [("auth", json!("http")), ("from", json!("2.9.2")), ("parts", json!(["a-b", 2]))];
        let cell = Cell { vars: vars.map(|(name, value)| (name.into(), value)).into(), ..Cell::default() };
        assert_eq!(cell.to_string(), "k8s_1_34::kind::auth_http::from_2_9_2::parts_a_b_2");
        assert_eq!(cell.get("provider").as_deref(), Some("kind"));
        assert_eq!(cell.get("parts").as_deref(), Some("a-b+2"));
        assert_eq!(cell.get("color"), None);
    }
}

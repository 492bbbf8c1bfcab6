//! `metric`: what a workload measures of itself.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::lint_has_pods;
use crate::lint::Findings;
use crate::span::Spanned;
use crate::steps::bounds::Bounds;
use crate::text::{HINT, ObjectRef};

/// A metric in the Prometheus text format, scraped from a workload's pods through the API server once a second. The values
/// of all series of that name and those labels are added up, over all pods; no such series is not the same as 0.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "MetricFile")]
#[schemars(with = "MetricFile")]
pub struct Metric {
    /// The workload, or a pod.
    pub of: Spanned<ObjectRef>,
    /// The port that metrics are served on.
    pub port: u16,
    /// Their path.
    pub path: String,
    /// The metric's name.
    pub name: Spanned<String>,
    /// Labels that its series have.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub bounds: Bounds<f64>,
}

/// [`Metric`] as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Metric", deny_unknown_fields, rename_all = "kebab-case")]
struct MetricFile {
    /// The workload whose pods serve it, or a pod.
    of: Spanned<ObjectRef>,
    /// The port of its pods that serves metrics; flux-operator and Flux' controllers: 8080.
    port: u16,
    /// Their path. Default: /metrics.
    path: Option<Spanned<String>>,
    /// The metric's name, such as `flux_instance_info`; of a histogram with its `_count`, `_sum` or `_bucket`.
    name: Spanned<String>,
    /// Labels that its series have, others beside them. Default: any.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Exactly this value.
    is: Option<Spanned<f64>>,
    /// This value or more.
    at_least: Option<Spanned<f64>>,
    /// This value or less.
    at_most: Option<Spanned<f64>>,
}

impl TryFrom<MetricFile> for Metric {
    type Error = String;

    fn try_from(file: MetricFile) -> Result<Metric, String> {
        let MetricFile { of, port, path, name, labels, is, at_least, at_most } = file;
        let path = path.map_or_else(|| "/metrics".into(), |path| path.value);
        if !path.starts_with('/') {
            return Err(format!("the metrics' path `{path}` does not start with `/`{HINT}write `path: /{path}`"));
        }
        let part_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if name.is_empty() || !name.chars().all(part_of_a_name) {
            return Err(format!(
                "`{name}` is not a metric's name{HINT}write the name alone, such as `flux_instance_info`; its labels belong under `labels:`"
            ));
        }
        Ok(Metric { of, port, path, name, labels, bounds: Bounds::new("metric", is, at_least, at_most)? })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metric {}", self.name)?;
        if !self.labels.is_empty() {
            let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            write!(f, "{{{}}}", labels.join(","))?;
        }
        write!(f, " of {} is {}", self.of, self.bounds)
    }
}

impl Metric {
    pub(super) fn lint(&self, findings: &mut Findings<'_>) {
        lint_has_pods(&self.of, findings);
    }
}

//! `probe-snat`: what a service mesh does to kubelet's probes, without a mesh.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::model::Scenario;

/// Has every node send what it sends to its own pods over TCP, kubelet's probes above all, from 169.254.7.127, as Istio's ambient
/// mode does. A NetworkPolicy that does not admit that address keeps the probes out then, where it let the node's own address
/// through. Pods and their traffic with each other are left as they are, and the nodes keep it up to the end of the run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbeSnat {}

impl StepKind for ProbeSnat {
    const KIND: &'static str = "probe-snat";
    const EXAMPLE: &'static str = "probe-snat: {}";
}

impl Action for ProbeSnat {
    fn title(&self, _scenario: &Scenario) -> String {
        "have kubelet's probes come from 169.254.7.127, as with a mesh".to_owned()
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::ProbeSnat, None, scenario)
    }
}

//! `suspend`: a field of Flux' objects, an annotation of its operator's.

use ferry_scenario::steps::Suspend;
use serde_json::{Value, json};

use super::{Context, FLUX_COMMAND, StepError, patch};

/// The value that the annotation has on what is left alone.
pub(super) const DISABLED: &str = "disabled";
const ENABLED: &str = "enabled";

pub(super) async fn execute(suspend: &Suspend, cx: &Context<'_>) -> Result<(), StepError> {
    let object = &suspend.0.value;
    let group = cx.cluster.kinds.resolve(&object.kind).await.map_err(crate::cluster::ClusterError::from)?.group;
    patch::merge_as(FLUX_COMMAND, object, &change(&group, true), cx).await
}

/// The patch that makes an object of this API group be left alone, or looked after again.
pub(super) fn change(group: &str, suspend: bool) -> Value {
    match annotation(group) {
        Some(annotation) => {
            let value = if suspend { DISABLED } else { ENABLED };
            json!({"metadata": {"annotations": {annotation: value}}})
        }
        None => json!({"spec": {"suspend": suspend}}),
    }
}

/// The annotation by which objects of an API group are suspended; others have `spec.suspend`.
pub(super) fn annotation(group: &str) -> Option<&'static str> {
    match group {
        "fluxcd.controlplane.io" => Some("fluxcd.controlplane.io/reconcile"),
        "source.extensions.fluxcd.io" => Some("source.extensions.fluxcd.io/reconcile"),
        _ => None,
    }
}

/// The API group of a live object.
pub(super) fn group_of(object: &Value) -> &str {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("kustomize.toolkit.fluxcd.io", true, json!({"spec": {"suspend": true}}))]
    #[case("helm.toolkit.fluxcd.io", false, json!({"spec": {"suspend": false}}))]
    #[case("fluxcd.controlplane.io", true, json!({"metadata": {"annotations": {"fluxcd.controlplane.io/reconcile": "disabled"}}}))]
    #[case("fluxcd.controlplane.io", false, json!({"metadata": {"annotations": {"fluxcd.controlplane.io/reconcile": "enabled"}}}))]
    #[case("source.extensions.fluxcd.io", true, json!({"metadata": {"annotations": {"source.extensions.fluxcd.io/reconcile": "disabled"}}}))]
    fn each_group_has_its_own_way(#[case] group: &str, #[case] suspend: bool, #[case] patch: Value) {
        assert_eq!(change(group, suspend), patch);
    }
}

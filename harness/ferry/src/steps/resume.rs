//! `resume`: what `suspend` did undone, and a reconciliation asked for.

use ferry_scenario::steps::Resume;
use serde_json::Value;

use super::{Context, FLUX_COMMAND, StepError, patch, reconcile, suspend};

pub(super) async fn execute(resume: &Resume, cx: &Context<'_>) -> Result<(), StepError> {
    let object = &resume.0.value;
    let group = cx.cluster.kinds.resolve(&object.kind).await.map_err(crate::cluster::ClusterError::from)?.group;
    let change = change(&group, &jiff::Timestamp::now().to_string());
    patch::merge_as(FLUX_COMMAND, object, &change, cx).await
}

/// Both in one patch: a controller that saw the request first would answer it by doing nothing.
fn change(group: &str, token: &str) -> Value {
    let mut change = reconcile::annotations(token, false);
    let resumed = suspend::change(group, false);
    if let Some(annotations) = resumed.pointer("/metadata/annotations").and_then(Value::as_object) {
        for (annotation, value) in annotations {
            change["metadata"]["annotations"][annotation] = value.clone();
        }
    } else {
        change["spec"] = resumed["spec"].clone();
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_object_is_asked_for_at_once() {
        let [flux, operator] =
            ["kustomize.toolkit.fluxcd.io", "fluxcd.controlplane.io"].map(|group| change(group, "T"));
        insta::assert_compact_json_snapshot!(flux, @r#"{"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "T"}}, "spec": {"suspend": false}}"#);
        insta::assert_json_snapshot!(operator, @r#"
        {
          "metadata": {
            "annotations": {
              "fluxcd.controlplane.io/reconcile": "enabled",
              "reconcile.fluxcd.io/requestedAt": "T"
            }
          }
        }
        "#);
    }
}

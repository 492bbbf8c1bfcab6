//! `patch`: a merge patch, as `kubectl patch --type merge` sends it.

use ferry_scenario::steps::Patch;
use ferry_scenario::text::ObjectRef;
use kube::api::{Patch as Body, PatchParams};
use serde_json::Value;

use super::{Context, FIELD_MANAGER, StepError};
use crate::cluster::request;

pub(super) async fn execute(patch: &Patch, cx: &Context<'_>) -> Result<(), StepError> {
    merge(&patch.object, &Value::Object(patch.merge.value.clone()), cx).await
}

/// Merges a change into an object, as a person with kubectl.
pub(super) async fn merge(object: &ObjectRef, change: &Value, cx: &Context<'_>) -> Result<(), StepError> {
    merge_as(FIELD_MANAGER, object, change, cx).await
}

/// Merges a change into an object, as the field manager `who`.
pub(super) async fn merge_as(who: &str, object: &ObjectRef, change: &Value, cx: &Context<'_>) -> Result<(), StepError> {
    let api = cx.cluster.api(&object.kind, object.namespace.as_deref()).await?;
    let params = PatchParams { field_manager: Some(who.into()), ..PatchParams::default() };
    api.patch(&object.name, &params, &Body::Merge(change)).await.map_err(|e| request(format!("patch {object}"), e))?;
    Ok(())
}

//! `patch`: a merge patch, as `kubectl patch --type merge` sends it.

use ferry_scenario::steps::Patch;
use ferry_scenario::text::ObjectRef;
use serde_json::Value;

use super::{Context, FIELD_MANAGER, StepError};

pub(super) async fn execute(patch: &Patch, cx: &Context<'_>) -> Result<(), StepError> {
    merge(&patch.object, &Value::Object(patch.merge.value.clone()), cx).await
}

/// Merges a change into an object, as a person with kubectl.
pub(super) async fn merge(object: &ObjectRef, change: &Value, cx: &Context<'_>) -> Result<(), StepError> {
    merge_as(FIELD_MANAGER, object, change, cx).await
}

/// Merges a change into an object, as the field manager `who`.
pub(super) async fn merge_as(who: &str, object: &ObjectRef, change: &Value, cx: &Context<'_>) -> Result<(), StepError> {
    Ok(cx.cluster.merge(object, change, who).await?)
}

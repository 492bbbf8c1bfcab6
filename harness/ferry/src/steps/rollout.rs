//! `rollout`: a restart, as `kubectl rollout restart` does it, to its end.

use ferry_scenario::steps::Rollout;
use serde_json::json;

use super::{Context, StepError, patch};

pub(super) async fn execute(rollout: &Rollout, cx: &Context<'_>) -> Result<(), StepError> {
    let object = &rollout.restart.value;
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": jiff::Timestamp::now().to_string()});
    let change = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    patch::merge(object, &change, cx).await?;
    cx.ready(&object.kind, object.namespace.as_deref(), &object.name).await?;
    Ok(())
}

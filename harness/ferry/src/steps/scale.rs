//! `scale`: the number of replicas.

use ferry_scenario::steps::Scale;
use serde_json::json;

use super::{Context, StepError, patch};

pub(super) async fn execute(scale: &Scale, cx: &Context<'_>) -> Result<(), StepError> {
    patch::merge(&scale.object, &json!({"spec": {"replicas": scale.replicas}}), cx).await
}

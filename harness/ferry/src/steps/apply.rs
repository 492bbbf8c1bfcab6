//! `apply`: server-side apply, object by object, as `kubectl apply --server-side` does.

use std::time::Duration;

use ferry_scenario::steps::{Apply, Manifests};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::{Context, FIELD_MANAGER, StepError};
use crate::cluster::{ClusterError, ResolveError};
use crate::wait::{Check, polled};

/// How often an object is applied again while its kind or its namespace is not there yet.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn execute(apply: &Apply, cx: &Context<'_>) -> Result<(), StepError> {
    match &apply.manifests {
        Manifests::Inline(object) => one(&Value::Object(object.value.clone()), cx).await,
        Manifests::File(file) => manifests(&cx.stage.scenario_file(cx.scenario, file)?, cx).await,
    }
}

/// Applies every document of a manifest file in order.
pub(super) async fn manifests(text: &str, cx: &Context<'_>) -> Result<(), StepError> {
    for document in serde_yaml::Deserializer::from_str(text) {
        let object = Value::deserialize(document)
            .map_err(|e| StepError::mismatch(format!("a manifest is no YAML object: {e}"), None))?;
        if !object.is_null() {
            one(&object, cx).await?;
        }
    }
    Ok(())
}

/// Applies one object, again and again while its kind or its namespace is not there yet.
pub(super) async fn one(object: &Value, cx: &Context<'_>) -> Result<(), StepError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (Some(kind), Some(name)) = (text("/kind"), text("/metadata/name")) else {
        return Err(StepError::mismatch("a manifest has no `kind` or no `metadata.name`", None));
    };
    let namespace = text("/metadata/namespace");
    let what = format!("apply {kind} {}", crate::cluster::qualified(namespace, name));
    // A CRD is established, and a webhook answers, some moments after they were applied.
    let tries = polled(AGAIN, || async {
        match cx.cluster.apply(object, FIELD_MANAGER).await {
            Ok(()) => Check::Met("applied".into()),
            Err(error) if may_pass(&error) => Check::NotYet(crate::edge::chain(&error)),
            Err(error) => Check::Never(crate::edge::chain(&error)),
        }
    });
    cx.until(what, tries.boxed()).await?;
    Ok(())
}

/// Whether trying again can help: the kind or namespace is not there yet, or the server is busy or restarting.
fn may_pass(error: &ClusterError) -> bool {
    match error {
        ClusterError::Resolve(ResolveError::Ambiguous { .. }) | ClusterError::Kubeconfig { .. } => false,
        ClusterError::Resolve(_) | ClusterError::Silent { .. } => true,
        ClusterError::Request { answer, .. } => match &**answer {
            kube::Error::Api(status) => {
                status.code == 404 || status.code == 409 || status.code == 429 || status.code >= 500
            }
            _ => true,
        },
    }
}

//! `delete`: an object, and its absence awaited.

use ferry_scenario::steps::Delete;
use kube::api::DeleteParams;

use super::{Context, StepError};
use crate::cluster::{request, watch};
use crate::wait::Check;

pub(super) async fn execute(delete: &Delete, cx: &Context<'_>) -> Result<(), StepError> {
    let object = &delete.0.value;
    let namespace = object.namespace.as_deref();
    let api = cx.cluster.api(&object.kind, namespace).await?;
    api.delete(&object.name, &DeleteParams::default()).await.map_err(|e| request(format!("delete {object}"), e))?;
    let gone = |found: Option<&serde_json::Value>| match found {
        None => Check::Met("it is gone".into()),
        Some(_) => Check::NotYet("it is still there".into()),
    };
    cx.until(format!("{object} gone"), watch::object(cx.cluster, &object.kind, namespace, &object.name, gone)).await?;
    Ok(())
}

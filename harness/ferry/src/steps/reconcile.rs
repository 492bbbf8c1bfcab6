//! `reconcile`: a request by annotation, and the controller's answer in the status, as `flux reconcile` does it.

use ferry_scenario::steps::Reconcile;
use ferry_scenario::text::ObjectRef;
use serde_json::{Value, json};

use super::{Context, FLUX_COMMAND, StepError, patch};
use crate::cluster::ready::readiness;
use crate::cluster::watch;
use crate::wait::Check;

/// The request to reconcile now; the controller repeats its value in `status.lastHandledReconcileAt`.
pub(super) const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// The request to install or upgrade once more; helm-controller heeds it when its value is that of [`REQUESTED_AT`].
const FORCE_AT: &str = "reconcile.fluxcd.io/forceAt";

/// A release's chart has a source, which may be made from another; nothing is further from its origin than this.
const LONGEST_CHAIN: usize = 4;

pub(super) async fn execute(reconcile: &Reconcile, cx: &Context<'_>) -> Result<(), StepError> {
    let object = &reconcile.object.value;
    let mut found = get(object, cx).await?;
    refuse_suspended(object, &found)?;
    if reconcile.with_source {
        let mut sources = vec![];
        while let (Some(source), true) = (source_of(&found), sources.len() < LONGEST_CHAIN) {
            found = get(&source, cx).await?;
            sources.push((source, found.clone()));
        }
        if sources.is_empty() {
            return Err(StepError::mismatch(format!("{object} names no source"), "remove `with-source`".to_string()));
        }
        // The origin first, so that each sees what the one before it has made.
        for (source, found) in sources.iter().rev().filter(|(_, found)| !is_static(found)) {
            refuse_suspended(source, found)?;
            request(source, false, cx).await?;
        }
    }
    request(object, reconcile.force, cx).await
}

async fn get(object: &ObjectRef, cx: &Context<'_>) -> Result<Value, StepError> {
    let found = cx.cluster.get(&object.kind, object.namespace.as_deref(), &object.name).await?;
    found.ok_or_else(|| StepError::mismatch(format!("{object} does not exist"), "`wait` for it first".to_string()))
}

async fn request(object: &ObjectRef, force: bool, cx: &Context<'_>) -> Result<(), StepError> {
    let token = jiff::Timestamp::now().to_string();
    patch::merge_as(FLUX_COMMAND, object, &annotations(&token, force), cx).await?;
    let check = |found: Option<&Value>| handled(found, &token);
    let what = format!("{object} reconciled");
    cx.until(what, watch::object(cx.cluster, &object.kind, object.namespace.as_deref(), &object.name, check)).await?;
    Ok(())
}

/// The request, as a patch.
pub(super) fn annotations(token: &str, force: bool) -> Value {
    let mut annotations = json!({REQUESTED_AT: token});
    if force {
        annotations[FORCE_AT] = token.into();
    }
    json!({"metadata": {"annotations": annotations}})
}

/// Whether the request is answered, and the object ready by that answer. What it said before does not count.
fn handled(object: Option<&Value>, token: &str) -> Check {
    let answered = object.and_then(|object| object.pointer("/status/lastHandledReconcileAt")).and_then(Value::as_str);
    match (object, answered) {
        (Some(_), Some(answered)) if answered == token => readiness(object),
        (Some(_), _) => Check::NotYet("its controller has not taken up the request yet".into()),
        (None, _) => Check::Never("it was deleted meanwhile".into()),
    }
}

fn refuse_suspended(name: &ObjectRef, object: &Value) -> Result<(), StepError> {
    if is_suspended(object) {
        let hint = format!("put `resume: {name}` before it");
        return Err(StepError::mismatch(format!("{name} is suspended: nobody would answer the request"), hint));
    }
    Ok(())
}

fn is_suspended(object: &Value) -> bool {
    let group = super::suspend::group_of(object);
    object.pointer("/spec/suspend") == Some(&Value::Bool(true))
        || super::suspend::annotation(group)
            .is_some_and(|annotation| object["metadata"]["annotations"][annotation] == super::suspend::DISABLED)
}

/// Objects that no controller reconciles by themselves.
fn is_static(object: &Value) -> bool {
    object["kind"] == "ExternalArtifact" || object["kind"] == "HelmRepository" && object["spec"]["type"] == "oci"
}

/// What an object is made from.
fn source_of(object: &Value) -> Option<ObjectRef> {
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let own = text(&object["metadata"], "namespace");
    let named = |reference: &Value| {
        let group =
            reference["apiVersion"].as_str().and_then(|version| version.split_once('/')).map(|(group, _)| group);
        let kind = reference["kind"].as_str()?.to_lowercase();
        Some(ObjectRef {
            kind: format!("{kind}.{}", group.unwrap_or("source.toolkit.fluxcd.io")),
            namespace: text(reference, "namespace").or_else(|| own.clone()),
            name: text(reference, "name")?,
        })
    };
    let spec = &object["spec"];
    if let Some(template) = object.pointer("/spec/chart/spec/sourceRef") {
        // helm-controller makes a HelmChart from the template, beside the template's source.
        return Some(ObjectRef {
            kind: "helmchart.source.toolkit.fluxcd.io".into(),
            namespace: text(template, "namespace").or_else(|| own.clone()),
            name: format!("{}-{}", own.as_deref()?, object["metadata"]["name"].as_str()?),
        });
    }
    [&spec["chartRef"], &spec["sourceRef"]].into_iter().find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn object(generation: i64, observed: i64, handled: &str, ready: &str) -> Value {
        json!({"kind": "Kustomization", "metadata": {"generation": generation},
               "status": {"observedGeneration": observed, "lastHandledReconcileAt": handled,
                          "conditions": [{"type": "Ready", "status": ready, "reason": "R", "message": "m"}]}})
    }

    #[rstest]
    #[case::ready_from_before(object(1, 1, "old", "True"), Check::NotYet("its controller has not taken up the request yet".into()))]
    #[case::never_asked(json!({"kind": "Kustomization", "status": {}}), Check::NotYet("its controller has not taken up the request yet".into()))]
    #[case::answered_by_an_older_generation(object(2, 1, "now", "True"), Check::NotYet("generation 2 is not observed yet (status is of 1)".into()))]
    #[case::answered_but_not_ready(object(1, 1, "now", "False"), Check::NotYet("Ready=False: R: m".into()))]
    #[case::answered(object(1, 1, "now", "True"), Check::Met("m".into()))]
    fn an_old_answer_does_not_count(#[case] object: Value, #[case] expected: Check) {
        assert_eq!(handled(Some(&object), "now"), expected);
    }

    #[test]
    fn an_object_that_went_will_not_answer() {
        assert_eq!(handled(None, "now"), Check::Never("it was deleted meanwhile".into()));
    }

    #[test]
    fn a_forced_request_says_so_in_the_same_words() {
        insta::assert_compact_json_snapshot!(annotations("T", false), @r#"{"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "T"}}}"#);
        let forced = annotations("T", true);
        assert_eq!(forced["metadata"]["annotations"][FORCE_AT], forced["metadata"]["annotations"][REQUESTED_AT]);
    }

    #[rstest]
    #[case::kustomization(json!({"sourceRef": {"kind": "GitRepository", "name": "fleet"}}), Some("gitrepository.source.toolkit.fluxcd.io/apps/fleet"))]
    #[case::elsewhere(json!({"sourceRef": {"kind": "OCIRepository", "name": "fleet", "namespace": "b"}}), Some("ocirepository.source.toolkit.fluxcd.io/b/fleet"))]
    #[case::chart_reference(json!({"chartRef": {"kind": "OCIRepository", "name": "web"}}), Some("ocirepository.source.toolkit.fluxcd.io/apps/web"))]
    #[case::chart_template(json!({"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "charts", "namespace": "b"}}}}), Some("helmchart.source.toolkit.fluxcd.io/b/apps-web"))]
    #[case::other_group(json!({"sourceRef": {"apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator", "name": "x"}}), Some("artifactgenerator.source.extensions.fluxcd.io/apps/x"))]
    #[case::origin(json!({"url": "ssh://git@git.ferry/x"}), None)]
    fn finds_the_source(#[case] spec: Value, #[case] source: Option<&str>) {
        let object = json!({"metadata": {"namespace": "apps", "name": "web"}, "spec": spec});
        assert_eq!(source_of(&object).map(|found| found.to_string()).as_deref(), source);
    }

    #[rstest]
    #[case(json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "spec": {"suspend": true}}), true)]
    #[case(json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "spec": {"suspend": false}}), false)]
    #[case(json!({"apiVersion": "fluxcd.controlplane.io/v1", "metadata": {"annotations": {"fluxcd.controlplane.io/reconcile": "disabled"}}}), true)]
    #[case(json!({"apiVersion": "fluxcd.controlplane.io/v1", "metadata": {"annotations": {"fluxcd.controlplane.io/reconcile": "enabled"}}}), false)]
    fn knows_what_is_suspended(#[case] object: Value, #[case] suspended: bool) {
        assert_eq!(is_suspended(&object), suspended);
    }
}

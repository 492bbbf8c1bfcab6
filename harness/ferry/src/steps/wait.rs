//! `wait`: a watch and a check.

use ferry_scenario::steps::{Condition, ObjectCondition, Revision, Wait};
use serde_json::Value;

use super::{Context, StepError};
use crate::cluster::ready::readiness;
use crate::cluster::watch::{self, Inventory};
use crate::wait::Check;

/// Flux' sources and appliers that make up a sync.
const SYNC_KINDS: [&str; 2] = ["gitrepository", "kustomization"];

pub(super) async fn execute(wait: &Wait, cx: &Context<'_>) -> Result<(), StepError> {
    let what = wait.until.to_string();
    let object =
        |object: &ferry_scenario::text::ObjectRef| (object.kind.clone(), object.namespace.clone(), object.name.clone());
    match &wait.until {
        Condition::Ready(wanted) => {
            let (kind, namespace, name) = object(wanted);
            cx.until(what, watch::object(cx.cluster, &kind, namespace.as_deref(), &name, readiness)).await?;
        }
        Condition::Gone(wanted) => {
            let (kind, namespace, name) = object(wanted);
            cx.until(what, watch::object(cx.cluster, &kind, namespace.as_deref(), &name, gone)).await?;
        }
        Condition::Object(wanted) => {
            let (kind, namespace, name) = object(&wanted.object);
            let check = |object: Option<&Value>| condition(object, wanted);
            cx.until(what, watch::object(cx.cluster, &kind, namespace.as_deref(), &name, check)).await?;
        }
        Condition::Revision(revision) => {
            let sha = match revision.value {
                Revision::Head => cx.fleet.head().await?,
            };
            let check = |all: &Inventory| synced(all, &sha);
            cx.until(
                format!("{what} ({})", &sha[..sha.len().min(12)]),
                watch::inventory(cx.cluster, &SYNC_KINDS, check),
            )
            .await?;
        }
    }
    Ok(())
}

fn gone(object: Option<&Value>) -> Check {
    match object {
        None => Check::Met("it is gone".into()),
        Some(object) => {
            let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array).map_or(0, Vec::len);
            match object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str) {
                Some(since) => {
                    Check::NotYet(format!("it is being deleted since {since}, with {finalizers} finalizers left"))
                }
                None => Check::NotYet("it exists, and nobody has asked to delete it".into()),
            }
        }
    }
}

fn condition(object: Option<&Value>, wanted: &ObjectCondition) -> Check {
    let Some(object) = object else { return Check::NotYet("it does not exist yet".into()) };
    let kind = wanted.r#type.as_str();
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let Some(found) = conditions.and_then(|all| all.iter().find(|c| c["type"] == kind)) else {
        return Check::NotYet(format!("it has no condition {kind} yet"));
    };
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    let seen = format!("{kind}={}: {}: {}", text("status"), text("reason"), text("message"));
    let reason_fits = wanted.reason.as_ref().is_none_or(|reason| text("reason") == reason);
    if text("status") == wanted.status.to_string() && reason_fits { Check::Met(seen) } else { Check::NotYet(seen) }
}

/// Every git source holds the commit, and every Kustomization that follows one has applied it and is ready.
fn synced(all: &Inventory, sha: &str) -> Check {
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
    if all.is_empty() {
        return Check::NotYet("the cluster has no Flux sync yet".into());
    }
    let mut check = Check::Met(String::new());
    for ((kind, name), object) in all {
        let at = match kind.as_str() {
            "gitrepository" => text(object, "/status/artifact/revision"),
            _ if text(object, "/spec/sourceRef/kind") != "GitRepository" => continue,
            _ => text(object, "/status/lastAppliedRevision"),
        };
        let here = if !at.contains(sha) {
            let why = match readiness(Some(object)) {
                Check::Met(_) => String::new(),
                Check::NotYet(why) | Check::Never(why) => format!(": {why}"),
            };
            Check::NotYet(format!("{kind} {name} is at {}{why}", if at.is_empty() { "no revision" } else { &at }))
        } else {
            match readiness(Some(object)) {
                Check::Met(_) => Check::Met(String::new()),
                Check::NotYet(why) => Check::NotYet(format!("{kind} {name}: {why}")),
                // Another commit can cure what is stalled; this wait is over all the same.
                Check::Never(why) => Check::Never(format!("{kind} {name}: {why}")),
            }
        };
        check = check.and(here);
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn inventory(source: &str, applied: &str, ready: &str) -> Inventory {
        let conditions = json!([{"type": "Ready", "status": ready, "reason": "R", "message": "m"}]);
        let git = json!({"kind": "GitRepository", "status": {"artifact": {"revision": source}, "conditions": [{"type": "Ready", "status": "True"}]}});
        let apply = json!({"kind": "Kustomization", "spec": {"sourceRef": {"kind": "GitRepository"}},
                           "status": {"lastAppliedRevision": applied, "conditions": conditions}});
        let oci = json!({"kind": "Kustomization", "spec": {"sourceRef": {"kind": "OCIRepository"}}, "status": {}});
        [
            ("gitrepository", "flux-system/flux-system", git),
            ("kustomization", "flux-system/apps", apply),
            ("kustomization", "a/oci", oci),
        ]
        .map(|(kind, name, object)| ((kind.into(), name.into()), object))
        .into()
    }

    #[rstest]
    #[case::all(inventory("main@sha1:abc", "refs/heads/main@sha1:abc", "True"), Check::Met(String::new()))]
    #[case::source_behind(inventory("main@sha1:old", "main@sha1:abc", "True"), Check::NotYet("gitrepository flux-system/flux-system is at main@sha1:old".into()))]
    #[case::apply_behind(inventory("main@sha1:abc", "main@sha1:old", "False"), Check::NotYet("kustomization flux-system/apps is at main@sha1:old: Ready=False: R: m".into()))]
    #[case::never_applied(inventory("main@sha1:abc", "", "Unknown"), Check::NotYet("kustomization flux-system/apps is at no revision: Ready=Unknown: R: m".into()))]
    #[case::not_ready(inventory("main@sha1:abc", "main@sha1:abc", "Unknown"), Check::NotYet("kustomization flux-system/apps: Ready=Unknown: R: m".into()))]
    #[case::nothing(Inventory::new(), Check::NotYet("the cluster has no Flux sync yet".into()))]
    fn knows_when_a_commit_has_arrived(#[case] all: Inventory, #[case] expected: Check) {
        assert_eq!(synced(&all, "abc"), expected);
    }
}

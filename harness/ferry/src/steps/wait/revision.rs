//! What Flux has applied.

use ferry_scenario::steps::SyncRevision;
use ferry_scenario::text::Revision;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

use super::Look;
use crate::cluster::ready::readiness;
use crate::cluster::watch::{self, Inventory};
use crate::wait::Check;

/// Flux' sources and appliers that make up a sync.
const SYNC_KINDS: [&str; 2] = ["gitrepository", "kustomization"];

pub(super) fn stream<'a>(wanted: &'a SyncRevision, look: Look<'a>) -> BoxStream<'a, Check> {
    let revision = match &wanted.is {
        Revision::Head => look.head.unwrap_or_default(),
        Revision::Part(text) => text,
    };
    match &wanted.of {
        Some(object) => watch::of(look.cluster, object, move |found| applied(found, revision)).boxed(),
        None => watch::inventory(look.cluster, &SYNC_KINDS, move |all| synced(all, revision)).boxed(),
    }
}

/// The revision that an object of Flux is at, by its kind: sources have fetched it, the others have applied it.
fn revision_of(object: &Value) -> &str {
    let fields = ["/status/lastAppliedRevision", "/status/artifact/revision", "/status/history/0/chartVersion"];
    fields.iter().find_map(|field| object.pointer(field).and_then(Value::as_str)).unwrap_or_default()
}

/// The object is at the revision and ready.
fn applied(object: Option<&Value>, wanted: &str) -> Check {
    let Some(object) = object else { return Check::NotYet("it does not exist yet".into()) };
    let at = revision_of(object);
    let ready = readiness(Some(object));
    if at.contains(wanted) {
        return match ready {
            Check::Met(_) => Check::Met(format!("it is at {at}")),
            other => other,
        };
    }
    let why = match ready {
        Check::Met(_) => String::new(),
        Check::NotYet(why) | Check::Never(why) | Check::Unknown(why) => format!(": {why}"),
    };
    Check::NotYet(format!("it is at {}{why}", if at.is_empty() { "no revision" } else { at }))
}

/// Every git source holds the commit, and every Kustomization that follows one has applied it and is ready.
fn synced(all: &Inventory, wanted: &str) -> Check {
    if all.is_empty() {
        return Check::NotYet("the cluster has no Flux sync yet".into());
    }
    let follows_git = |kind: &str, object: &Value| {
        kind == "gitrepository"
            || object.pointer("/spec/sourceRef/kind").is_some_and(|source| source == "GitRepository")
    };
    let syncs = all.iter().filter(|((kind, _), object)| follows_git(kind, object));
    syncs.fold(Check::Met(String::new()), |check, ((kind, name), object)| {
        // Another commit can cure what is stalled; this wait is over all the same.
        check.and(match applied(Some(object), wanted) {
            Check::Met(_) => Check::Met(String::new()),
            Check::NotYet(why) => Check::NotYet(match why.strip_prefix("it is at ") {
                Some(at) => format!("{kind} {name} is at {at}"),
                None => format!("{kind} {name}: {why}"),
            }),
            other => other.about(&format!("{kind} {name}")),
        })
    })
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

    #[rstest]
    #[case::instance(json!({"kind": "FluxInstance", "status": {"lastAppliedRevision": "v2.9.4@sha256:ab", "conditions": [{"type": "Ready", "status": "True"}]}}), "v2.9.4@", Check::Met("it is at v2.9.4@sha256:ab".into()))]
    #[case::source(json!({"kind": "OCIRepository", "status": {"artifact": {"revision": "latest@sha256:ab"}, "conditions": [{"type": "Ready", "status": "True"}]}}), "sha256:cd", Check::NotYet("it is at latest@sha256:ab".into()))]
    #[case::nothing_yet(json!({"kind": "Kustomization", "status": {}}), "sha1:ab", Check::NotYet("it is at no revision: it has no condition Ready yet".into()))]
    #[case::stalled(json!({"kind": "Kustomization", "status": {"lastAppliedRevision": "main@sha1:ab", "conditions": [{"type": "Stalled", "status": "True", "reason": "R", "message": "m"}]}}), "sha1:ab", Check::Never("Stalled: R: m".into()))]
    fn one_object(#[case] object: Value, #[case] wanted: &str, #[case] expected: Check) {
        assert_eq!(applied(Some(&object), wanted), expected);
    }
}

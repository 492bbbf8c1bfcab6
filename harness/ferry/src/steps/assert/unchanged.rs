//! Objects as they were when a snapshot was taken.

use std::time::Duration;

use ferry_scenario::steps::{Facet, Unchanged};
use ferry_scenario::text::ObjectRef;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::cluster::{Cluster, diff};
use crate::edge;
use crate::steps::snapshot::{self, ObjectState, Taken};
use crate::steps::{Context, StepError};
use crate::wait::{Check, polled};

/// How often objects are looked at again while they are not (yet) as they were.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) fn stream<'a>(wanted: &'a Unchanged, cx: &'a Context<'_>) -> Result<BoxStream<'a, Check>, StepError> {
    let mut taken = cx.snapshots.get(wanted.snapshot.as_str()).ok_or_else(|| {
        let hint = "the step that takes it was not carried out: take it in a phase before".to_owned();
        StepError::mismatch(format!("there is no snapshot {}", wanted.snapshot), hint)
    })?;
    if !wanted.of.is_empty() {
        taken.retain(|object, _| wanted.of.iter().any(|of| of.value == *object));
    }
    let (facets, cluster) = (wanted.facets(), cx.cluster);
    Ok(futures::stream::once(async move {
        let again = (taken, facets);
        polled(AGAIN, {
            let again = std::sync::Arc::new(again);
            move || {
                let again = again.clone();
                async move { compare(&again.0, &again.1, cluster).await }
            }
        })
    })
    .flatten()
    .boxed())
}

async fn compare(taken: &Taken, facets: &[Facet], cluster: &Cluster) -> Check {
    let mut all = Check::Met(String::new());
    for (object, before) in taken {
        let check = match snapshot::look(object, cluster).await {
            Ok(after) => unchanged(before, after.as_ref(), facets),
            Err(error) => Check::Unknown(edge::chain(&error)),
        };
        all = all.and(about(object, check));
    }
    all
}

fn about(object: &ObjectRef, check: Check) -> Check {
    match check {
        Check::Met(_) => Check::Met(String::new()),
        other => other.about(&object.to_string()),
    }
}

/// What was counted up or created anew never goes back; what was written may.
fn unchanged(before: &ObjectState, after: Option<&ObjectState>, facets: &[Facet]) -> Check {
    let Some(after) = after else { return Check::NotYet("it does not exist any more".into()) };
    facets.iter().fold(Check::Met(String::new()), |check, facet| check.and(facet_unchanged(*facet, before, after)))
}

fn facet_unchanged(facet: Facet, before: &ObjectState, after: &ObjectState) -> Check {
    let same = || Check::Met(String::new());
    match facet {
        Facet::Uid if before.uid != after.uid => Check::Never(format!(
            "it is another object now: its UID was {}, and is {} (deleted and created again)",
            before.uid, after.uid
        )),
        Facet::Generation if before.generation != after.generation => {
            let shown = |generation: Option<i64>| generation.map_or_else(|| "none".to_owned(), |n| n.to_string());
            let changes = diff::between(&before.content, &after.content);
            let what = if changes.is_empty() { String::new() } else { format!("; {}", diff::in_words(&changes)) };
            let (from, to) = (shown(before.generation), shown(after.generation));
            Check::Never(format!("its generation was {from}, and is {to}{what}"))
        }
        Facet::Spec => match diff::between(&before.content, &after.content).as_slice() {
            [] => same(),
            changes => Check::NotYet(diff::in_words(changes)),
        },
        Facet::Pods => pods_unchanged(before, after),
        Facet::Restarts => restarts_unchanged(before, after),
        Facet::Uid | Facet::Generation => same(),
    }
}

fn pods_unchanged(before: &ObjectState, after: &ObjectState) -> Check {
    let none = Default::default();
    let (before, after) = (before.pods.as_ref().unwrap_or(&none), after.pods.as_ref().unwrap_or(&none));
    let uids = |pods: &std::collections::BTreeMap<_, snapshot::PodState>| {
        pods.values().map(|pod| pod.uid.clone()).collect::<std::collections::BTreeSet<String>>()
    };
    let (old, new) = (uids(before), uids(after));
    let names = |pods: &std::collections::BTreeMap<String, snapshot::PodState>,
                 other: &std::collections::BTreeSet<String>| {
        let names: Vec<&str> =
            pods.iter().filter(|(_, pod)| !other.contains(&pod.uid)).map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    if old == new {
        return Check::Met(String::new());
    }
    Check::Never(format!("its pods changed: {} went, {} came", names(before, &new), names(after, &old)))
}

fn restarts_unchanged(before: &ObjectState, after: &ObjectState) -> Check {
    let after = after.pods.iter().flatten();
    let restarted = after.filter_map(|(name, pod)| {
        let old = before.pods.as_ref()?.values().find(|old| old.uid == pod.uid)?;
        (pod.restarts != old.restarts).then(|| format!("{name} from {} to {}", old.restarts, pod.restarts))
    });
    let restarted: Vec<String> = restarted.collect();
    if restarted.is_empty() {
        return Check::Met(String::new());
    }
    Check::Never(format!("containers were restarted: {}", restarted.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn state(uid: &str, generation: i64, replicas: u32, pods: &[(&str, &str, u64)]) -> ObjectState {
        let object = json!({"metadata": {"uid": uid, "generation": generation}, "spec": {"replicas": replicas}});
        let pods: Vec<Value> = pods
            .iter()
            .map(|(name, uid, restarts)| {
                json!({"metadata": {"name": name, "uid": uid}, "status": {"containerStatuses": [{"restartCount": restarts}]}})
            })
            .collect();
        ObjectState::new(&object, Some(&pods))
    }

    fn before() -> ObjectState {
        state("u1", 3, 2, &[("web-a", "p1", 0), ("web-b", "p2", 1)])
    }

    const PODS: [(&str, &str, u64); 2] = [("web-a", "p1", 0), ("web-b", "p2", 1)];

    #[rstest]
    #[case::same(Some(before()), &Facet::ALL, Check::Met(String::new()))]
    #[case::absent(None, &Facet::ALL, Check::NotYet("it does not exist any more".into()))]
    #[case::created_again(Some(state("u2", 1, 2, &PODS)), &Facet::ALL, Check::Never("it is another object now: its UID was u1, and is u2 (deleted and created again)".into()))]
    #[case::generation(Some(state("u1", 4, 3, &PODS)), &Facet::ALL, Check::Never("its generation was 3, and is 4; spec.replicas: expected 2, found 3".into()))]
    #[case::back_again(Some(state("u1", 5, 2, &PODS)), &Facet::ALL, Check::Never("its generation was 3, and is 5".into()))]
    #[case::spec(Some(state("u1", 4, 3, &PODS)), &[Facet::Spec], Check::NotYet("spec.replicas: expected 2, found 3".into()))]
    #[case::only_uid(Some(state("u1", 4, 3, &[])), &[Facet::Uid], Check::Met(String::new()))]
    #[case::rolled_out(Some(state("u1", 3, 2, &[("web-a", "p1", 0), ("web-c", "p3", 0)])), &Facet::ALL, Check::Never("its pods changed: web-b went, web-c came".into()))]
    #[case::pod_lost(Some(state("u1", 3, 2, &[("web-a", "p1", 0)])), &[Facet::Pods], Check::Never("its pods changed: web-b went, none came".into()))]
    #[case::restarted(Some(state("u1", 3, 2, &[("web-a", "p1", 2), ("web-b", "p2", 1)])), &Facet::ALL, Check::Never("containers were restarted: web-a from 0 to 2".into()))]
    #[case::restarts_of_new_pods_are_theirs(Some(state("u1", 3, 2, &[("web-c", "p3", 5)])), &[Facet::Restarts], Check::Met(String::new()))]
    fn compares(#[case] after: Option<ObjectState>, #[case] facets: &[Facet], #[case] expected: Check) {
        assert_eq!(unchanged(&before(), after.as_ref(), facets), expected);
    }
}

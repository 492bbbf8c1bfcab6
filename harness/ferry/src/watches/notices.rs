//! Kubernetes events: what controllers have to say about objects, and how often.

use std::collections::{HashMap, HashSet};

use ferry_record::EventKind;
use ferry_record::cluster::Notice;
use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject};
use serde_json::Value;

use super::known::End;
use super::resource::Ledger;
use super::{extract, scope};
use crate::cluster::qualified;
use crate::run::recorder::Recorder;

/// The resource. The core group shows those of `events.k8s.io` as well, and some controllers still write to it.
pub(super) fn resource() -> ApiResource {
    scope::resource("", "v1", "Event", "events")
}

/// The ledger of events. They explain and prove nothing: what is missed of them is no gap.
#[derive(Debug)]
pub(super) struct Notices {
    recorder: Recorder,
    /// How often each event was said so far, by its UID; none before the first list, which is of what was before the run.
    said: Option<HashMap<String, u32>>,
}

/// An event.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    uid: String,
    notice: Notice,
}

impl Notices {
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, said: None }
    }

    /// Whether this is said for the first time, or again.
    fn is_new(&mut self, said: &Said) -> bool {
        let before = self.said.get_or_insert_default().insert(said.uid.clone(), said.notice.count);
        before.is_none_or(|before| before < said.notice.count)
    }
}

impl Ledger for Notices {
    type Item = Said;

    fn read(&self, event: &DynamicObject, _: &ApiResource) -> Option<Said> {
        said(event)
    }

    fn listed(&mut self, items: Vec<Said>, _: &str) {
        let Some(known) = &mut self.said else {
            self.said = Some(items.into_iter().map(|item| (item.uid, item.notice.count)).collect());
            return;
        };
        let listed: HashSet<&str> = items.iter().map(|item| item.uid.as_str()).collect();
        known.retain(|uid, _| listed.contains(uid.as_str()));
        for item in items {
            self.changed(item);
        }
    }

    fn changed(&mut self, item: Said) {
        if self.is_new(&item) {
            self.recorder.emit(EventKind::Notice(Box::new(item.notice)));
        }
    }

    fn gone(&mut self, item: Said) {
        self.said.iter_mut().for_each(|said| _ = said.remove(&item.uid));
    }

    fn alive(&mut self) {}

    fn differs(&self, _: &[Said]) -> bool {
        false
    }

    fn ended(&mut self, _: End<'_>) {}
}

/// What an event says; none if it is about something of the cluster's own.
fn said(event: &DynamicObject) -> Option<Said> {
    let data = &event.data;
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let namespace = text("/involvedObject/namespace");
    if namespace.is_some_and(scope::is_clusters_own) {
        return None;
    }
    let object = qualified(namespace, text("/involvedObject/name")?);
    // Old ones count themselves, new ones have a series.
    let counts = ["/count", "/series/count"].map(|pointer| data.pointer(pointer).and_then(Value::as_u64));
    let count = counts.into_iter().flatten().max().unwrap_or(1).max(1);
    let notice = Notice {
        object: format!("{}/{object}", text("/involvedObject/kind")?.to_lowercase()),
        warning: text("/type") == Some("Warning"),
        reason: text("/reason").unwrap_or_default().to_owned(),
        message: extract::message(text("/message").unwrap_or_default().trim()),
        count: u32::try_from(count).unwrap_or(u32::MAX),
        reporter: text("/reportingComponent").or(text("/source/component")).unwrap_or_default().to_owned(),
    };
    Some(Said { uid: event.uid()?, notice })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tape;
    use super::*;
    use rstest::rstest;

    fn event(uid: &str, rest: &str) -> DynamicObject {
        let yaml = format!(
            "
apiVersion: v1
kind: Event
metadata: {{name: apps.1, namespace: flux-system, uid: {uid}}}
involvedObject: {{kind: Kustomization, namespace: flux-system, name: apps}}
{rest}"
        );
        serde_yaml::from_str(&yaml).unwrap()
    }

    const FAILED: &str = "
type: Warning
reason: HealthCheckFailed
message: 'health check failed after 30s: timeout waiting for: [Deployment/apps/web status: InProgress]'
source: {component: kustomize-controller}
reportingComponent: kustomize-controller
";

    #[test]
    fn an_event_of_flux() {
        let said = said(&event("u-1", &format!("{FAILED}\ncount: 3"))).unwrap();
        insta::assert_json_snapshot!(said.notice, @r#"
        {
          "object": "kustomization/flux-system/apps",
          "warning": true,
          "reason": "HealthCheckFailed",
          "message": "health check failed after 30s: timeout waiting for: [Deployment/apps/web status: InProgress]",
          "count": 3,
          "reporter": "kustomize-controller"
        }
        "#);
    }

    #[rstest]
    #[case::none("", 1)]
    #[case::zero("count: 0", 1)]
    #[case::old("count: 4", 4)]
    #[case::new("series: {count: 5, lastObservedTime: '2026-01-01T00:00:00.000000Z'}", 5)]
    fn counts(#[case] rest: &str, #[case] expected: u32) {
        assert_eq!(said(&event("u-1", rest)).unwrap().notice.count, expected);
    }

    #[rstest]
    #[case::cluster_wide("{kind: Node, name: ferry-control-plane}", Some("node/ferry-control-plane"))]
    #[case::system("{kind: Pod, namespace: kube-system, name: coredns}", None)]
    #[case::nothing("{}", None)]
    fn is_about_an_object(#[case] about: &str, #[case] expected: Option<&str>) {
        let yaml = format!("{{apiVersion: v1, kind: Event, metadata: {{uid: u-1}}, involvedObject: {about}}}");
        let said = said(&serde_yaml::from_str(&yaml).unwrap());
        assert_eq!(said.map(|said| said.notice.object).as_deref(), expected);
    }

    #[test]
    fn only_what_is_said_during_the_run_is_told_and_each_time_once() {
        let tape = Tape::start();
        let mut notices = Notices::new(tape.recorder());
        let of = |uid: &str, count: u32| said(&event(uid, &format!("reason: R\ncount: {count}"))).unwrap();
        notices.listed(vec![of("before", 7)], "");
        notices.changed(of("before", 7));
        notices.changed(of("before", 8));
        notices.changed(of("new", 1));
        notices.gone(of("new", 1));
        notices.listed(vec![of("before", 8), of("meanwhile", 2)], "lost");
        let told: Vec<u32> = tape
            .events()
            .into_iter()
            .map(|event| match event {
                EventKind::Notice(notice) => notice.count,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [8, 1, 2]);
    }
}

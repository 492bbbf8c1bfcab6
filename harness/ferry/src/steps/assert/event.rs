//! What controllers have said about an object.

use ferry_scenario::steps::EventSeen;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::watcher;
use serde_json::Value;

use crate::cluster::watch::{self, Inventory};
use crate::steps::Context;
use crate::wait::Check;

/// Events about the object that a reason shows.
const SHOWN: usize = 3;

pub(super) async fn stream<'a>(wanted: &'a EventSeen, cx: &'a Context<'_>) -> BoxStream<'a, Check> {
    let object = &wanted.of.value;
    // Events name kinds as the API server does. A kind that is not served (yet) is compared as it was written.
    let kind = match cx.cluster.kinds.resolve(&object.kind).await {
        Ok(resource) => resource.kind,
        Err(_) => object.kind.split('.').next().unwrap_or_default().to_owned(),
    };
    let since = run_began(cx);
    // Those about cluster-wide objects are in the namespace default.
    let namespace = Some(object.namespace.as_deref().unwrap_or("default"));
    let about = watcher::Config::default().fields(&format!("involvedObject.name={}", object.name));
    watch::selected(cx.cluster, "event", namespace, about, move |all| seen(all, &kind, since, wanted)).boxed()
}

/// When the run began; Kubernetes notes events by whole seconds.
fn run_began(cx: &Context<'_>) -> Timestamp {
    let nanos = i64::try_from(cx.recorder.clock().now()).unwrap_or(i64::MAX);
    let began = Timestamp::now().checked_sub(SignedDuration::from_nanos(nanos)).unwrap_or(Timestamp::MIN);
    Timestamp::from_second(began.as_second()).unwrap_or(Timestamp::MIN)
}

fn seen(all: &Inventory, kind: &str, since: Timestamp, wanted: &EventSeen) -> Check {
    let is_about = |event: &&Value| {
        let involved = event.pointer("/involvedObject/kind").and_then(Value::as_str).unwrap_or_default();
        involved.eq_ignore_ascii_case(kind) && last_seen(event).is_none_or(|at| at >= since)
    };
    let mut about: Vec<&Value> = all.values().filter(is_about).collect();
    about.sort_by_key(|event| last_seen(event));
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let fits = |event: &&&Value| {
        wanted.r#type.is_none_or(|kind| text(event, "type") == kind.as_str())
            && wanted.reason.as_ref().is_none_or(|reason| text(event, "reason") == *reason)
            && wanted.contains.as_ref().is_none_or(|part| text(event, "message").contains(part))
    };
    let shown = |event: &Value| {
        let message = text(event, "message");
        let message: String = message.chars().take(120).collect::<String>().replace('\n', " ");
        format!("{} {}: {}", text(event, "type"), text(event, "reason"), message.trim())
    };
    if let Some(event) = about.iter().rev().find(fits) {
        return Check::Met(shown(event));
    }
    let last: Vec<String> = about.iter().rev().take(SHOWN).map(|event| shown(event)).collect();
    Check::NotYet(match about.len() {
        0 => "no event about it yet".into(),
        1 => format!("no such event; the only one: {}", last.join("")),
        n => format!("no such event among {n}; the last ones: {}", last.join(" | ")),
    })
}

/// When an event last happened, by whichever of its times is set.
fn last_seen(event: &Value) -> Option<Timestamp> {
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    times.iter().find_map(|time| event.pointer(time)?.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::tests::parsed;
    use ferry_scenario::steps::{Assert, Fact};
    use rstest::rstest;
    use serde_json::json;

    fn events() -> Inventory {
        let event = |kind: &str, second: u32, level: &str, reason: &str, message: &str| {
            json!({"involvedObject": {"kind": kind, "name": "apps"}, "type": level, "reason": reason, "message": message,
                   "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z"), "eventTime": null})
        };
        [
            event("Kustomization", 1, "Normal", "Old", "from before the run"),
            event("Kustomization", 10, "Normal", "Progressing", "applying"),
            event("Kustomization", 11, "Warning", "HealthCheckFailed", "health check failed after 1s"),
            event(
                "Kustomization",
                12,
                "Normal",
                "ReconciliationSucceeded",
                "Reconciliation finished in 1s,\nnext run in 1m",
            ),
            event("HelmRelease", 12, "Normal", "InstallSucceeded", "installed"),
        ]
        .into_iter()
        .enumerate()
        .map(|(i, event)| (("event".to_owned(), format!("flux-system/apps.{i}")), event))
        .collect()
    }

    #[rstest]
    #[case::reason("reason: Progressing", Check::Met("Normal Progressing: applying".into()))]
    #[case::message("contains: next run", Check::Met("Normal ReconciliationSucceeded: Reconciliation finished in 1s, next run in 1m".into()))]
    #[case::kind("type: Warning", Check::Met("Warning HealthCheckFailed: health check failed after 1s".into()))]
    #[case::all("type: Normal, reason: HealthCheckFailed", Check::NotYet("no such event among 3; the last ones: Normal ReconciliationSucceeded: Reconciliation finished in 1s, next run in 1m | Warning HealthCheckFailed: health check failed after 1s | Normal Progressing: applying".into()))]
    fn finds_events(#[case] wanted: &str, #[case] expected: Check) {
        assert_eq!(
            seen(&events(), "Kustomization", "2026-01-01T00:00:05Z".parse().unwrap(), &wanted_event(wanted)),
            expected
        );
    }

    #[test]
    fn events_of_others_and_from_before_are_none() {
        let since = "2026-01-01T00:00:05Z".parse().unwrap();
        let about = |kind: &str, wanted: &str| seen(&events(), kind, since, &wanted_event(wanted));
        assert_eq!(about("GitRepository", "reason: X"), Check::NotYet("no event about it yet".into()));
        assert_eq!(
            about("helmrelease", "reason: Old"),
            Check::NotYet("no such event; the only one: Normal InstallSucceeded: installed".into())
        );
        assert!(matches!(about("Kustomization", "reason: Old"), Check::NotYet(_)));
    }

    fn wanted_event(wanted: &str) -> EventSeen {
        let assert: Assert = parsed(&format!("{{event: {{of: kustomization/flux-system/apps, {wanted}}}}}"));
        let Fact::Event(event) = assert.fact else { panic!("another fact") };
        event.value
    }
}

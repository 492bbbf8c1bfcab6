//! Following a resource, request by request.

use super::super::objects::Objects;
use super::super::scope;
use super::super::testing::{Asked, Server, Stream, Tape, api_server, words};
use super::*;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

struct Run {
    server: Server,
    tape: Tape,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

fn releases(version: &str) -> ApiResource {
    scope::resource("helm.toolkit.fluxcd.io", version, "HelmRelease", "helmreleases")
}

/// Its generation is its version: each state differs from the others.
fn release(name: &str, version: u32) -> Value {
    json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "apps", "uid": format!("uid of {name}"),
                     "resourceVersion": version.to_string(), "generation": version},
    })
}

impl Run {
    fn start() -> Self {
        let (client, server) = api_server();
        let tape = Tape::start();
        let (orders, ordered) = watch::channel(Order::Follow(releases("v2")));
        let ledger = Objects::new(&releases("v2"), tape.recorder(), None);
        let task = tokio::spawn(follow(client, releases("v2"), ledger, ordered));
        Self { server, tape, orders, task }
    }

    /// Follows `a` and `b`, and watches from version 10 on.
    async fn watching() -> (Self, Stream) {
        let mut run = Self::start();
        run.asked_to_list().await.list("10", vec![release("a", 3), release("b", 4)]);
        let watch = run.asked_to_watch("10").await;
        (run, watch.stream())
    }

    async fn asked_to_list(&mut self) -> Asked {
        let asked = self.server.asked().await;
        assert_eq!((asked.query.get("watch"), asked.query.contains_key("limit")), (None, true), "{}", asked.path);
        asked
    }

    async fn asked_to_watch(&mut self, from: &str) -> Asked {
        let asked = self.server.asked().await;
        assert_eq!(asked.query.get("watch").map(String::as_str), Some("true"));
        assert_eq!(asked.query.get("resourceVersion").map(String::as_str), Some(from));
        assert_eq!(asked.query.get("allowWatchBookmarks").map(String::as_str), Some("true"));
        asked
    }

    /// What was recorded after the start.
    async fn end(self) -> String {
        self.task.await.unwrap();
        let told = words(&self.tape.events());
        let start = "helmrelease/apps/a at 3\nhelmrelease/apps/b at 4\nhelmreleases.helm.toolkit.fluxcd.io started\n";
        told.strip_prefix(start).unwrap_or(&told).replace(".helm.toolkit.fluxcd.io", "")
    }

    /// As [`Run::end`], without a last look.
    async fn abandon(self) -> String {
        self.orders.send_replace(Order::Abandon);
        self.end().await.trim_end_matches("helmreleases ended: the run was cancelled").trim().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_list_comes_in_pages() {
    let mut run = Run::start();
    let page = |token: &str, object: Value| {
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "10", "continue": token},
               "items": [object]})
    };
    run.asked_to_list().await.json(200, &page("more", release("a", 3)));
    let asked = run.asked_to_list().await;
    assert_eq!(asked.query.get("continue").map(String::as_str), Some("more"));
    asked.json(200, &page("", release("b", 4)));
    run.asked_to_watch("10").await;
    assert_eq!(run.abandon().await, "");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_is_resumed_where_it_was_and_misses_nothing() {
    let (mut run, watch) = Run::watching().await;
    watch.event("MODIFIED", &release("a", 11));
    watch.event("ADDED", &release("c", 12));
    watch.break_off();
    let watch = run.asked_to_watch("12").await.stream();
    watch.event("DELETED", &release("b", 13));
    watch.bookmark("20");
    drop(watch);
    run.asked_to_watch("20").await.refuse(503, "ServiceUnavailable", "apiserver not ready");
    let watch = run.asked_to_watch("20").await.stream();
    watch.event("MODIFIED", &release("c", 21));
    drop(watch);
    run.asked_to_watch("21").await;
    insta::assert_snapshot!(run.abandon().await, @r"
    helmrelease/apps/a at 11
    helmrelease/apps/c at 12
    helmrelease/apps/b gone
    helmrelease/apps/c at 21
    ");
}

#[rstest]
#[case::told_by_event(true)]
#[case::told_at_once(false)]
#[tokio::test(start_paused = true)]
async fn a_place_that_is_forgotten_is_a_gap(#[case] by_event: bool) {
    let (mut run, watch) = Run::watching().await;
    watch.event("MODIFIED", &release("a", 11));
    watch.break_off();
    let asked = run.asked_to_watch("11").await;
    if by_event {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
                            "reason": "Expired", "message": "too old resource version: 11 (40)"});
        asked.stream().event("ERROR", &status);
    } else {
        asked.refuse(410, "Expired", "too old resource version: 11 (40)");
    }
    run.asked_to_list().await.refuse(500, "InternalError", "etcdserver: leader changed");
    run.asked_to_list().await.list("41", vec![release("a", 11), release("c", 30)]);
    run.asked_to_watch("41").await;
    let told = run.abandon().await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(told, @r"
        helmrelease/apps/a at 11
        gap: too old resource version: 11 (40) (Expired)
        helmrelease/apps/b gone (late)
        helmrelease/apps/c at 30
        ");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_begins_with_the_last_sign_of_life() {
    let (mut run, watch) = Run::watching().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    watch.bookmark("15");
    // Until here the watch was alive; then it hangs, until it is overdue.
    let asked = run.asked_to_watch("15").await;
    asked.refuse(410, "Expired", "too old");
    run.asked_to_list().await.list("41", vec![]);
    run.asked_to_watch("41").await;
    run.orders.send_replace(Order::Abandon);
    run.task.await.unwrap();
    let gap = run.tape.events().into_iter().find_map(|event| match event {
        ferry_record::EventKind::WatchGap { from, to, .. } => Some((from / 1_000_000_000, to / 1_000_000_000)),
        _ => None,
    });
    assert_eq!(gap, Some((10, 20)));
}

#[tokio::test(start_paused = true)]
async fn another_version_is_followed_from_the_same_place() {
    let (mut run, watch) = Run::watching().await;
    watch.event("MODIFIED", &release("a", 11));
    drop(watch);
    let asked = run.asked_to_watch("11").await;
    assert_eq!(asked.path, "/apis/helm.toolkit.fluxcd.io/v2/helmreleases");
    run.orders.send_replace(Order::Follow(releases("v3")));
    let asked = run.asked_to_watch("11").await;
    assert_eq!(asked.path, "/apis/helm.toolkit.fluxcd.io/v3/helmreleases");
    assert_eq!(run.abandon().await, "helmrelease/apps/a at 11");
}

#[tokio::test(start_paused = true)]
async fn with_its_definition_all_objects_are_gone() {
    let (run, _watch) = Run::watching().await;
    run.orders.send_replace(Order::Gone);
    insta::assert_snapshot!(run.end().await, @r"
    helmrelease/apps/a gone (late)
    helmrelease/apps/b gone (late)
    helmreleases ended: its definition is gone
    ");
}

#[tokio::test(start_paused = true)]
async fn the_last_look_waits_for_what_is_on_its_way() {
    let (mut run, watch) = Run::watching().await;
    run.orders.send_replace(Order::Over);
    drop(watch);
    let watch = run.asked_to_watch("10").await.stream();
    // The list is ahead of the watch, which catches up.
    run.asked_to_list().await.list("12", vec![release("a", 3), release("b", 12)]);
    let asked = run.asked_to_watch("10").await;
    drop(watch);
    let watch = asked.stream();
    watch.event("MODIFIED", &release("b", 12));
    run.asked_to_list().await.list("12", vec![release("a", 3), release("b", 12)]);
    insta::assert_snapshot!(run.end().await, @r"
    helmrelease/apps/b at 12
    helmreleases ended: the run is over
    ");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_hangs_at_the_end_is_a_gap() {
    let (mut run, _watch) = Run::watching().await;
    run.orders.send_replace(Order::Over);
    let mut open = vec![];
    for _ in 0..LOOKS {
        open.push(run.asked_to_watch("10").await.stream());
        run.asked_to_list().await.list("12", vec![release("b", 12)]);
    }
    insta::assert_snapshot!(run.end().await, @r"
    gap: the watch was behind when the run ended
    helmrelease/apps/a gone (late)
    helmrelease/apps/b at 12
    helmreleases ended: the run is over
    ");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_at_the_end_is_a_gap() {
    let (run, _watch) = Run::watching().await;
    let Run { server, tape, orders, task } = run;
    orders.send_replace(Order::Over);
    task.await.unwrap();
    drop(server);
    insta::assert_snapshot!(words(&tape.events()), @r"
    helmrelease/apps/a at 3
    helmrelease/apps/b at 4
    helmreleases.helm.toolkit.fluxcd.io started
    gap: list: no answer within 5s
    helmreleases.helm.toolkit.fluxcd.io ended: the run is over
    ");
}

#[tokio::test(start_paused = true)]
async fn what_could_never_be_listed_was_not_watched() {
    let mut run = Run::start();
    run.asked_to_list().await.refuse(403, "Forbidden", "helmreleases is forbidden");
    run.orders.send_replace(Order::Over);
    for _ in 0..3 {
        run.asked_to_list().await.refuse(403, "Forbidden", "helmreleases is forbidden");
    }
    let told = run.end().await;
    assert!(
        told.starts_with("helmreleases ended: the run is over, and it was never listed: helmreleases is"),
        "{told}"
    );
}

#[test]
fn pauses_grow_up_to_a_bound() {
    let mut backoff = Backoff::default();
    let pauses: Vec<u128> = (0..8).map(|_| backoff.next().as_millis()).collect();
    assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
}

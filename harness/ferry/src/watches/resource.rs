//! One resource, followed from its first list to the end of the run.
//!
//! A connection that breaks is resumed where it was: what happens meanwhile comes then, and nothing is missed. Only when the API
//! server no longer knows that place, as after a restart, everything is listed anew, and what came and went in between was not
//! seen: the ledger is told why. kube's own watcher does the same, but keeps to itself when it last had a sign of life.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::core::Status;
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::known::End;
use crate::cluster::in_words;

/// How long a watch is asked for, in seconds. Near its end the API server says how far it is (a bookmark), which bounds how
/// far back a gap reaches; asking anew costs it a millisecond.
const ROUND: u32 = 30;

/// A watch that says nothing for so long after its end was due hangs.
const OVERDUE: Duration = Duration::from_secs(5);

/// How long a list, or the start of a watch, may take. A machine whose cores all boot a cluster has answered after 2 s.
const ANSWER: Duration = Duration::from_secs(10);

/// Objects listed at once: all of a small fleet, and no more of a large one than fits in memory.
const PAGE: u32 = 250;

/// How long what has just happened may take to come by watch: the API server sends it within milliseconds.
const SETTLE: Duration = Duration::from_millis(200);

/// How long the last look at a resource may take altogether.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// So often the watch may be behind the last list before that counts as a gap: objects change while one looks.
const LOOKS: u32 = 5;

/// What is made of what a watch says, in order.
pub(super) trait Ledger: Send + Sync + 'static {
    /// What is kept of an object.
    type Item: Send;
    /// None if it is of no interest.
    fn read(&self, object: &DynamicObject, resource: &ApiResource) -> Option<Self::Item>;
    /// Everything as it is; `lost` says why it is listed anew, if it is.
    fn listed(&mut self, items: Vec<Self::Item>, lost: &str);
    /// One was added or changed.
    fn changed(&mut self, item: Self::Item);
    /// One was deleted.
    fn gone(&mut self, item: Self::Item);
    /// There is nothing else until now.
    fn alive(&mut self);
    /// Whether a list says other than what is known.
    fn differs(&self, items: &[Self::Item]) -> bool;
    /// Nothing follows.
    fn ended(&mut self, end: End<'_>);
}

/// What a follower is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Follow the resource in this version.
    Follow(ApiResource),
    /// Its definition is gone.
    Gone,
    /// The run is over: see that nothing was missed, and end.
    Over,
    /// The run was cancelled: end at once.
    Abandon,
}

/// Follows a resource until the orders say otherwise, or nobody is there to give any.
pub(super) async fn follow<L: Ledger>(
    client: Client,
    resource: ApiResource,
    ledger: L,
    mut orders: watch::Receiver<Order>,
) {
    let mut follower = Follower {
        client,
        resource,
        ledger,
        position: None,
        listed: false,
        lost: String::new(),
        error: String::new(),
        backoff: Backoff::default(),
    };
    loop {
        let order = orders.borrow_and_update().clone();
        match order {
            Order::Follow(resource) => {
                // The position stays: versions of a resource are views of the same objects.
                follower.resource = resource;
                tokio::select! {
                    () = follower.walk() => {}
                    changed = orders.changed() => if changed.is_err() { return },
                }
            }
            Order::Gone => return follower.ledger.ended(End::Gone),
            Order::Over => return follower.settle().await,
            Order::Abandon => return follower.ledger.ended(End::Complete { reason: "the run was cancelled" }),
        }
    }
}

struct Follower<L> {
    client: Client,
    resource: ApiResource,
    ledger: L,
    /// The resource version up to which everything was seen; none if it has to be listed (anew).
    position: Option<String>,
    listed: bool,
    /// Why the position was lost.
    lost: String,
    /// What went wrong last.
    error: String,
    backoff: Backoff,
}

/// Why a round ended before its time.
struct Broken {
    /// The API server no longer knows the position.
    expired: bool,
    why: String,
}

impl<L: Ledger> Follower<L> {
    /// Round after round. Dropped at any time, it goes on later where it was.
    async fn walk(&mut self) {
        loop {
            if let Err(broken) = self.round().await {
                if broken.expired {
                    self.position = None;
                    self.lost.clone_from(&broken.why);
                }
                self.error = broken.why;
                sleep(self.backoff.next()).await;
            }
        }
    }

    /// Lists if it has to, and watches until the API server ends it.
    async fn round(&mut self) -> Result<(), Broken> {
        let api = self.api();
        let position = match self.position.clone() {
            Some(position) => position,
            None => {
                let (position, items) = self.list(&api).await?;
                self.ledger.listed(items, &self.lost);
                self.listed = true;
                self.went_well();
                self.position.insert(position).clone()
            }
        };
        let params = WatchParams::default().timeout(ROUND);
        let opened = timeout(ANSWER, api.watch(&params, &position)).await.map_err(|_| silent("watch", ANSWER))?;
        let mut events = pin!(opened.map_err(|e| Broken::because(&e))?);
        let patience = Duration::from_secs(ROUND.into()) + OVERDUE;
        let mut said_nothing = true;
        while let Some(event) = timeout(patience, events.next()).await.map_err(|_| silent("watch", patience))? {
            match event.map_err(|e| Broken::because(&e))? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => match self.read(object) {
                    Some(item) => self.ledger.changed(item),
                    None => self.ledger.alive(),
                },
                WatchEvent::Deleted(object) => match self.read(object) {
                    Some(item) => self.ledger.gone(item),
                    None => self.ledger.alive(),
                },
                WatchEvent::Bookmark(bookmark) => {
                    self.position = Some(bookmark.metadata.resource_version);
                    self.ledger.alive();
                }
                WatchEvent::Error(status) => return Err(Broken::refused(&status)),
            }
            said_nothing = false;
            self.went_well();
        }
        if said_nothing {
            // A server that accepts watches and drops them must not be asked again without pause.
            return Err(Broken { expired: false, why: "the watch ended before anything was said".into() });
        }
        Ok(())
    }

    fn read(&mut self, object: DynamicObject) -> Option<L::Item> {
        self.position = object.resource_version().or(self.position.take());
        self.ledger.read(&object, &self.resource)
    }

    fn went_well(&mut self) {
        self.backoff = Backoff::default();
        self.error.clear();
    }

    async fn list(&self, api: &Api<DynamicObject>) -> Result<(String, Vec<L::Item>), Broken> {
        let mut params = ListParams::default().limit(PAGE);
        let mut items = vec![];
        loop {
            let page = timeout(ANSWER, api.list(&params)).await.map_err(|_| silent("list", ANSWER))?;
            let page = page.map_err(|e| Broken::because(&e))?;
            items.extend(page.items.iter().filter_map(|object| self.ledger.read(object, &self.resource)));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok((page.metadata.resource_version.unwrap_or_default(), items)),
            }
        }
    }

    /// Sees to it that everything until now is in the ledger, and ends it.
    async fn settle(mut self) {
        let reason = "the run is over";
        match timeout(LAST_LOOK, self.last_look()).await {
            Ok(Ok(())) => self.ledger.ended(End::Complete { reason }),
            Ok(Err(broken)) => self.ledger.ended(End::Blind { reason, error: &broken.why }),
            Err(_) if self.error.is_empty() => {
                self.ledger.ended(End::Blind { reason, error: &silent("list", LAST_LOOK).why });
            }
            Err(_) => self.ledger.ended(End::Blind { reason, error: &self.error }),
        }
    }

    /// A watch that hangs looks like one of a quiet resource: only a list tells them apart.
    async fn last_look(&mut self) -> Result<(), Broken> {
        let api = self.api();
        for look in 1..=LOOKS {
            // Only its end, which does not come, would tell more than that the time is over.
            let _ = timeout(SETTLE, self.walk()).await;
            let (_, items) = self.list(&api).await?;
            if !self.listed {
                self.ledger.listed(items, "");
                self.listed = true;
                return Ok(());
            }
            if !self.ledger.differs(&items) {
                return Ok(());
            }
            if look == LOOKS {
                self.ledger.listed(items, "the watch was behind when the run ended");
            }
        }
        Ok(())
    }

    fn api(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &self.resource)
    }
}

impl Broken {
    fn because(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::refused(status),
            other => Self { expired: false, why: in_words(other) },
        }
    }

    fn refused(status: &Status) -> Self {
        Self { expired: status.code == 410, why: in_words(&kube::Error::Api(Box::new(status.clone()))) }
    }
}

fn silent(what: &str, within: Duration) -> Broken {
    Broken { expired: false, why: format!("{what}: no answer within {within:?}") }
}

/// How long to wait after something went wrong: at first so short that a gap is hardly longer for it, and at last 2 s, which a
/// booting API server does not notice.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl Backoff {
    /// The pause that is due; the next is twice as long.
    pub fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Duration::from_secs(2));
        now
    }
}

#[cfg(test)]
mod tests {
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
            let start =
                "helmrelease/apps/a at 3\nhelmrelease/apps/b at 4\nhelmreleases.helm.toolkit.fluxcd.io started\n";
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
        assert_eq!(gap, Some((10, 45)));
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
}

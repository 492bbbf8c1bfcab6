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
const ROUND: u32 = 5;

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
mod story;
#[cfg(test)]
mod tests;

//! The ledger of a resource's objects: to the record, and to whoever acts upon them.

use ferry_record::EventKind;
use ferry_record::cluster::ObjectSeen;
use kube::api::{ApiResource, DynamicObject};
use tokio::sync::mpsc;

use super::known::{End, Known};
use super::resource::Ledger;
use super::{extract, scope};
use crate::run::recorder::Recorder;

/// What the supervisor of the watches is told of: definitions, and pods of Flux.
#[derive(Debug)]
pub(super) enum News {
    /// An object was first seen, or changed.
    Seen(Box<ObjectSeen>),
    /// An object is gone, by its name in the record.
    Gone(String),
}

/// The ledger.
#[derive(Debug)]
pub(super) struct Objects {
    known: Known,
    recorder: Recorder,
    told: Option<mpsc::UnboundedSender<News>>,
}

impl Objects {
    pub fn new(resource: &ApiResource, recorder: Recorder, told: Option<mpsc::UnboundedSender<News>>) -> Self {
        Self { known: Known::new(scope::named(resource)), recorder, told }
    }

    fn say(&self, events: Vec<EventKind>) {
        for event in events {
            if let Some(told) = &self.told {
                let news = match &event {
                    EventKind::Object(seen) => Some(News::Seen(seen.clone())),
                    EventKind::ObjectGone { object, .. } => Some(News::Gone(object.clone())),
                    _ => None,
                };
                // At the end of the run nobody listens any more.
                news.into_iter().for_each(|news| _ = told.send(news));
            }
            self.recorder.emit(event);
        }
    }

    fn now(&self) -> ferry_record::Nanos {
        self.recorder.clock().now()
    }
}

impl Ledger for Objects {
    type Item = ObjectSeen;

    fn read(&self, object: &DynamicObject, resource: &ApiResource) -> Option<ObjectSeen> {
        let kept = scope::keeps(object, resource) || self.known.contains(&extract::name(object, resource));
        kept.then(|| extract::seen(object, resource))
    }

    fn listed(&mut self, items: Vec<ObjectSeen>, lost: &str) {
        let events = self.known.listed(self.now(), items, lost);
        self.say(events);
    }

    fn changed(&mut self, item: ObjectSeen) {
        let events = self.known.changed(self.now(), item);
        self.say(events);
    }

    fn gone(&mut self, item: ObjectSeen) {
        let events = self.known.gone(self.now(), &item.object);
        self.say(events);
    }

    fn alive(&mut self) {
        self.known.alive(self.now());
    }

    fn differs(&self, items: &[ObjectSeen]) -> bool {
        self.known.differs(items)
    }

    fn ended(&mut self, end: End<'_>) {
        let events = self.known.ended(self.now(), end);
        self.say(events);
    }
}

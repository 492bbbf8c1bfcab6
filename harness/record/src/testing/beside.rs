//! What the watches see of a second cluster.

use super::{Record, SECOND, api};
use crate::cluster::ObjectSeen;
use crate::event::{ClusterInfo, EventKind};

impl Record {
    /// Several clusters, and the probes that ask each. All else is told of the first, unless it says so.
    pub fn clusters(mut self, clusters: &[(&str, &[&str])]) -> Self {
        let info = |(name, probes): &(&str, &[&str])| ClusterInfo {
            name: (*name).to_owned(),
            probes: probes.iter().map(|probe| (*probe).to_owned()).collect(),
        };
        self.started.clusters = clusters.iter().map(info).collect();
        self
    }

    /// The resources that matter are watched there from 3 s on.
    pub fn watched_beside(self, cluster: &str) -> Self {
        let watch = |record: Self, resource: &&str| {
            let kind = EventKind::WatchStarted { resource: (*resource).to_owned() };
            record.with(3 * SECOND, kind.beside(cluster))
        };
        crate::invariants::WATCHED.iter().fold(self, watch)
    }

    /// An object there is seen, with the UID `cluster:object#1`.
    pub fn beside(self, t: u64, cluster: &str, object: &str, change: impl FnOnce(&mut ObjectSeen)) -> Self {
        let uid = format!("{cluster}:{object}#1");
        let mut seen = ObjectSeen { object: object.into(), api: api(object).into(), uid, ..Default::default() };
        change(&mut seen);
        self.with(t, EventKind::Object(Box::new(seen)).beside(cluster))
    }

    /// It is gone.
    pub fn gone_beside(self, t: u64, cluster: &str, object: &str) -> Self {
        let uid = format!("{cluster}:{object}#1");
        let kind = EventKind::ObjectGone { object: object.into(), uid, late: false };
        self.with(t, kind.beside(cluster))
    }
}

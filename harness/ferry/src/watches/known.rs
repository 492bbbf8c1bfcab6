//! What is known of a resource's objects, and what the record has to be told when more is learnt.
//!
//! Pure: it is told what lists and watches say, with the time, and answers with events. Three things always hold. The last
//! line about an object is its state. An object that was there and is no more has a line that says so, however it was found
//! out. And there is a gap if, and only if, the objects had to be listed anew.

use std::collections::{BTreeMap, BTreeSet};

use ferry_record::cluster::ObjectSeen;
use ferry_record::{EventKind, Nanos};

/// The objects of one resource.
#[derive(Debug)]
pub struct Known {
    /// With its group, e.g. `deployments.apps`.
    resource: String,
    /// As [`comparable`], by name.
    objects: BTreeMap<String, ObjectSeen>,
    /// Everything up to here was seen. None before the first list.
    complete: Option<Nanos>,
}

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<'a> {
    /// All of it was seen.
    Complete {
        /// Why it ended.
        reason: &'a str,
    },
    /// It was not connected, or how it stands could not be found out.
    Blind {
        /// Why it ended.
        reason: &'a str,
        /// Why it could not see.
        error: &'a str,
    },
    /// The resource itself is gone, and with it all of its objects.
    Gone,
}

impl Known {
    /// Nothing is known yet.
    pub fn new(resource: String) -> Self {
        Self { resource, objects: BTreeMap::new(), complete: None }
    }

    /// Whether an object is known by this name.
    pub fn contains(&self, object: &str) -> bool {
        self.objects.contains_key(object)
    }

    /// The watch is alive, and has said everything until now.
    pub fn alive(&mut self, now: Nanos) {
        if let Some(complete) = &mut self.complete {
            *complete = now;
        }
    }

    /// An object was added or changed.
    pub fn changed(&mut self, now: Nanos, seen: ObjectSeen) -> Vec<EventKind> {
        self.alive(now);
        let mut events = vec![];
        self.learn(seen, &mut events);
        events
    }

    /// An object was deleted.
    pub fn gone(&mut self, now: Nanos, object: &str) -> Vec<EventKind> {
        self.alive(now);
        self.objects.remove(object).map(|seen| gone(seen, false)).into_iter().collect()
    }

    /// All objects as they are now; `lost` says why they are listed anew, if they are.
    pub fn listed(&mut self, now: Nanos, listed: Vec<ObjectSeen>, lost: &str) -> Vec<EventKind> {
        let mut events = vec![];
        if let Some(from) = self.complete {
            let (resource, reason) = (self.resource.clone(), lost.to_owned());
            events.push(EventKind::WatchGap { resource, from, to: now, reason, kept: self.keeps(&listed) });
        }
        let names: BTreeSet<&str> = listed.iter().map(|seen| seen.object.as_str()).collect();
        let vanished = self.objects.extract_if(.., |name, _| !names.contains(name.as_str()));
        events.extend(vanished.map(|(_, seen)| gone(seen, true)));
        for seen in listed {
            self.learn(seen, &mut events);
        }
        if self.complete.is_none() {
            events.push(EventKind::WatchStarted { resource: self.resource.clone() });
        }
        self.complete = Some(now);
        events
    }

    /// Whether a list still has every object that is known, whatever became of its content. What it has besides is new.
    fn keeps(&self, listed: &[ObjectSeen]) -> bool {
        let listed: BTreeMap<&str, &str> =
            listed.iter().map(|seen| (seen.object.as_str(), seen.uid.as_str())).collect();
        self.objects.values().all(|known| listed.get(known.object.as_str()) == Some(&known.uid.as_str()))
    }

    /// Whether a list says other than what is known.
    pub fn differs(&self, listed: &[ObjectSeen]) -> bool {
        listed.len() != self.objects.len()
            || listed.iter().any(|seen| self.objects.get(&seen.object) != Some(&comparable(seen)))
    }

    /// The watch is over.
    pub fn ended(&mut self, now: Nanos, end: End<'_>) -> Vec<EventKind> {
        let mut events = vec![];
        let reason = match end {
            End::Complete { reason } => reason.to_owned(),
            End::Blind { reason, error } => match self.complete {
                Some(from) => {
                    let resource = self.resource.clone();
                    events.push(EventKind::WatchGap { resource, from, to: now, reason: error.to_owned(), kept: false });
                    reason.to_owned()
                }
                None => format!("{reason}, and it was never listed: {error}"),
            },
            End::Gone => {
                events.extend(std::mem::take(&mut self.objects).into_values().map(|seen| gone(seen, true)));
                "its definition is gone".to_owned()
            }
        };
        events.push(EventKind::WatchEnded { resource: self.resource.clone(), reason });
        events
    }

    fn learn(&mut self, seen: ObjectSeen, events: &mut Vec<EventKind>) {
        let new = comparable(&seen);
        match self.objects.insert(seen.object.clone(), new) {
            Some(old) if old.uid != seen.uid => events.push(gone(old, true)),
            Some(old) if self.objects.get(&seen.object) == Some(&old) => return,
            _ => {}
        }
        events.push(EventKind::Object(Box::new(seen)));
    }
}

/// Without what changes with every heartbeat of a controller: it would fill the record, and no rule reads it.
fn comparable(seen: &ObjectSeen) -> ObjectSeen {
    let mut seen = seen.clone();
    seen.resource_version.clear();
    // A write to the object itself is of interest even where it changed nothing else that is kept.
    for manager in seen.managers.iter_mut().filter(|manager| !manager.subresource.is_empty()) {
        manager.time.clear();
    }
    seen
}

fn gone(seen: ObjectSeen, late: bool) -> EventKind {
    EventKind::ObjectGone { object: seen.object, uid: seen.uid, late }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_record::cluster::{Condition, Manager};
    use proptest::prelude::*;
    use rstest::rstest;

    fn seen(name: &str, uid: u32, version: u32, state: u8) -> ObjectSeen {
        ObjectSeen {
            object: name.into(),
            uid: uid.to_string(),
            resource_version: version.to_string(),
            generation: Some(state.into()),
            ..ObjectSeen::default()
        }
    }

    /// Events in few words.
    fn words(events: &[EventKind]) -> String {
        let one = |event: &EventKind| match event {
            EventKind::Object(seen) => format!("{} of {}", seen.object, seen.uid),
            EventKind::ObjectGone { object, uid, late: false } => format!("{object} of {uid} gone"),
            EventKind::ObjectGone { object, uid, late: true } => format!("{object} of {uid} gone (late)"),
            EventKind::WatchStarted { resource } => format!("{resource} started"),
            EventKind::WatchGap { from, to, reason, .. } => format!("gap {from}-{to}: {reason}"),
            EventKind::WatchEnded { reason, .. } => format!("ended: {reason}"),
            other => format!("{other:?}"),
        };
        events.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn known(listed: Vec<ObjectSeen>) -> Known {
        let mut known = Known::new("pods".into());
        known.listed(10, listed, "");
        known
    }

    #[test]
    fn the_first_list_is_the_start() {
        let mut known = Known::new("pods".into());
        let events = known.listed(10, vec![seen("a", 1, 1, 0), seen("b", 2, 2, 0)], "");
        assert_eq!(words(&events), "a of 1; b of 2; pods started");
    }

    #[test]
    fn a_change_is_told_and_a_heartbeat_is_not() {
        let mut known = known(vec![seen("a", 1, 1, 0)]);
        assert_eq!(words(&known.changed(11, seen("a", 1, 2, 0))), "");
        assert_eq!(words(&known.changed(12, seen("a", 1, 3, 1))), "a of 1");
        assert_eq!(words(&known.changed(13, seen("b", 2, 4, 0))), "b of 2");
        assert_eq!(words(&known.gone(14, "a")), "a of 1 gone");
        assert_eq!(words(&known.gone(15, "never seen")), "");
    }

    #[rstest]
    #[case::status("status", 0)]
    #[case::object("", 1)]
    fn a_write_counts_by_what_it_wrote(#[case] subresource: &str, #[case] lines: usize) {
        let written = |time: &str| {
            let [name, operation, fields] = ["m", "Apply", "f"].map(String::from);
            let (subresource, time) = (subresource.into(), time.into());
            ObjectSeen { managers: vec![Manager { name, operation, subresource, time, fields }], ..seen("a", 1, 1, 0) }
        };
        let mut known = known(vec![written("2026-01-01T00:00:00Z")]);
        assert_eq!(known.changed(11, written("2026-01-01T00:00:01Z")).len(), lines);
    }

    #[test]
    fn a_condition_that_changes_is_told() {
        let with = |message: &str| {
            let [kind, status, reason] = ["Ready", "True", "Succeeded"].map(String::from);
            ObjectSeen {
                conditions: vec![Condition { kind, status, reason, message: message.into() }],
                ..seen("a", 1, 1, 0)
            }
        };
        let mut known = known(vec![with("one")]);
        assert_eq!(known.changed(11, with("one")).len(), 0);
        assert_eq!(known.changed(11, with("two")).len(), 1);
    }

    #[test]
    fn a_new_list_is_a_gap_from_the_last_sign_of_life_and_finds_what_vanished() {
        let mut known = known(vec![seen("a", 1, 1, 0), seen("b", 2, 2, 0), seen("c", 3, 3, 0)]);
        known.alive(50);
        let events = known.listed(90, vec![seen("a", 1, 1, 0), seen("c", 4, 9, 0), seen("d", 5, 8, 0)], "too old");
        assert_eq!(words(&events), "gap 50-90: too old; b of 2 gone (late); c of 3 gone (late); c of 4; d of 5");
        assert_eq!(words(&known.listed(95, vec![], "again")), {
            "gap 90-95: again; a of 1 gone (late); c of 4 gone (late); d of 5 gone (late)"
        });
    }

    #[rstest]
    #[case::the_same(vec![seen("a", 1, 7, 0), seen("b", 2, 2, 0)], true)]
    #[case::another_besides(vec![seen("a", 1, 1, 0), seen("b", 2, 2, 0), seen("c", 3, 3, 0)], true)]
    #[case::one_less(vec![seen("a", 1, 1, 0)], false)]
    #[case::another_of_its_name(vec![seen("a", 1, 1, 0), seen("b", 9, 9, 0)], false)]
    fn a_list_keeps_what_is_known(#[case] listed: Vec<ObjectSeen>, #[case] kept: bool) {
        assert_eq!(known(vec![seen("a", 1, 1, 0), seen("b", 2, 2, 0)]).keeps(&listed), kept);
        assert!(known(vec![]).keeps(&listed), "who knew nothing misses nothing");
    }

    #[rstest]
    #[case::complete(End::Complete { reason: "the run is over" }, "ended: the run is over")]
    #[case::blind(End::Blind { reason: "the run is over", error: "refused" }, "gap 10-20: refused; ended: the run is over")]
    #[case::gone(End::Gone, "a of 1 gone (late); ended: its definition is gone")]
    fn ends(#[case] end: End<'_>, #[case] expected: &str) {
        assert_eq!(words(&known(vec![seen("a", 1, 1, 0)]).ended(20, end)), expected);
    }

    #[test]
    fn what_was_never_listed_has_no_gap_but_says_why() {
        let mut known = Known::new("pods".into());
        let events = known.ended(20, End::Blind { reason: "the run is over", error: "forbidden" });
        assert_eq!(words(&events), "ended: the run is over, and it was never listed: forbidden");
    }

    #[test]
    fn a_list_that_says_the_same_does_not_differ() {
        let known = known(vec![seen("a", 1, 1, 0)]);
        assert!(!known.differs(&[seen("a", 1, 7, 0)]));
        assert!(known.differs(&[seen("a", 2, 7, 0)]));
        assert!(known.differs(&[]));
        assert!(known.differs(&[seen("a", 1, 1, 0), seen("b", 2, 2, 0)]));
    }

    /// What happens to a cluster, and to the watch of it.
    #[derive(Debug, Clone)]
    enum Happens {
        Write(usize, u8),
        Delete(usize),
        /// The watch is blind from here until the next list.
        Lost,
        List,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            4 => (0_usize..4, 0_u8..3).prop_map(|(name, state)| Happens::Write(name, state)),
            2 => (0_usize..4).prop_map(Happens::Delete),
            1 => Just(Happens::Lost),
            1 => Just(Happens::List),
        ]
    }

    /// A cluster of up to four objects: by name, their uid and state.
    type Truth = BTreeMap<String, (u32, u8)>;

    fn list(truth: &Truth) -> Vec<ObjectSeen> {
        truth.iter().map(|(name, (uid, state))| seen(name, *uid, 0, *state)).collect()
    }

    proptest! {
        /// Whatever happens and whenever the watch is lost: who reads the record knows what is there after each list, never
        /// believes in an object that is gone, and is told of a gap each time, and only then, that something was listed anew.
        #[test]
        fn the_record_follows_the_cluster(story in proptest::collection::vec(happens(), 0..80)) {
            let names = ["a", "b", "c", "d"];
            let (mut truth, mut read) = (Truth::new(), Truth::new());
            let (mut next_uid, mut now, mut blind, mut relists, mut gaps) = (0, 10, false, 0, 0);
            let mut known = Known::new("pods".into());
            known.listed(now, vec![], "");
            for step in story.into_iter().chain([Happens::List]) {
                now += 1;
                let events = match step {
                    Happens::Write(name, state) => {
                        let object = truth.entry(names[name].into()).or_insert_with(|| {
                            next_uid += 1;
                            (next_uid, state)
                        });
                        object.1 = state;
                        let (uid, state) = *object;
                        if blind { vec![] } else { known.changed(now, seen(names[name], uid, 0, state)) }
                    }
                    Happens::Delete(name) => match truth.remove(names[name]) {
                        Some(_) if !blind => known.gone(now, names[name]),
                        _ => vec![],
                    },
                    Happens::Lost => {
                        blind = true;
                        vec![]
                    }
                    Happens::List => {
                        (blind, relists) = (false, relists + 1);
                        known.listed(now, list(&truth), "lost")
                    }
                };
                for event in events {
                    match event {
                        EventKind::Object(seen) => {
                            let state = (seen.uid.parse().unwrap(), u8::try_from(seen.generation.unwrap()).unwrap());
                            let before = read.insert(seen.object.clone(), state);
                            // One that takes the place of another is told after the other's end.
                            prop_assert!(before.is_none_or(|(uid, _)| uid == state.0));
                        }
                        EventKind::ObjectGone { object, uid, .. } => {
                            let before = read.remove(&object);
                            prop_assert_eq!(before.map(|(uid, _)| uid.to_string()), Some(uid));
                        }
                        EventKind::WatchGap { from, to, .. } => {
                            prop_assert!(from < to && to == now);
                            gaps += 1;
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                if !blind {
                    prop_assert_eq!(&read, &truth);
                    prop_assert!(!known.differs(&list(&truth)));
                }
            }
            prop_assert_eq!(gaps, relists);
        }
    }
}

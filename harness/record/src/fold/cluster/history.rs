//! One object's life as it was seen.

use std::collections::VecDeque;

use crate::cluster::ObjectSeen;
use crate::event::Nanos;

/// States kept of one object. Who has more is in a fight, which the first and the latest hundred prove as well.
const MAX_STATES: usize = 200;

/// Times of writes kept of one object.
const MAX_WRITES: usize = 64;

/// An object at some time, until its next state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// From when on.
    pub at: Nanos,
    /// How it was; `None`: it was gone.
    pub seen: Option<ObjectSeen>,
    /// Only a new list told that it is gone: it went at some time within the gap before.
    pub late: bool,
}

/// Everything seen of the objects that had one name.
#[derive(Debug, Clone, Default)]
pub struct History {
    states: Vec<State>,
    writes: VecDeque<Nanos>,
    forgotten: u64,
}

impl History {
    /// States in order, one for each change that matters: the resource version and the generation that was acted on are
    /// kept up to date without a state of their own.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// States within the history that were too many to keep.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How it is now; `None` when it is gone.
    pub fn now(&self) -> Option<&ObjectSeen> {
        self.states.last()?.seen.as_ref()
    }

    /// How it was last, gone or not.
    pub fn last(&self) -> Option<&ObjectSeen> {
        self.states.iter().rev().find_map(|state| state.seen.as_ref())
    }

    /// How it was at a moment; `None` when it was not there, or not known of yet.
    pub fn at(&self, t: Nanos) -> Option<&ObjectSeen> {
        let until = self.states.partition_point(|state| state.at <= t);
        self.states[..until].last()?.seen.as_ref()
    }

    /// How it was last at a moment or before, gone or not.
    pub fn last_at(&self, t: Nanos) -> Option<&ObjectSeen> {
        let until = self.states.partition_point(|state| state.at <= t);
        self.states[..until].iter().rev().find_map(|state| state.seen.as_ref())
    }

    /// States that began after a moment.
    pub fn after(&self, t: Nanos) -> &[State] {
        &self.states[self.states.partition_point(|state| state.at <= t)..]
    }

    /// When the object that had a UID was seen for the last time, at the latest: when its deletion was asked for, or else
    /// when it was gone or another was in its place.
    pub fn end_of(&self, uid: &str) -> Option<Nanos> {
        let of = |state: &State| state.seen.as_ref().is_some_and(|seen| seen.uid == uid);
        let first = self.states.iter().position(of)?;
        self.states[first..]
            .iter()
            .find(|state| !of(state) || state.seen.as_ref().is_some_and(|seen| seen.deleting.is_some()))
            .map(|state| state.at)
    }

    /// Times of the latest writes, up to 64.
    pub fn writes(&self) -> impl DoubleEndedIterator<Item = Nanos> {
        self.writes.iter().copied()
    }

    pub(super) fn see(&mut self, t: Nanos, seen: &ObjectSeen) {
        let mut seen = seen.clone();
        if self.now().is_none_or(|last| last.resource_version != seen.resource_version) {
            self.wrote(t);
        }
        if let Some(State { seen: Some(last), .. }) = self.states.last_mut() {
            let version = std::mem::replace(&mut seen.resource_version, last.resource_version.clone());
            let observed = std::mem::replace(&mut seen.observed_generation, last.observed_generation);
            let same = *last == seen;
            (seen.resource_version, seen.observed_generation) = (version, observed);
            if same {
                *last = seen;
                return;
            }
        }
        self.push(State { at: t, seen: Some(seen), late: false });
    }

    pub(super) fn gone(&mut self, t: Nanos, uid: &str, late: bool) {
        // Told late of one that another has replaced since.
        if self.now().is_some_and(|now| now.uid == uid) {
            self.push(State { at: t, seen: None, late });
        }
    }

    fn wrote(&mut self, t: Nanos) {
        if self.writes.len() == MAX_WRITES {
            self.writes.pop_front();
        }
        self.writes.push_back(t);
    }

    fn push(&mut self, mut state: State) {
        state.at = state.at.max(self.states.last().map_or(0, |last| last.at));
        if self.states.len() >= MAX_STATES {
            // Out of the middle, and rather a state that tells nothing new of who the object is.
            let uid = |i: usize| self.states[i].seen.as_ref().map(|seen| seen.uid.as_str());
            let middle = MAX_STATES / 2;
            let dispensable = (middle..self.states.len() - 1).find(|i| uid(*i) == uid(*i - 1)).unwrap_or(middle);
            self.states.remove(dispensable);
            self.forgotten += 1;
        }
        self.states.push(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts;
    use proptest::prelude::*;
    use rstest::rstest;

    fn seen(uid: &str, version: u64, spec: &str) -> ObjectSeen {
        let mut seen = ObjectSeen { uid: uid.into(), resource_version: version.to_string(), ..Default::default() };
        seen.facts.insert(facts::SPEC.into(), spec.into());
        seen
    }

    fn uid_at(history: &History, t: Nanos) -> Option<&str> {
        history.at(t).map(|seen| seen.uid.as_str())
    }

    #[test]
    fn a_life_with_an_end_and_a_successor() {
        let mut history = History::default();
        history.see(10, &seen("a", 1, "x"));
        history.see(20, &seen("a", 2, "x"));
        history.see(30, &ObjectSeen { deleting: Some("now".into()), ..seen("a", 3, "x") });
        history.gone(40, "a", false);
        history.see(50, &seen("b", 4, "x"));
        history.gone(60, "a", true);
        let uids = [5, 10, 30, 40, 50, 99].map(|t| uid_at(&history, t));
        assert_eq!(uids, [None, Some("a"), Some("a"), None, Some("b"), Some("b")]);
        assert_eq!(history.states().len(), 4, "a write that changes nothing is no state");
        assert_eq!(history.writes().collect::<Vec<_>>(), [10, 20, 30, 50]);
        assert_eq!((history.end_of("a"), history.end_of("b"), history.end_of("c")), (Some(30), None, None));
        assert_eq!(history.last_at(45).map(|seen| seen.uid.as_str()), Some("a"));
        assert_eq!(history.at(25).map(|seen| seen.resource_version.as_str()), Some("2"));
    }

    #[rstest]
    #[case::quiet(MAX_STATES as u64, 0)]
    #[case::fight(1_000, 800)]
    fn a_fight_is_bounded(#[case] writes: u64, #[case] forgotten: u64) {
        let mut history = History::default();
        for i in 0..writes {
            let uid = if i < writes / 2 { "a" } else { "b" };
            history.see(i, &seen(uid, i, if i % 2 == 0 { "x" } else { "y" }));
        }
        assert_eq!((history.states().len(), history.forgotten()), (MAX_STATES, forgotten));
        assert_eq!((uid_at(&history, 0), uid_at(&history, writes)), (Some("a"), Some("b")));
        let changes = history
            .states()
            .windows(2)
            .filter(|w| w[0].seen.as_ref().map(|s| &s.uid) != w[1].seen.as_ref().map(|s| &s.uid));
        assert_eq!(changes.map(|w| w[1].at).collect::<Vec<_>>(), [writes / 2]);
    }

    proptest! {
        /// Whatever comes.
        #[test]
        fn states_are_in_order_and_bounded(events in prop::collection::vec((0u64..500, 0u8..3, any::<bool>()), 0..400)) {
            let mut history = History::default();
            for (i, (t, uid, gone)) in events.iter().enumerate() {
                match gone {
                    true => history.gone(*t, &uid.to_string(), false),
                    false => history.see(*t, &seen(&uid.to_string(), i as u64, "x")),
                }
            }
            prop_assert!(history.states().is_sorted_by_key(|state| state.at));
            prop_assert!(history.states().len() <= MAX_STATES);
        }
    }
}

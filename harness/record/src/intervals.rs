//! Interval algebra over the record's clock, and the outages found with it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::{Failure, Nanos};

/// From `from` up to, not including, `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Interval {
    /// First nanosecond in it.
    pub from: Nanos,
    /// First nanosecond after it.
    pub to: Nanos,
}

impl Interval {
    /// An interval; one that would end before it starts is empty.
    pub fn new(from: Nanos, to: Nanos) -> Self {
        Self { from, to: to.max(from) }
    }

    /// Its length.
    pub fn len(&self) -> Nanos {
        self.to - self.from
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Whether the moment is in it.
    pub fn contains(&self, t: Nanos) -> bool {
        self.from <= t && t < self.to
    }

    /// Whether some moment is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from.max(other.from) < self.to.min(other.to)
    }
}

/// A set of moments, kept as sorted intervals that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntervalSet {
    parts: Vec<Interval>,
}

impl IntervalSet {
    /// Adds an interval. Cheap (amortised constant) when added in order, as a record has them.
    pub fn insert(&mut self, new: Interval) {
        if new.is_empty() {
            return;
        }
        // Parts that touch the new one, with it, become one.
        let first = self.parts.partition_point(|p| p.to < new.from);
        let after = first + self.parts[first..].partition_point(|p| p.from <= new.to);
        let merged = self.parts[first..after]
            .iter()
            .fold(new, |sum, p| Interval { from: sum.from.min(p.from), to: sum.to.max(p.to) });
        self.parts.splice(first..after, [merged]);
    }

    /// The intervals, in order.
    pub fn parts(&self) -> &[Interval] {
        &self.parts
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Sum of the lengths.
    pub fn total(&self) -> Nanos {
        self.parts.iter().map(Interval::len).sum()
    }

    /// Whether the moment is in it.
    pub fn contains(&self, t: Nanos) -> bool {
        self.at_or_after(t).is_some_and(|p| p.contains(t))
    }

    /// Whether some moment of the interval is in it.
    pub fn overlaps(&self, other: &Interval) -> bool {
        self.at_or_after(other.from).is_some_and(|p| p.overlaps(other))
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        other.parts.iter().for_each(|p| all.insert(*p));
        all
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.parts.iter().peekable(), other.parts.iter().peekable());
        let mut parts = Vec::new();
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let common = Interval::new(x.from.max(y.from), x.to.min(y.to));
            if !common.is_empty() {
                parts.push(common);
            }
            if x.to <= y.to {
                a.next();
            } else {
                b.next();
            }
        }
        Self { parts }
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut parts = Vec::new();
        for part in &self.parts {
            let mut from = part.from;
            let first = other.parts.partition_point(|p| p.to <= part.from);
            for hole in other.parts[first..].iter().take_while(|h| h.from < part.to) {
                if from < hole.from {
                    parts.push(Interval { from, to: hole.from });
                }
                from = hole.to;
            }
            if from < part.to {
                parts.push(Interval { from, to: part.to });
            }
        }
        Self { parts }
    }

    fn at_or_after(&self, t: Nanos) -> Option<&Interval> {
        self.parts.get(self.parts.partition_point(|p| p.to <= t))
    }
}

impl FromIterator<Interval> for IntervalSet {
    fn from_iter<T: IntoIterator<Item = Interval>>(iter: T) -> Self {
        let mut set = Self::default();
        iter.into_iter().for_each(|i| set.insert(i));
        set
    }
}

/// A stretch in which no sample of a probe succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// From the intended time of the first failed sample to that of the next good one.
    pub span: Interval,
    /// Samples that failed in it.
    pub failed: u64,
    /// How many of them, by [`Failure::label`].
    pub kinds: BTreeMap<String, u64>,
    /// No good sample followed: it ends where the record does.
    pub open: bool,
}

/// Different failures that an outage tells apart; a workload that answers nonsense could name thousands.
const MAX_KINDS: usize = 16;

/// Finds the outages of one probe, fed in the order of intended times.
#[derive(Debug, Clone, Default)]
pub struct OutageTracker {
    current: Option<Outage>,
}

impl OutageTracker {
    /// A sample due at `at` failed.
    pub fn bad(&mut self, at: Nanos, interval: Nanos, failure: &Failure) {
        let to = at.saturating_add(interval);
        let outage = self.current.get_or_insert_with(|| Outage {
            span: Interval::new(at, to),
            failed: 0,
            kinds: BTreeMap::new(),
            open: true,
        });
        outage.span.to = outage.span.to.max(to);
        outage.failed += 1;
        let label = failure.label();
        if let Some(count) = outage.kinds.get_mut(label.as_ref()) {
            *count += 1;
        } else if outage.kinds.len() < MAX_KINDS {
            outage.kinds.insert(label.into_owned(), 1);
        } else {
            *outage.kinds.entry("other".into()).or_default() += 1;
        }
    }

    /// A sample due at `at` succeeded: gives the outage that this ends.
    pub fn good(&mut self, at: Nanos) -> Option<Outage> {
        let mut outage = self.current.take()?;
        outage.span.to = at.max(outage.span.from);
        outage.open = false;
        Some(outage)
    }

    /// The outage that goes on: as far as is known, up to the last failed sample and one interval.
    pub fn current(&self) -> Option<&Outage> {
        self.current.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const MS: u64 = 1_000_000;

    /// `.` good, `x` refused, `t` timeout, at 50 ms; `_` a sample that was not taken.
    fn outages(samples: &str) -> Vec<(u64, u64, u64, bool)> {
        let mut tracker = OutageTracker::default();
        let mut found = Vec::new();
        for (i, c) in samples.chars().enumerate() {
            let at = i as u64 * 50 * MS;
            match c {
                '.' => found.extend(tracker.good(at)),
                'x' => tracker.bad(at, 50 * MS, &Failure::Refused),
                't' => tracker.bad(at, 50 * MS, &Failure::Timeout),
                _ => {}
            }
        }
        found.extend(tracker.current().cloned());
        found.iter().map(|o| (o.span.from / MS, o.span.to / MS, o.failed, o.open)).collect()
    }

    #[rstest]
    #[case::none("....", &[])]
    #[case::one(".x..", &[(50, 100, 1, false)])]
    #[case::two(".xx.t.", &[(50, 150, 2, false), (200, 250, 1, false)])]
    #[case::a_missing_sample_proves_no_recovery(".x__.", &[(50, 200, 1, false)])]
    #[case::open_to_the_end("..xx", &[(100, 200, 2, true)])]
    #[case::from_the_start("x", &[(0, 50, 1, true)])]
    fn an_outage_lasts_to_the_next_good_sample(#[case] samples: &str, #[case] expected: &[(u64, u64, u64, bool)]) {
        assert_eq!(outages(samples), expected);
    }

    #[test]
    fn kinds_are_counted_and_bounded() {
        let mut tracker = OutageTracker::default();
        tracker.bad(0, 1, &Failure::Refused);
        tracker.bad(1, 1, &Failure::Refused);
        for i in 0..100 {
            tracker.bad(2 + i, 1, &Failure::Other(format!("error {i}")));
        }
        let kinds = &tracker.current().unwrap().kinds;
        assert_eq!((kinds["refused"], kinds.len(), kinds.values().sum::<u64>()), (2, MAX_KINDS + 1, 102));
    }

    // The naive model: a set of moments is one bool per moment.
    const N: u64 = 40;

    fn set() -> impl Strategy<Value = IntervalSet> {
        prop::collection::vec((0..N, 0..N), 0..8)
            .prop_map(|pairs| pairs.into_iter().map(|(a, b)| Interval::new(a, b)).collect())
    }

    fn model(set: &IntervalSet) -> Vec<bool> {
        (0..N).map(|t| set.parts().iter().any(|p| p.contains(t))).collect()
    }

    fn normal(set: &IntervalSet) -> bool {
        set.parts().windows(2).all(|w| w[0].to < w[1].from) && set.parts().iter().all(|p| p.from < p.to)
    }

    proptest! {
        #[test]
        fn the_algebra_agrees_with_the_model(a in set(), b in set(), x in 0..N, y in 0..N) {
            let (ma, mb) = (model(&a), model(&b));
            let zip = |f: fn(bool, bool) -> bool| ma.iter().zip(&mb).map(|(a, b)| f(*a, *b)).collect::<Vec<_>>();
            for (set, expected) in [
                (a.union(&b), zip(|a, b| a || b)),
                (a.intersection(&b), zip(|a, b| a && b)),
                (a.difference(&b), zip(|a, b| a && !b)),
            ] {
                prop_assert!(normal(&set), "{set:?}");
                prop_assert_eq!(model(&set), expected);
            }
            prop_assert_eq!(a.total(), ma.iter().filter(|m| **m).count() as u64);
            prop_assert_eq!(a.contains(x), ma[x as usize]);
            let other = Interval::new(x, y);
            prop_assert_eq!(a.overlaps(&other), (other.from..other.to).any(|t| ma[t as usize]));
        }

        #[test]
        fn outages_agree_with_the_model(samples in "[.x_]{0,40}") {
            // An outage covers a moment if the last sample taken at or before it failed.
            let mut last = '.';
            let mut down = 0;
            let end = samples.rfind(['.', 'x']).map_or(0, |i| i + 1);
            for c in samples[..end].chars() {
                if c != '_' {
                    last = c;
                }
                down += u64::from(last == 'x');
            }
            let found = outages(&samples);
            prop_assert_eq!(found.iter().map(|(from, to, ..)| to - from).sum::<u64>(), down * 50);
            prop_assert_eq!(found.iter().map(|o| o.2).sum::<u64>(), samples.matches('x').count() as u64);
        }
    }
}

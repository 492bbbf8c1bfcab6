//! What of each probe's schedule a record accounts for: from there a sampler that takes over goes on.

use std::collections::BTreeMap;

use ferry_record::{EventKind, Nanos};

/// How far one probe's schedule is accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Intended time of sample 0.
    pub start: Nanos,
    /// Time between intended times.
    pub interval: Nanos,
    /// How many samples, from the first on, are in blocks or outages without a gap.
    pub accounted: u64,
}

impl Account {
    /// Intended time of sample `index`.
    #[must_use]
    pub fn due(&self, index: u64) -> Nanos {
        self.start.saturating_add(index.saturating_mul(self.interval))
    }

    /// The outage over all samples from the first unaccounted one up to `end`, if there are any.
    #[must_use]
    pub fn outage(&self, probe: &str, end: u64, reason: &str) -> Option<EventKind> {
        (self.accounted < end).then(|| EventKind::SamplerOutage {
            probe: probe.into(),
            from: self.due(self.accounted),
            to: self.due(end),
            reason: reason.into(),
        })
    }
}

/// The accounts of all probes that were started and not stopped, by [`ferry_record::event::ProbeInfo::probe`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts(BTreeMap<String, Account>);

impl Accounts {
    /// Takes in the next event of a record.
    pub fn read(&mut self, event: &EventKind) {
        match event {
            EventKind::ProbeStarted(info) => {
                let account = Account { start: info.start, interval: info.interval.max(1), accounted: 0 };
                self.0.insert(info.probe.clone(), account);
            }
            EventKind::ProbeStopped { probe, .. } => drop(self.0.remove(probe)),
            EventKind::Samples(block) => {
                let samples = block.latency.len() as u64;
                self.extend(&block.probe, block.start, |account| account.accounted + samples);
            }
            // Some are between two samples and account for none.
            EventKind::SamplerOutage { probe, from, to, .. } => self.extend(probe, *from, |account| {
                let since = to.saturating_sub(account.start);
                if since.is_multiple_of(account.interval) { since / account.interval } else { account.accounted }
            }),
            _ => {}
        }
    }

    fn extend(&mut self, probe: &str, from: Nanos, end: impl FnOnce(&Account) -> u64) {
        if let Some(account) = self.0.get_mut(probe).filter(|account| account.due(account.accounted) == from) {
            account.accounted = end(account).max(account.accounted);
        }
    }

    /// All of them, by probe.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Account)> {
        self.0.iter()
    }

    /// The account of one probe.
    #[must_use]
    pub fn get(&self, probe: &str) -> Option<Account> {
        self.0.get(probe).copied()
    }
}

#[cfg(test)]
mod tests {
    use ferry_record::event::{ProbeInfo, SampleBlock};

    use super::*;

    fn started() -> EventKind {
        EventKind::ProbeStarted(ProbeInfo {
            probe: "web/inside/new".into(),
            kind: "http".into(),
            target: "GET http://web/".into(),
            place: "inside".into(),
            connection: "new".into(),
            start: 1_000,
            interval: 50,
            timeout: 5_000,
        })
    }

    fn block(start: Nanos, samples: usize) -> EventKind {
        EventKind::Samples(SampleBlock {
            probe: "web/inside/new".into(),
            start,
            interval: 50,
            latency: vec![1; samples],
            slip: vec![1; samples],
            failed: vec![],
        })
    }

    fn outage(from: Nanos, to: Nanos) -> EventKind {
        EventKind::SamplerOutage { probe: "web/inside/new".into(), from, to, reason: "late".into() }
    }

    fn stopped() -> EventKind {
        EventKind::ProbeStopped { probe: "web/inside/new".into(), planned: 4 }
    }

    #[rstest::rstest]
    #[case::nothing_yet(&[started()], Some(0))]
    #[case::blocks_and_outages(&[started(), block(1_000, 2), outage(1_100, 1_200), block(1_200, 1)], Some(5))]
    #[case::blind_between_two_samples(&[started(), block(1_000, 1), outage(1_060, 1_090), block(1_050, 1)], Some(2))]
    #[case::blind_from_a_sample_on(&[started(), block(1_000, 1), outage(1_050, 1_090)], Some(1))]
    #[case::a_block_beyond_a_gap(&[started(), block(1_000, 1), block(1_100, 1)], Some(1))]
    #[case::a_block_twice(&[started(), block(1_000, 2), block(1_000, 2)], Some(2))]
    #[case::ended(&[started(), block(1_000, 4), stopped()], None)]
    #[case::started_anew(&[started(), block(1_000, 4), stopped(), started(), block(1_000, 1)], Some(1))]
    fn counts_what_is_accounted_for(#[case] events: &[EventKind], #[case] expected: Option<u64>) {
        let mut accounts = Accounts::default();
        events.iter().for_each(|event| accounts.read(event));
        assert_eq!(accounts.get("web/inside/new").map(|account| account.accounted), expected);
    }

    #[test]
    fn the_rest_is_an_outage() {
        let account = Account { start: 1_000, interval: 50, accounted: 3 };
        assert_eq!(account.outage("web/inside/new", 5, "late"), Some(outage(1_150, 1_250)));
        assert_eq!(account.outage("web/inside/new", 3, "late"), None);
    }
}

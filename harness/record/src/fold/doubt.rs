//! Failures that a sampler may be to blame for.

use super::{FailedSample, RunState};
use crate::intervals::IntervalSet;

impl RunState {
    /// The probe's failed samples that say nothing about the workload, because their sampler was out while they were due or
    /// waiting. One sampler takes the samples of all probes of its place: what one of them shows of it is true for all.
    pub fn doubtful(&self, probe: &str) -> Vec<FailedSample> {
        let siblings = self.probes.iter().filter(|(name, _)| sampler(name) == sampler(probe));
        let out = siblings.fold(IntervalSet::default(), |out, (_, probe)| out.union(&probe.gaps));
        self.probes.get(probe).map(|probe| probe.failed_during(&out).cloned().collect()).unwrap_or_default()
    }
}

/// Who takes the samples of a probe by the name of `name/place/connection@node`: the place, and its node.
fn sampler(probe: &str) -> (Option<&str>, Option<&str>) {
    (probe.split('/').nth(1), probe.split_once('@').map(|(_, node)| node))
}

#[cfg(test)]
mod tests {
    use crate::event::Failure;
    use crate::testing::{PROBE, Record};
    use rstest::rstest;

    /// The other probe's sampler is out while a sample of the first fails.
    #[rstest]
    #[case::the_same("api/outside/reused", 1)]
    #[case::another_place("api/inside/new", 0)]
    #[case::another_node("api/outside/new@worker", 0)]
    fn one_sampler_is_out_for_all_its_probes(#[case] other: &str, #[case] doubtful: usize) {
        let outage = crate::EventKind::SamplerOutage {
            probe: other.into(),
            from: 9_900 * 1_000_000,
            to: 10_100 * 1_000_000,
            reason: "the host was busy".into(),
        };
        let record = Record::good().fail(200, Failure::Refused).fail(300, Failure::Refused);
        let run = record.probing(other, "http", ".").with(10_100 * 1_000_000, outage).fold();
        assert_eq!(run.doubtful(PROBE).len(), doubtful, "{:?}", run.probes[PROBE].outages().collect::<Vec<_>>());
        assert!(run.doubtful("nobody/outside/new").is_empty());
    }
}

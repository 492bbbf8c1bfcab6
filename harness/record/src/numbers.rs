//! A run in numbers: what a history keeps of it, and what two runs are compared by.

use serde::Serialize;

use crate::event::{Nanos, Outcome};
use crate::fold::{ProbeState, RunState};

/// How long a phase took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseTime {
    /// Its name.
    pub phase: String,
    /// From its start to its end, or to the end of the record.
    pub took_ns: Nanos,
    /// Whether it did all that it was to do. The time of one that did not says little.
    pub done: bool,
}

/// What the samples of one probe amount to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeNumbers {
    /// `name/place/connection`.
    pub probe: String,
    /// Samples taken.
    pub taken: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Number of outages.
    pub outages: u64,
    /// Longest of them.
    pub longest_outage_ns: Option<Nanos>,
    /// Median latency in microseconds; none when no sample succeeded, as for the other two.
    pub p50_us: Option<u64>,
    /// 99th percentile of the latency.
    pub p99_us: Option<u64>,
    /// Highest latency.
    pub max_us: Option<u64>,
}

impl ProbeNumbers {
    /// A probe's numbers.
    pub fn of(name: &str, probe: &ProbeState) -> Self {
        let latency = probe.total.latency.percentiles();
        Self {
            probe: name.to_owned(),
            taken: probe.total.taken,
            failed: probe.total.failed,
            outages: probe.outages().count() as u64 + probe.outages_dropped,
            longest_outage_ns: probe.outages().map(|o| o.span.len()).max(),
            p50_us: latency.map(|p| p.p50),
            p99_us: latency.map(|p| p.p99),
            max_us: latency.map(|p| p.max),
        }
    }
}

/// The phases that began, in order.
pub fn phases(run: &RunState) -> Vec<PhaseTime> {
    let time = |phase: &crate::fold::Phase| {
        Some(PhaseTime {
            phase: phase.info.name.clone(),
            took_ns: phase.ended.unwrap_or(run.now).saturating_sub(phase.started?),
            done: phase.outcome == Some(Outcome::Done),
        })
    };
    run.phases.iter().filter_map(time).collect()
}

/// The probes, by name.
pub fn probes(run: &RunState) -> Vec<ProbeNumbers> {
    run.probes.iter().map(|(name, probe)| ProbeNumbers::of(name, probe)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::testing::{MS, PROBE, Record, SECOND};

    #[test]
    fn a_phase_that_failed_is_not_done() {
        let failed = Outcome::Failed { error: "e".into(), hint: None };
        let phases = phases(&Record::good().outcome(failed).fold());
        let found: Vec<_> = phases.iter().map(|p| (p.phase.as_str(), p.took_ns / SECOND, p.done)).collect();
        assert_eq!(found, [("bootstrap", 5, true), ("take over", 10, false)]);
    }

    #[test]
    fn a_probe_in_numbers() {
        let run = Record::good().fail(250, Failure::Refused).fail(251, Failure::Timeout).fold();
        let expected = ProbeNumbers {
            probe: PROBE.into(),
            taken: 400,
            failed: 2,
            outages: 1,
            longest_outage_ns: Some(100 * MS),
            p50_us: Some(1_303),
            p99_us: Some(1_607),
            max_us: Some(1_607),
        };
        assert_eq!(probes(&run), [expected]);
    }
}

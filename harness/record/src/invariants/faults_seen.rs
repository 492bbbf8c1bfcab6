//! `faults-seen`: the probes saw every fault that was injected on purpose, and dated it right.

use super::Invariant;
use crate::cluster::{LAB, Parts};
use crate::event::{Nanos, ProbeInfo};
use crate::fmt;
use crate::fold::{Fault, ProbeState, RunState};
use crate::intervals::{Interval, Outage};
use crate::verdict::{Evidence, Finding, Verdict};

/// How far the edge of an outage may be from the truth, beyond what sampling itself costs (an interval) and beyond what is
/// known of the truth (the fault's margin): what the design promises for the shortest outage that is seen.
pub const TOLERANCE: Nanos = 50_000_000;

/// The fault that is judged: the network of a workload's pods, cut for a known time.
pub const CUT: &str = "cut";

/// Probes that ask a workload; others do not notice that its network is cut.
const ASK_WORKLOADS: [&str; 4] = ["http", "tcp", "grpc", "stream"];

/// The rule.
#[derive(Debug)]
pub struct FaultsSeen;

impl Invariant for FaultsSeen {
    fn name(&self) -> &'static str {
        "faults-seen"
    }

    fn demands(&self) -> &'static str {
        "each probe of a workload sees every cut that is longer than its interval, its edges within 50 ms and one interval"
    }

    fn judge(&self, run: &RunState) -> Finding {
        let mut finding = Finding::new(self.name(), Verdict::Pass, "");
        let (mut wrong, mut doubtful, mut seen) = (0, 0, 0);
        let cuts: Vec<&Fault> = run.cluster.faults.iter().filter(|fault| is_judged(fault)).collect();
        for cut in &cuts {
            for (name, probe) in &run.probes {
                let Some(info) = probe.info.as_ref().filter(|info| ran(info, probe, cut)) else { continue };
                let what = match look(info, probe, cut) {
                    Seen::Right => {
                        seen += 1;
                        continue;
                    }
                    Seen::TooShort => continue,
                    Seen::Doubtful => {
                        doubtful += 1;
                        "its sampler was out meanwhile".to_owned()
                    }
                    Seen::Not => {
                        wrong += 1;
                        "saw nothing".to_owned()
                    }
                    Seen::Elsewhere(span) => {
                        wrong += 1;
                        finding.evidence.push(Evidence::At(span.from));
                        format!("saw it from {} to {}", run.when(span.from), run.when(span.to))
                    }
                };
                finding.details.push(format!(
                    "{} of {} from {} to {} (± {}): {name} {what}",
                    cut.fault,
                    cut.target,
                    run.when(cut.span.from),
                    run.when(cut.span.to),
                    fmt::precise(cut.margin),
                ));
            }
        }
        (finding.verdict, finding.message) = if cuts.is_empty() {
            (Verdict::Inconclusive, "nothing was cut: there was nothing to see".into())
        } else if wrong > 0 {
            let cases = fmt::count(wrong, "case");
            (Verdict::Fail, format!("the probes are blind: in {cases} a cut was not seen where it was"))
        } else if doubtful > 0 {
            (Verdict::Inconclusive, "a sampler was out while there was something to see".into())
        } else if seen == 0 {
            (Verdict::Inconclusive, "no probe of a workload was running, or none asks often enough".into())
        } else {
            let cuts = fmt::count(cuts.len() as u64, "cut");
            (Verdict::Pass, format!("{cuts} seen, edges within {} and one interval", fmt::duration(TOLERANCE)))
        };
        finding
    }
}

/// Whether a fault is a cut of a workload; one of the harness' own workload is for the self-proof to judge.
fn is_judged(fault: &Fault) -> bool {
    fault.fault == CUT && Parts::of(&fault.target).namespace != Some(LAB)
}

/// What a probe saw of a fault.
enum Seen {
    Right,
    Not,
    /// The outages around it, from the first to the last.
    Elsewhere(Interval),
    /// No sample had to be due in it.
    TooShort,
    Doubtful,
}

/// Whether a probe that asks a workload ran all the time around a fault.
fn ran(info: &ProbeInfo, probe: &ProbeState, fault: &Fault) -> bool {
    let reach = fault.margin.saturating_add(info.interval);
    let before = probe.first.is_some_and(|first| first.saturating_add(reach) <= fault.span.from);
    let after = probe.last.is_some_and(|last| last >= fault.span.to.saturating_add(reach));
    ASK_WORKLOADS.contains(&info.kind.as_str()) && before && after
}

fn look(info: &ProbeInfo, probe: &ProbeState, fault: &Fault) -> Seen {
    let Fault { span: truth, margin, .. } = fault;
    let slack = info.interval.saturating_add(TOLERANCE);
    // An outage has to begin in the first and to end in the second.
    let begins = Interval::new(truth.from.saturating_sub(margin + slack), truth.from.saturating_add(slack + 1));
    let ends = Interval::new(truth.to.saturating_sub(slack), truth.to.saturating_add(margin + slack + 1));
    let around = Interval::new(begins.from, ends.to);

    let near: Vec<&Outage> = probe.outages().filter(|outage| outage.span.overlaps(&around)).collect();
    let in_doubt = probe.gaps.overlaps(&around);
    match (near.first(), near.last()) {
        (Some(first), Some(last)) => {
            let found = Interval::new(first.span.from, last.span.to);
            match begins.contains(found.from) && ends.contains(found.to) {
                true => Seen::Right,
                false if in_doubt => Seen::Doubtful,
                false => Seen::Elsewhere(found),
            }
        }
        _ if truth.len() <= info.interval => Seen::TooShort,
        _ if in_doubt => Seen::Doubtful,
        _ => Seen::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Failure};
    use crate::testing::{MS, Record};
    use rstest::rstest;

    /// Samples are due every 50 ms; 200 at 10 s.
    fn cut(record: Record, from_ms: u64, to_ms: u64) -> Record {
        cut_of("deployment/apps/web", record, from_ms, to_ms)
    }

    fn cut_of(target: &str, record: Record, from_ms: u64, to_ms: u64) -> Record {
        let fault = EventKind::Fault {
            fault: CUT.into(),
            target: target.into(),
            from: from_ms * MS,
            to: to_ms * MS,
            margin: 10 * MS,
        };
        record.with(to_ms * MS, fault)
    }

    fn failed(from: u64, to: u64) -> Record {
        (from..to).fold(Record::good(), |record, i| record.fail(i, Failure::Reset))
    }

    #[rstest]
    #[case::as_it_was(cut(failed(200, 206), 9_990, 10_290), Verdict::Pass)]
    #[case::edges_just_near_enough(cut(failed(200, 206), 9_900, 10_200), Verdict::Pass)]
    #[case::begins_too_late(cut(failed(203, 206), 9_990, 10_290), Verdict::Fail)]
    #[case::begins_too_early(cut(failed(195, 206), 9_990, 10_290), Verdict::Fail)]
    #[case::ends_too_early(cut(failed(200, 203), 9_990, 10_290), Verdict::Fail)]
    #[case::ends_too_late(cut(failed(200, 210), 9_990, 10_290), Verdict::Fail)]
    #[case::with_a_good_sample_in_between(cut(failed(200, 202).fail(204, Failure::Reset).fail(205, Failure::Reset),
        9_990, 10_290), Verdict::Pass)]
    #[case::not_seen(cut(Record::good(), 9_990, 10_290), Verdict::Fail)]
    #[case::seen_elsewhere(cut(failed(300, 306), 9_990, 10_290), Verdict::Fail)]
    #[case::shorter_than_an_interval(cut(Record::good(), 10_010, 10_040), Verdict::Inconclusive)]
    #[case::one_of_two(cut(cut(failed(200, 206), 9_990, 10_290), 12_000, 12_300), Verdict::Fail)]
    #[case::the_sampler_was_out(cut(Record::good().sampler_outage(10_000, 10_200), 9_990, 10_290), Verdict::Inconclusive)]
    #[case::only_the_harness_own(
        cut_of("deployment/ferry-lab/demo", Record::good(), 9_990, 10_290),
        Verdict::Inconclusive
    )]
    #[case::nothing_cut(failed(200, 206), Verdict::Inconclusive)]
    #[case::no_probe_yet(cut(Record::good(), 20, 400), Verdict::Inconclusive)]
    #[case::no_samples(cut(Record::good().without_samples(), 9_990, 10_290), Verdict::Inconclusive)]
    #[case::others_do_not_notice(
        cut(failed(200, 206), 9_990, 10_290).probing("api/inside/new", "kube-api", &".".repeat(400)), Verdict::Pass)]
    #[case::another_probe_is_blind(
        cut(failed(200, 206), 9_990, 10_290).probing("web/inside/new", "tcp", &".".repeat(400)), Verdict::Fail)]
    fn judged(#[case] record: Record, #[case] verdict: Verdict) {
        let finding = FaultsSeen.judge(&record.fold());
        assert_eq!(finding.verdict, verdict, "{finding:#?}");
    }

    #[test]
    fn what_was_seen_instead_is_told() {
        let lines = [cut(Record::good(), 9_990, 10_290), cut(failed(203, 206), 9_990, 10_290)]
            .map(|record| FaultsSeen.judge(&record.fold()).details.join("\n"));
        insta::assert_snapshot!(lines.join("\n"), @r"
        cut of deployment/apps/web from 12:00:09.990 (+0:09.990) to 12:00:10.290 (+0:10.290) (± 10 ms): web/outside/new saw nothing
        cut of deployment/apps/web from 12:00:09.990 (+0:09.990) to 12:00:10.290 (+0:10.290) (± 10 ms): web/outside/new saw it from 12:00:10.150 (+0:10.150) to 12:00:10.300 (+0:10.300)
        ");
    }
}

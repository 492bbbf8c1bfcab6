//! What the probes said, held against what was done.

use std::time::Duration;

use ferry_record::fold::ProbeState;
use ferry_record::intervals::Interval;
use ferry_record::{EventKind, Nanos, RunState, fmt};

use super::distance;

/// How far a seen edge may be from the true one, beyond the probe's interval and the fault's own margin: 50 ms, the shortest
/// outage that a probe at 20 samples/s can see.
pub const TOLERANCE: Duration = Duration::from_millis(50);

/// The share of planned samples that must have been taken on time, in percent. A proof takes some 240 of each probe, beside a
/// cluster that boots: three that are late would be more than a hundredth, and take nothing from what the others saw.
const ENOUGH: u64 = 95;

/// When what was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Marks {
    /// The rolling restart began.
    pub restarted: Nanos,
    /// It was over for a while.
    pub settled: Nanos,
    /// The cut after it.
    pub fault: EventKind,
}

/// Both checks, failed because they could not be made.
pub fn not_carried_out(why: &str) -> Vec<EventKind> {
    ["rollout", "outage"].map(|check| result(check, Err(format!("it could not be carried out: {why}")))).into()
}

/// Judges both checks.
pub fn judge(seen: &RunState, marks: &Marks) -> Vec<EventKind> {
    vec![result("rollout", rollout(seen, marks)), result("outage", outage(seen, marks))]
}

fn result(check: &str, result: Result<String, String>) -> EventKind {
    let passed = result.is_ok();
    EventKind::SelfProof { check: check.into(), passed, message: result.unwrap_or_else(|why| why) }
}

/// A rolling restart loses nothing.
fn rollout(seen: &RunState, marks: &Marks) -> Result<String, String> {
    enough(seen)?;
    let lost = seen.outages().into_iter().filter(|(_, outage)| outage.span.from < marks.settled);
    let lost: Vec<String> = lost.map(|(probe, outage)| describe(probe, &outage.span, outage.failed)).collect();
    if lost.is_empty() {
        let taken = seen.sample_totals().0;
        let took = fmt::duration(marks.settled.saturating_sub(marks.restarted));
        Ok(format!("a rolling restart of {took} lost none of {} samples", fmt::number(taken)))
    } else {
        Err(format!("a rolling restart lost requests, so that a loss says nothing: {}", lost.join("; ")))
    }
}

/// Every probe sees the cut, where it was, and no other outage.
fn outage(seen: &RunState, marks: &Marks) -> Result<String, String> {
    enough(seen)?;
    let EventKind::Fault { from, to, margin, .. } = marks.fault else { return Err("nothing was cut".into()) };
    let tolerance = nanos(TOLERANCE).saturating_add(margin);
    let mut said = vec![];
    for (name, probe) in &seen.probes {
        let span = the_only_one(name, probe, marks.settled)?;
        let interval = probe.info.as_ref().map_or(0, |info| info.interval);
        let off = distance(span.from, from).max(distance(span.to, to));
        if off > tolerance.saturating_add(interval) {
            let (seen, true_span) = (place(&span), place(&Interval::new(from, to)));
            return Err(format!("{name} saw the cut of {true_span} at {seen}: {} off", fmt::precise(off)));
        }
        said.push(format!("{name} {} off", fmt::precise(off)));
    }
    if said.is_empty() {
        return Err("no probe was there".into());
    }
    Ok(format!("a cut of {} was seen by all probes ({})", fmt::precise(to.saturating_sub(from)), said.join(", ")))
}

fn the_only_one(name: &str, probe: &ProbeState, after: Nanos) -> Result<Interval, String> {
    let mut outages = probe.outages().filter(|outage| outage.span.from >= after);
    match (outages.next(), outages.next()) {
        (Some(outage), None) => Ok(outage.span),
        (None, _) => Err(format!("{name} did not see the cut")),
        (Some(first), Some(second)) => {
            let (first, second) =
                (describe(name, &first.span, first.failed), describe(name, &second.span, second.failed));
            Err(format!("{name} saw more than the cut: {first}; {second}"))
        }
    }
}

/// Whether there is evidence at all.
fn enough(seen: &RunState) -> Result<(), String> {
    for (name, probe) in &seen.probes {
        let planned = probe.planned(seen.now);
        let taken = probe.total.on_time();
        if planned == 0 || taken * 100 < planned * ENOUGH {
            let (taken, planned) = (fmt::number(taken), fmt::number(planned));
            return Err(format!("{name} took only {taken} of {planned} samples on time: the machine was too busy"));
        }
    }
    if seen.probes.is_empty() { Err("no probe was there".into()) } else { Ok(()) }
}

fn describe(probe: &str, span: &Interval, failed: u64) -> String {
    format!("{probe} {} ({failed} samples)", place(span))
}

fn place(span: &Interval) -> String {
    format!("{} for {}", fmt::since_start(span.from), fmt::precise(span.len()))
}

fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ferry_record::Event;
    use ferry_record::event::{Failure, ProbeInfo, SampleBlock};
    use rstest::rstest;

    use super::*;

    const MS: u64 = 1_000_000;

    /// Two probes over 10 s; the restart is at 1 to 6 s, the cut from 6,500 to 6,800 ms.
    fn seen(failed_ms: &[u64], planned: u64) -> RunState {
        let mut seen = RunState::default();
        for probe in ["proof/outside/new", "proof/outside/reused"] {
            let info = ProbeInfo {
                probe: probe.into(),
                kind: "http".into(),
                target: "GET /".into(),
                place: "outside".into(),
                connection: "new".into(),
                start: 0,
                interval: 50 * MS,
                timeout: 1_000 * MS,
            };
            let failed = failed_ms.iter().map(|ms| (u32::try_from(ms / 50).unwrap(), Failure::Refused)).collect();
            let block = SampleBlock {
                probe: probe.into(),
                start: 0,
                interval: 50 * MS,
                latency: vec![1_000; 200],
                slip: vec![50; 200],
                failed,
            };
            for (t, kind) in [
                (0, EventKind::ProbeStarted(info)),
                (10_000 * MS, EventKind::Samples(block)),
                (10_000 * MS, EventKind::ProbeStopped { probe: probe.into(), planned }),
            ] {
                seen.apply(&Event { t, kind });
            }
        }
        seen
    }

    fn marks() -> Marks {
        let fault = EventKind::Fault {
            fault: "cut".into(),
            target: "deployment/ferry-lab/proof".into(),
            from: 6_500 * MS,
            to: 6_800 * MS,
            margin: 10 * MS,
        };
        Marks { restarted: 1_000 * MS, settled: 6_000 * MS, fault }
    }

    const CUT: [u64; 6] = [6_500, 6_550, 6_600, 6_650, 6_700, 6_750];

    #[rstest]
    #[case::good(&CUT, 200, [true, true])]
    #[case::an_edge_off_by_a_sample(&CUT[1..], 200, [true, true])]
    #[case::lost_in_the_restart(&[3_000, 6_500, 6_550, 6_600, 6_650, 6_700, 6_750], 200, [false, true])]
    #[case::blind(&[], 200, [true, false])]
    #[case::too_late(&[6_700, 6_750, 6_800, 6_850, 6_900, 6_950], 200, [true, false])]
    #[case::more_than_the_cut(&[6_500, 6_550, 6_600, 6_650, 6_700, 6_750, 8_000], 200, [true, false])]
    #[case::too_few_samples(&CUT, 300, [false, false])]
    fn probes_are_believed_when_they_say_what_is_true(
        #[case] failed_ms: &[u64],
        #[case] planned: u64,
        #[case] expected: [bool; 2],
    ) {
        let results = judge(&seen(failed_ms, planned), &marks());
        let passed: Vec<bool> =
            results.iter().map(|result| matches!(result, EventKind::SelfProof { passed: true, .. })).collect();
        assert_eq!(passed, expected, "{results:#?}");
    }

    #[test]
    fn says_what_was_seen() {
        let EventKind::SelfProof { message, .. } = &judge(&seen(&CUT, 200), &marks())[1] else { unreachable!() };
        insta::assert_snapshot!(message, @"a cut of 300 ms was seen by all probes (proof/outside/new 0 ms off, proof/outside/reused 0 ms off)");
        let EventKind::SelfProof { message, .. } = &judge(&seen(&[], 200), &marks())[1] else { unreachable!() };
        insta::assert_snapshot!(message, @"proof/outside/new did not see the cut");
    }

    #[test]
    fn no_probes_prove_nothing() {
        for result in judge(&RunState::default(), &marks()) {
            assert!(matches!(result, EventKind::SelfProof { passed: false, .. }), "{result:?}");
        }
    }
}

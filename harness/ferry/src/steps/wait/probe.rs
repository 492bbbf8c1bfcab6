//! How long a probe has been answered well.

use std::time::Duration;

use ferry_record::RunState;
use ferry_record::event::Nanos;
use ferry_record::fmt;
use ferry_scenario::steps::ProbeHealth;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::Look;
use crate::wait::{Check, polled};

/// How often the record's state is asked. Samples reach it in blocks of about as long.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) fn stream<'a>(wanted: &'a ProbeHealth, look: Look<'a>) -> BoxStream<'a, Check> {
    let for_at_least = u64::try_from(wanted.healthy_for.get().as_nanos()).unwrap_or(Nanos::MAX);
    polled(AGAIN, move || async move {
        let name = wanted.name.to_string();
        let began = look.began;
        let asked = look.recorder.ask(move |state| health(state, &name, for_at_least, began)).await;
        asked.unwrap_or_else(|| Check::Never("the record is closed".into()))
    })
    .boxed()
}

/// Every sampler of the probe (`name/place/connection`) must have been answered well for so long, up to a moment after
/// `began`: what was good before may be over.
fn health(state: &RunState, name: &str, for_at_least: Nanos, began: Nanos) -> Check {
    let samplers = state.probes.iter().filter(|(probe, _)| probe.split('/').next() == Some(name));
    let checks = samplers.map(|(probe, sampler)| {
        let Some(info) = &sampler.info else { return Check::Unknown(format!("{probe} has not started")) };
        if sampler.stopped.is_some() {
            return Check::Never(format!("{probe} takes no more samples"));
        }
        let Some((first, last)) = sampler.first.zip(sampler.last) else {
            return Check::Unknown(format!("{probe} has no samples yet"));
        };
        if let Some(outage) = sampler.current_outage() {
            let (since, failed) = (fmt::since_start(outage.span.from), fmt::count(outage.failed, "sample"));
            return Check::NotYet(format!("{probe} fails since {since}: {failed}"));
        }
        let known_until = last.saturating_add(info.interval);
        let outages = sampler.outages().map(|outage| outage.span.to);
        // While the sampler was out nothing is known of the workload.
        let gaps = sampler.gaps.parts().iter().map(|gap| gap.to);
        let good_since = outages.chain(gaps).fold(first, Nanos::max);
        let good_for = known_until.saturating_sub(good_since);
        let seconds = |nanos: Nanos| Duration::from_nanos(nanos).as_secs_f64();
        if good_for < for_at_least {
            Check::NotYet(format!(
                "{probe} is good for {:.0}s of {:.0}s",
                seconds(good_for).floor(),
                seconds(for_at_least)
            ))
        } else if known_until <= began {
            Check::Unknown(format!("{probe} was good, but nothing is known of it since this step began"))
        } else {
            Check::Met(format!("{probe} is good for {:.0}s", seconds(good_for).floor()))
        }
    });
    let all: Vec<Check> = checks.collect();
    if all.is_empty() {
        return Check::Unknown("it has not started".into());
    }
    all.into_iter().fold(Check::Met(String::new()), Check::and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_record::event::{Failure, ProbeInfo, SampleBlock};
    use ferry_record::{Event, EventKind};
    use rstest::rstest;

    const SECOND: Nanos = 1_000_000_000;

    /// A probe at one sample a second from second 0 on: `x` failed, `~` came late, by 3 s.
    fn state(samples: &str, rest: Vec<EventKind>) -> RunState {
        let info = ProbeInfo {
            probe: "web/outside/new".into(),
            kind: "http".into(),
            target: "http://web/".into(),
            place: "outside".into(),
            connection: "new".into(),
            start: 0,
            interval: SECOND,
            timeout: SECOND,
        };
        let block = SampleBlock {
            probe: info.probe.clone(),
            start: 0,
            interval: SECOND,
            latency: samples.chars().map(|c| if c == '~' { 3_001_000 } else { 1_000 }).collect(),
            slip: samples.chars().map(|c| if c == '~' { 3_000_000 } else { 0 }).collect(),
            failed: (0..).zip(samples.chars()).filter(|(_, c)| *c == 'x').map(|(i, _)| (i, Failure::Timeout)).collect(),
        };
        let events = [EventKind::ProbeStarted(info), EventKind::Samples(block)].into_iter().chain(rest);
        let mut state = RunState::default();
        events.for_each(|kind| state.apply(&Event { t: 0, kind }));
        state
    }

    fn not(why: &str) -> Check {
        Check::NotYet(why.into())
    }

    fn unknown(why: &str) -> Check {
        Check::Unknown(why.into())
    }

    #[rstest]
    #[case::good("....", 2, Check::Met("web/outside/new is good for 4s".into()))]
    #[case::too_short("..", 1, not("web/outside/new is good for 2s of 3s"))]
    #[case::after_an_outage(".xx...", 5, Check::Met("web/outside/new is good for 3s".into()))]
    #[case::soon_after_an_outage("..x..", 4, not("web/outside/new is good for 2s of 3s"))]
    #[case::in_an_outage("......xx", 7, not("web/outside/new fails since +0:06.000: 2 samples"))]
    #[case::after_a_gap("..~...", 5, not("web/outside/new is good for 1s of 3s"))]
    #[case::stale(".....", 9, unknown("web/outside/new was good, but nothing is known of it since this step began"))]
    fn looks_back_over_the_samples(#[case] samples: &str, #[case] began: u64, #[case] expected: Check) {
        assert_eq!(health(&state(samples, vec![]), "web", 3 * SECOND, began * SECOND), expected);
    }

    #[test]
    fn a_probe_that_does_not_run_is_never_healthy() {
        let stopped = EventKind::ProbeStopped { probe: "web/outside/new".into(), planned: 5 };
        let never = Check::Never("web/outside/new takes no more samples".into());
        assert_eq!(health(&state(".....", vec![stopped]), "web", SECOND, 0), never);
        assert_eq!(health(&state(".....", vec![]), "we", SECOND, 0), unknown("it has not started"));
        assert_eq!(health(&state("", vec![]), "web", SECOND, 0), unknown("web/outside/new has no samples yet"));
    }

    #[test]
    fn every_sampler_counts() {
        let mut both = state(".....", vec![]);
        let other = state("....x", vec![]);
        both.probes.extend(other.probes.into_values().map(|probe| ("web/outside/reused".to_owned(), probe)));
        assert!(
            matches!(health(&both, "web", SECOND, 0), Check::NotYet(why) if why.starts_with("web/outside/reused fails"))
        );
    }
}

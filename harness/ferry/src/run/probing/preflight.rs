//! Before anything is measured: every probe gets one good answer, so that a target that is still coming up, or a probe that
//! cannot work, is not taken for an outage.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferry_probe::{Connection, KindSpec, ProbeSpec, Sampler};
use ferry_record::fold::ProbeState;
use ferry_record::{Event, RunState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::not_started;
use crate::agent::Connected;
use crate::edge;
use crate::steps::{Context, StepError};
use crate::wait::{Check, polled};

/// How often it is looked at whether all have answered.
pub const AGAIN: Duration = Duration::from_millis(100);

/// Asks from this host until every probe has had a good answer.
pub(super) async fn outside(specs: &[ProbeSpec], cx: &Context<'_>) -> Result<(), StepError> {
    if specs.is_empty() {
        return Ok(());
    }
    let specs = &over_new_connections(specs);
    let seen = Arc::new(Mutex::new(RunState::default()));
    let (sink, clock) = (Arc::clone(&seen), *cx.recorder.clock());
    let sampler = Sampler::start(clock, specs.to_vec(), move |kind| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).apply(&Event { t: clock.now(), kind });
    })
    .map_err(not_started)?;
    let looks = polled(AGAIN, || async { answered(specs, &seen.lock().unwrap_or_else(PoisonError::into_inner)) });
    let all = cx.until("first good answer of every probe", looks).await;
    // Its samples are nobody's evidence, so that the way it ends does not matter.
    let _ = sampler.stop().await;
    all.map(|_| ())
}

/// Has the agent ask until every probe has had a good answer.
pub(super) async fn inside(agent: &mut Connected, specs: &[ProbeSpec], cx: &Context<'_>) -> Result<(), StepError> {
    let mut trial = over_new_connections(specs);
    trial.iter_mut().for_each(|spec| spec.name.insert_str(0, "preflight-"));
    agent.sample(&trial).await.map_err(|e| StepError::Agent(Box::new(e)))?;
    let agent = tokio::sync::Mutex::new((agent, RunState::default()));
    let looks = polled(AGAIN, || async {
        let (agent, seen) = &mut *agent.lock().await;
        match agent.events().await {
            Ok(events) => {
                events.iter().for_each(|event| seen.apply(event));
                answered(&trial, seen)
            }
            Err(error) => Check::NotYet(edge::chain(&error)),
        }
    });
    cx.until("first good answer of every probe from inside", looks).await?;
    Ok(())
}

/// A connection that is made before a node knows its Services leads anywhere, and stays there for as long as somebody answers: who
/// reuses it would never see that the target has come up. So it is asked over new ones, for all.
fn over_new_connections(specs: &[ProbeSpec]) -> Vec<ProbeSpec> {
    let mut all: Vec<ProbeSpec> = Vec::with_capacity(specs.len());
    for spec in specs {
        let mut spec = spec.clone();
        if let KindSpec::Http(_) = spec.kind {
            spec.connection = Connection::New;
        }
        if all.iter().all(|other| other.id() != spec.id()) {
            all.push(spec);
        }
    }
    all
}

/// How often what a policy must keep out may get through until that is left to the verdict. Policies take effect a moment after
/// they are accepted; a cluster that enforces none must not be taken for one that is still coming up.
const POLICY_TRIES: u64 = 10;

/// Whether each has had a good answer; for one that has not, what it had instead.
fn answered(specs: &[ProbeSpec], seen: &RunState) -> Check {
    let waiting: Vec<String> = specs
        .iter()
        .filter_map(|spec| {
            let id = spec.id();
            let probe = seen.probes.get(&id);
            let enough =
                |probe: &ProbeState| probe.total.good() > 0 || is_denied(spec) && probe.total.taken >= POLICY_TRIES;
            if probe.is_some_and(enough) {
                return None;
            }
            let failure = probe.and_then(|probe| probe.current_outage()).and_then(|outage| outage.kinds.keys().next());
            Some(failure.map_or_else(|| format!("{id} has no answer"), |failure| format!("{id}: {}", failure)))
        })
        .collect();
    match waiting.as_slice() {
        [] => Check::Met("all have answered".into()),
        waiting => Check::NotYet(waiting.join("; ")),
    }
}

/// Whether it is the half of a canary that policy must keep out.
fn is_denied(spec: &ProbeSpec) -> bool {
    matches!(&spec.kind, KindSpec::Canary(canary) if canary.denied)
}

/// One request by hand, where only an answer counts.
pub async fn answers(authority: &str, path: &str, status: u16) -> Check {
    let ask = async {
        let mut stream = TcpStream::connect(authority).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    match tokio::time::timeout(Duration::from_secs(1), ask).await {
        Ok(Ok(line)) if line.ends_with(&format!(" {status}")) => Check::Met(line),
        Ok(Ok(line)) => Check::NotYet(format!("{authority} answers {line:?}, not {status}")),
        Ok(Err(error)) => Check::NotYet(format!("{authority} does not answer: {error}")),
        Err(_) => Check::NotYet(format!("{authority} did not answer within 1s")),
    }
}

#[cfg(test)]
mod tests {
    use ferry_probe::{CanarySpec, HttpSpec, Place};
    use ferry_record::EventKind;
    use ferry_record::event::{Failure, ProbeInfo, SampleBlock};
    use rstest::rstest;

    use super::*;

    fn spec(denied: bool) -> ProbeSpec {
        ProbeSpec {
            name: "policy".into(),
            node: None,
            place: Place::Inside,
            connection: Connection::New,
            kind: KindSpec::Canary(CanarySpec { address: "web:80".into(), denied }),
            interval: Duration::from_millis(500),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn who_reuses_a_connection_is_asked_for_over_a_new_one() {
        let http = |name: &str, connection| ProbeSpec {
            name: name.into(),
            connection,
            kind: KindSpec::Http(HttpSpec::new("http://web/")),
            ..spec(false)
        };
        let all =
            [http("a", Connection::New), http("a", Connection::Reused), http("b", Connection::Reused), spec(true)];
        let asked: Vec<String> = over_new_connections(&all).iter().map(ProbeSpec::id).collect();
        assert_eq!(asked, ["a/inside/new", "b/inside/new", "policy/inside/new"]);
    }

    /// So many samples, of which the last few are good.
    fn seen(spec: &ProbeSpec, taken: u32, good: u32) -> RunState {
        let info = ProbeInfo {
            probe: spec.id(),
            kind: spec.kind.name().into(),
            target: "connect".into(),
            place: "inside".into(),
            connection: "new".into(),
            start: 0,
            interval: 500_000_000,
            timeout: 1_000_000_000,
        };
        let samples = SampleBlock {
            probe: spec.id(),
            start: 0,
            interval: 500_000_000,
            latency: vec![1_000; taken as usize],
            slip: vec![50; taken as usize],
            failed: (0..taken - good).map(|index| (index, Failure::Timeout)).collect(),
        };
        let mut seen = RunState::default();
        for kind in [EventKind::ProbeStarted(info), EventKind::Samples(samples)] {
            seen.apply(&Event { t: 20_000_000_000, kind });
        }
        seen
    }

    #[rstest]
    #[case::kept_out(true, 1, 1, true)]
    #[case::not_kept_out_yet(true, 9, 0, false)]
    #[case::never_kept_out(true, 10, 0, true)]
    #[case::let_through(false, 1, 1, true)]
    #[case::not_there_yet(false, 10, 0, false)]
    fn whether_policy_is_enforced_is_for_the_verdict(
        #[case] denied: bool,
        #[case] taken: u32,
        #[case] good: u32,
        #[case] ready: bool,
    ) {
        let spec = spec(denied);
        let check = answered(std::slice::from_ref(&spec), &seen(&spec, taken, good));
        assert_eq!(matches!(check, Check::Met(_)), ready, "{check:?}");
    }
}

//! The self-proof: before anything is concluded from probes, they show on a workload of their own that they see what is
//! true. A rolling restart, which loses nothing, must look like one; a cut of a known length must be seen where it was.
//!
//! It runs while the first phase brings Flux up, so that it costs a run little. It cannot fail a run: probes that did not
//! prove themselves make the verdict inconclusive, by the rule `self-proof`.

mod judge;

use std::sync::mpsc;
use std::time::Duration;

use ferry_probe::{Clock, Connection, HttpSpec, KindSpec, Place, ProbeSpec, Sampler, SamplerError, SamplerHandle};
use ferry_record::{Event, EventKind, Nanos, RunState};
use ferry_scenario::text::ObjectRef;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::ready::readiness;
use crate::cluster::{Cluster, ClusterError, watch};
use crate::faults::{self, FaultError};
use crate::run::recorder::Recorder;
use crate::run::stage::Stage;
use crate::steps::{FIELD_MANAGER, StepError};
use crate::wait::{self, Check, Deadline, WaitError, polled};
use judge::Marks;

/// How long each part may take (the workload's start, its first answer, its restart); 2 to 15 s are usual.
pub const PART_DEADLINE: Duration = Duration::from_secs(60);

/// The port of every node that leads to the workload; profiles publish it.
pub const NODE_PORT: u16 = 30_079;

/// How long the workload is cut off: six samples.
const CUT: Duration = Duration::from_millis(300);

/// Time between samples, as of scenarios that ask 20 times a second, the default.
const INTERVAL: Duration = Duration::from_millis(50);

/// A probe's timeout in a scenario that does not say otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Time between the parts, so that what belongs to one is not put down to the other.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the restart is looked at.
const LOOK: Duration = Duration::from_millis(250);

const WORKLOAD: &str = include_str!("workload.yaml");

/// Why the probes could not even be put to the test.
#[derive(Debug, thiserror::Error)]
enum ProofError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error(transparent)]
    Port(#[from] StepError),
    #[error("the manifest of the self-proof's workload is no YAML: {0}")]
    Manifest(#[from] serde_yaml::Error),
}

/// Puts the probes to the test and records what came of it.
pub async fn prove(stage: &Stage, cluster: &Cluster, recorder: &Recorder) {
    let proof = recorder.activity("self-proof", run(stage, cluster, recorder.clock())).await;
    let results = proof.unwrap_or_else(|error| judge::not_carried_out(&crate::edge::chain(&error)));
    results.into_iter().for_each(|result| recorder.emit(result));
}

async fn run(stage: &Stage, cluster: &Cluster, clock: &Clock) -> Result<Vec<EventKind>, ProofError> {
    let port = stage.published(NODE_PORT)?;
    for document in serde_yaml::Deserializer::from_str(WORKLOAD) {
        cluster.apply(&Value::deserialize(document)?, FIELD_MANAGER).await?;
    }
    let workload = deployment();
    ready(cluster, &workload).await?;
    let url = format!("http://127.0.0.1:{port}/");
    answers(&url).await?;

    let (sampler, events) = sample(clock, &url)?;
    tokio::time::sleep(PAUSE).await;
    let restarted = clock.now();
    restart(cluster, &workload).await?;
    tokio::time::sleep(PAUSE).await;
    let settled = clock.now();
    let fault = faults::cut_off(cluster, stage.cluster(), &workload, &[], CUT, clock).await?;
    tokio::time::sleep(PAUSE).await;
    sampler.stop().await?;

    let seen: RunState = events.try_iter().fold(RunState::default(), |mut seen, event| {
        seen.apply(&event);
        seen
    });
    remove(cluster).await?;
    Ok(judge::judge(&seen, &Marks { restarted, settled, fault }))
}

fn deployment() -> ObjectRef {
    ObjectRef { kind: "deployment".into(), namespace: Some("ferry-lab".into()), name: "proof".into() }
}

/// Samples that are the proof's alone: in the record they would be the workload's.
fn sample(clock: &Clock, url: &str) -> Result<(SamplerHandle, mpsc::Receiver<Event>), SamplerError> {
    let spec = |connection| ProbeSpec {
        name: "proof".into(),
        node: None,
        place: Place::Outside,
        connection,
        kind: KindSpec::Http(HttpSpec::new(url)),
        interval: INTERVAL,
        timeout: TIMEOUT,
    };
    let (sender, receiver) = mpsc::channel();
    let clock = *clock;
    let sampler = Sampler::start(clock, [Connection::New, Connection::Reused].map(spec).into(), move |kind| {
        // The receiver lives as long as the sampler.
        let _ = sender.send(Event { t: clock.now(), kind });
    })?;
    Ok((sampler, receiver))
}

async fn ready(cluster: &Cluster, object: &ObjectRef) -> Result<(), ProofError> {
    let deadline = Deadline { what: format!("{object} ready"), within: PART_DEADLINE };
    wait::until(deadline, watch::of(cluster, object, readiness), |_| {}).await?;
    Ok(())
}

/// Waits for the first answer: a Service's endpoints take a moment to reach the node's rules.
async fn answers(url: &str) -> Result<(), ProofError> {
    let deadline = Deadline { what: format!("first answer of {url}"), within: PART_DEADLINE };
    let authority = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let asked = polled(LOOK, || crate::run::probing::answers(&authority, "/", 200));
    wait::until(deadline, asked, |_| {}).await?;
    Ok(())
}

/// A rolling restart to its very end: the pods of before are gone too.
async fn restart(cluster: &Cluster, workload: &ObjectRef) -> Result<(), ProofError> {
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": jiff::Timestamp::now().to_string()});
    let change = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    cluster.merge(workload, &change, FIELD_MANAGER).await?;
    ready(cluster, workload).await?;
    let deadline = Deadline { what: format!("the old pods of {workload} gone"), within: PART_DEADLINE };
    let gone = polled(LOOK, || async {
        match cluster.pods_of(workload).await {
            Ok(pods) => all_live(&pods.unwrap_or_default()),
            Err(error) => Check::Unknown(crate::edge::chain(&error)),
        }
    });
    wait::until(deadline, gone, |_| {}).await?;
    Ok(())
}

fn all_live(pods: &[Value]) -> Check {
    let ending = pods.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_some()).count();
    if ending == 0 { Check::Met("all are new".into()) } else { Check::NotYet(format!("{ending} pods are ending")) }
}

/// Makes room; what is left of it does no harm, and goes with the cluster.
async fn remove(cluster: &Cluster) -> Result<(), ClusterError> {
    let workload = deployment();
    let api = cluster.api(&workload.kind, workload.namespace.as_deref()).await?;
    let deleted = api.delete(&workload.name, &Default::default()).await;
    deleted.map_err(|e| crate::cluster::request(format!("delete {workload}"), e))?;
    Ok(())
}

/// How far apart two moments are.
fn distance(a: Nanos, b: Nanos) -> Nanos {
    a.abs_diff(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_is_what_the_proof_asks_for() {
        let documents: Vec<Value> = serde_yaml::Deserializer::from_str(WORKLOAD)
            .map(|document| Value::deserialize(document).unwrap())
            .collect();
        let kinds: Vec<&str> = documents.iter().filter_map(|document| document["kind"].as_str()).collect();
        assert_eq!(kinds, ["Namespace", "Deployment", "Service"]);
        assert_eq!(documents[2]["spec"]["ports"][0]["nodePort"], NODE_PORT);
        assert_eq!(documents[1]["metadata"]["name"], deployment().name.as_str());
        let image = &documents[1]["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, crate::run::stage::WORKLOAD_IMAGE);
    }
}

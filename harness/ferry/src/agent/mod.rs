//! Probing from inside: an agent on a node of the cluster takes the samples, and what it spooled is brought into the record.
//!
//! Nothing is lost on the way: the agent keeps everything on its node's disk until it is read, by its place in the spool, so
//! that a broken connection, a restarting API server or a killed agent costs time and no samples. The agent's clock is
//! compared with the run's, and its samples are recorded by the run's.

mod link;

use std::time::Duration;

use ferry_probe::ProbeSpec;
use ferry_probe::agent::{Clocks, Ticks, rebase};
use ferry_record::event::Level;
use ferry_record::{Event, EventKind};
use ferry_scenario::text::ObjectRef;
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::ready::readiness;
use crate::cluster::{Cluster, ClusterError, watch};
use crate::run::recorder::Recorder;
use crate::steps::FIELD_MANAGER;
use crate::wait::{self, Deadline, WaitError};
use link::{Link, LinkError};

/// The harness' own namespace.
pub const NAMESPACE: &str = "ferry-lab";

/// The agent's label.
pub const APP: &str = "ferry-agent";

/// Where agents listen.
pub const PORT: u16 = 7070;

/// How long agents may take to become ready; 3 s are usual.
pub const READY_DEADLINE: Duration = Duration::from_secs(60);

/// How long an agent may take to say its last, beyond the longest timeout of its probes.
pub const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// How long the agent holds a question open when it has nothing to say.
const WAIT: Duration = Duration::from_secs(1);

/// Time between tries while the agent cannot be reached.
const AGAIN: Duration = Duration::from_millis(250);

/// Questions about the clock: the quickest of them counts.
const CLOCK_QUESTIONS: usize = 12;

const MANIFEST: &str = include_str!("daemonset.yaml");

/// Why there is no probing from inside.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The API server refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It does not become ready.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// It does not answer.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What it answers is not what an agent says.
    #[error("the agent on {node} answers {said:?}: {source}")]
    Answer {
        /// Its node.
        node: String,
        /// What it says.
        said: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A manifest of this program is broken.
    #[error("the agent's manifest is no YAML: {0}")]
    Manifest(#[from] serde_yaml::Error),
}

/// Puts an agent on every node and waits until they are ready.
pub async fn deploy(cluster: &Cluster) -> Result<(), AgentError> {
    for document in serde_yaml::Deserializer::from_str(MANIFEST) {
        cluster.apply(&Value::deserialize(document)?, FIELD_MANAGER).await?;
    }
    let agents = ObjectRef { kind: "daemonset".into(), namespace: Some(NAMESPACE.into()), name: APP.into() };
    let deadline = Deadline { what: "the probe agents ready".into(), within: READY_DEADLINE };
    wait::until(deadline, watch::of(cluster, &agents, readiness), |_| {}).await?;
    Ok(())
}

/// An agent at work.
#[derive(Debug)]
pub struct Agent {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Agent {
    /// Makes the agent of a node sample, from now until [`Agent::stop`], into the record.
    ///
    /// # Errors
    /// When it cannot be reached, or refuses the probes.
    pub async fn start(
        cluster: &Cluster,
        node: &str,
        specs: &[ProbeSpec],
        recorder: &Recorder,
    ) -> Result<Self, AgentError> {
        let link = Link::new(cluster.client.clone(), node.to_owned());
        let offset = compare(&link, recorder).await?;
        let body = serde_json::to_vec(specs).unwrap_or_default();
        link.ask(Method::PUT, "/specs", body, Duration::ZERO).await?;
        let stop = CancellationToken::new();
        let longest = specs.iter().map(|spec| spec.timeout).max().unwrap_or_default();
        let follower =
            Follower { link, recorder: recorder.clone(), offset, from: 0, unreachable: None, patience: longest + STOP_DEADLINE };
        let task = tokio::spawn(follower.run(stop.clone()));
        Ok(Self { task, stop })
    }

    /// Ends the sampling and returns when the agent's last word is in the record, or it could not be had in time; the record
    /// then shows which samples are missing.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic of the task is a bug that has been printed; what is missing in the record shows.
        let _ = self.task.await;
    }
}

/// Compares the agent's clock with the run's, and says so.
async fn compare(link: &Link, recorder: &Recorder) -> Result<i64, AgentError> {
    let mut clocks = Clocks::default();
    for _ in 0..CLOCK_QUESTIONS {
        let sent = recorder.clock().now();
        let said = link.ask(Method::GET, "/clock", vec![], Duration::ZERO).await?;
        let received = recorder.clock().now();
        let agent: Ticks = serde_json::from_str(&said).map_err(|source| AgentError::Answer {
            node: link.node.clone(),
            said: said.clone(),
            source,
        })?;
        clocks.add(sent, agent.now, received);
    }
    let (offset, uncertainty) = clocks.estimate().unwrap_or_default();
    recorder.emit(EventKind::AgentClock { agent: link.node.clone(), offset, uncertainty });
    Ok(offset)
}

/// Reads one agent's spool.
struct Follower {
    link: Link,
    recorder: Recorder,
    offset: i64,
    from: u64,
    unreachable: Option<Instant>,
    patience: Duration,
}

impl Follower {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let read = tokio::select! {
                () = stop.cancelled() => break,
                read = self.read(WAIT) => read,
            };
            if let Err(error) = read {
                self.missed(&error).await;
            }
        }
        let finish = async {
            while let Err(error) = self.link.ask(Method::POST, "/stop", vec![], self.patience).await {
                self.missed(&error).await;
            }
            loop {
                match self.read(Duration::ZERO).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => self.missed(&error).await,
                }
            }
        };
        if tokio::time::timeout(self.patience, finish).await.is_err() {
            let said = format!("the agent on {} did not say its last within {:?}", self.link.node, self.patience);
            self.note(Level::Warn, said);
        }
    }

    /// Brings what the agent spooled since the last time into the record; returns how many bytes.
    async fn read(&mut self, wait: Duration) -> Result<u64, LinkError> {
        let path = format!("/events?from={}&wait={}", self.from, wait.as_secs());
        let text = self.link.ask(Method::GET, &path, vec![], wait).await?;
        if let Some(since) = self.unreachable.take() {
            let away = since.elapsed();
            self.note(Level::Info, format!("the agent on {} is back after {away:.1?}", self.link.node));
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines() {
            match serde_json::from_str::<Event>(line) {
                Ok(event) => self.recorder.emit(rebase(event.kind, self.offset)),
                Err(error) => self.note(Level::Warn, format!("the agent on {} spooled {line:?}: {error}", self.link.node)),
            }
        }
        let whole = u64::try_from(whole).unwrap_or(u64::MAX);
        self.from = self.from.saturating_add(whole);
        Ok(whole)
    }

    /// Says once that the agent is away, and waits a little.
    async fn missed(&mut self, error: &LinkError) {
        if self.unreachable.is_none() {
            self.unreachable = Some(Instant::now());
            let said = format!("the agent on {} cannot be read: {}", self.link.node, crate::edge::chain(error));
            self.note(Level::Info, said);
        }
        tokio::time::sleep(AGAIN).await;
    }

    fn note(&self, level: Level, message: String) {
        self.recorder.emit(EventKind::Log { level, message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_what_is_asked_for() {
        let documents: Vec<Value> = serde_yaml::Deserializer::from_str(MANIFEST)
            .map(|document| Value::deserialize(document).unwrap())
            .collect();
        let set = documents.iter().find(|document| document["kind"] == "DaemonSet").unwrap();
        assert_eq!((set["metadata"]["namespace"].as_str(), set["metadata"]["name"].as_str()), (Some(NAMESPACE), Some(APP)));
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["ports"][0]["containerPort"], PORT);
        assert_eq!(container["image"], crate::run::stage::AGENT_IMAGE);
        let selector = &set["spec"]["selector"]["matchLabels"];
        assert_eq!(selector, &set["spec"]["template"]["metadata"]["labels"]);
    }
}

//! Probing from inside: an agent on a node of the cluster takes the samples, and what it spooled is brought into the record.
//!
//! Nothing is lost on the way: the agent keeps everything on its node's disk until it is read, by its place in the spool, so
//! that a broken connection, a restarting API server or a killed agent costs time and no samples. The agent's clock is
//! compared with the run's, and its samples are recorded by the run's.

mod deploy;
mod follow;
mod link;

use std::time::Duration;

use ferry_lab::cluster::Cluster as LabCluster;
use ferry_probe::agent::protocol::{Aim, Call, Chunk, ChunkError, ClockAnswer};
use ferry_probe::agent::times::{Offset, Reading, estimate};
use ferry_probe::{KindSpec, ProbeSpec};
use ferry_record::{Event, EventKind};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, ClusterError};
use crate::run::recorder::Recorder;
use crate::wait::{self, Check, Deadline, WaitError, polled};
pub use deploy::deploy;
use follow::Follower;
use link::{Link, LinkError};

/// The harness' own namespace.
pub const NAMESPACE: &str = "ferry-lab";

/// The agent's label.
pub const APP: &str = "ferry-agent";

/// How long agents may take to become ready, or to come back; 3 s are usual.
pub const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Questions about the clock: the quickest of them counts.
const CLOCK_QUESTIONS: usize = 12;

/// Kills the agent's process, which its image starts by a link of another name; fails where there is none.
const KILL: &str = "killed=1; for p in /proc/[0-9]*; do
  if [ \"$(readlink $p/exe)\" = /usr/local/bin/ferry-agent ]; then kill -9 ${p#/proc/} && killed=0; fi
done; exit $killed";

/// How often an agent that is to come back is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no probing from inside.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The API server refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The node is not the lab's.
    #[error(transparent)]
    Lab(#[from] ferry_lab::cluster::ClusterError),
    /// The node refused.
    #[error(transparent)]
    Exec(#[from] ferry_lab::container::ExecError),
    /// It does not become ready.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// It does not answer.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Its spool is not one.
    #[error("the agent on {node}: {source}")]
    Spool {
        /// Its node.
        node: String,
        /// What is wrong with it.
        source: ChunkError,
    },
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

/// An agent that answers, and whose clock is known.
#[derive(Debug)]
pub struct Connected {
    link: Link,
    recorder: Recorder,
    /// Which spool is read.
    spool: String,
    /// The agent's clock minus the run's.
    offset: i64,
    /// What was read of the spool, in bytes.
    from: u64,
}

impl Connected {
    /// Reaches the agent of a node, and compares its clock with the run's.
    pub async fn to(cluster: &Cluster, node: &str, recorder: &Recorder) -> Result<Self, AgentError> {
        let link = Link::new(cluster.client.clone(), node.to_owned());
        let (mut readings, mut spool) = (vec![], String::new());
        for _ in 0..CLOCK_QUESTIONS {
            let sent = recorder.clock().now();
            let clock = clock(&link).await?;
            readings.push(Reading { sent, agent: clock.t, received: recorder.clock().now() });
            spool = clock.spool;
        }
        let Offset { offset, uncertainty } = estimate(&readings).unwrap_or_default();
        recorder.emit(EventKind::AgentClock { agent: node.to_owned(), offset, uncertainty });
        Ok(Self { link, recorder: recorder.clone(), spool, offset, from: 0 })
    }

    /// Makes the agent sample these, instead of what it sampled.
    pub async fn sample(&mut self, specs: &[ProbeSpec]) -> Result<(), AgentError> {
        self.link.ask(Call::Specs(specs), Duration::ZERO).await?;
        Ok(())
    }

    /// What the agent spooled since the last time, by its own clock.
    pub async fn events(&mut self) -> Result<Vec<Event>, AgentError> {
        self.read(Duration::ZERO).await
    }

    /// Makes the agent sample these into the record, from now until [`Agent::stop`].
    pub async fn start(mut self, specs: &[ProbeSpec]) -> Result<Agent, AgentError> {
        self.sample(specs).await?;
        let caller = Caller { link: self.link.clone() };
        let stop = CancellationToken::new();
        let follower = Follower::new(self, specs);
        let task = tokio::spawn(follower.run(stop.clone()));
        Ok(Agent { caller, task, stop })
    }

    async fn read(&mut self, wait: Duration) -> Result<Vec<Event>, AgentError> {
        let text = self.link.ask(Call::Events { from: self.from, wait, spool: &self.spool }, wait).await?;
        let unreadable = |source| AgentError::Spool { node: self.link.node.clone(), source };
        let chunk = Chunk::read(self.from, text.as_bytes()).map_err(unreadable)?;
        self.from = chunk.next;
        Ok(chunk.events)
    }
}

async fn clock(link: &Link) -> Result<ClockAnswer, AgentError> {
    let said = link.ask(Call::Clock, Duration::ZERO).await?;
    serde_json::from_str(&said).map_err(|source| AgentError::Answer { node: link.node.clone(), said, source })
}

/// Talks to an agent at work.
#[derive(Debug, Clone)]
pub struct Caller {
    link: Link,
}

impl Caller {
    /// Lets a probe ask something else of its kind.
    pub async fn aim(&self, probe: &str, kind: KindSpec) -> Result<(), AgentError> {
        self.link.ask(Call::Aim(&Aim { probe: probe.to_owned(), kind }), Duration::ZERO).await?;
        Ok(())
    }
}

/// An agent at work.
#[derive(Debug)]
pub struct Agent {
    caller: Caller,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Agent {
    /// A way to talk to it, for as long as it works.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Its node.
    pub fn node(&self) -> &str {
        &self.caller.link.node
    }

    /// Kills the agent's process without warning and waits until its next life answers.
    pub async fn kill(&self, lab: &LabCluster) -> Result<(), AgentError> {
        let before = clock(&self.caller.link).await?.incarnation;
        lab.node(self.node())?.container.exec(["sh", "-c", KILL]).succeed().await?;
        let deadline = Deadline { what: format!("the agent on {} back", self.node()), within: READY_DEADLINE };
        let back = polled(LOOK, || async {
            match clock(&self.caller.link).await {
                Ok(clock) if clock.incarnation > before => Check::Met(format!("life {}", clock.incarnation)),
                Ok(_) => Check::NotYet("its process is still the old one".into()),
                Err(error) => Check::NotYet(crate::edge::chain(&error)),
            }
        });
        wait::until(deadline, back, |_| {}).await?;
        Ok(())
    }

    /// Ends the sampling and returns when the agent's last word is in the record, or it could not be had in time; the record
    /// then shows which samples are missing.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic of the task is a bug that has been printed; what is missing in the record shows.
        let _ = self.task.await;
    }
}

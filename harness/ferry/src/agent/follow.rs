//! Reads an agent's spool into the record, from its start to its end, whatever happens on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use ferry_probe::ProbeSpec;
use ferry_probe::agent::protocol::{Call, Stopped};
use ferry_probe::agent::times::rebase;
use ferry_record::EventKind;
use ferry_record::event::Level;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{AgentError, Connected};

/// How long an agent may take to say its last, beyond the longest timeout of its probes.
pub const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// How long the agent holds a question open when it has nothing to say.
const WAIT: Duration = Duration::from_secs(1);

/// Time between tries while the agent cannot be reached.
const AGAIN: Duration = Duration::from_millis(250);

/// Reads one agent's spool.
#[derive(Debug)]
pub(super) struct Follower {
    agent: Connected,
    /// Whose events are evidence; those of the preflight are not.
    probes: BTreeSet<String>,
    unreachable: Option<Instant>,
    patience: Duration,
}

impl Follower {
    pub(super) fn new(agent: Connected, specs: &[ProbeSpec]) -> Self {
        let longest = specs.iter().map(|spec| spec.timeout).max().unwrap_or_default();
        let probes = specs.iter().map(ProbeSpec::id).collect();
        Self { agent, probes, unreachable: None, patience: longest + STOP_DEADLINE }
    }

    /// Reads until it is told to stop, and then until everything is read.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let read = tokio::select! {
                () = stop.cancelled() => break,
                read = self.read(WAIT) => read,
            };
            if let Err(error) = read {
                self.missed(&error).await;
            }
        }
        let patience = self.patience;
        if tokio::time::timeout(patience, self.finish()).await.is_err() {
            let said = format!("the agent on {} did not say its last within {patience:?}", self.agent.link.node);
            self.note(Level::Warn, said);
        }
    }

    async fn finish(&mut self) {
        let length = loop {
            match self.agent.link.ask(Call::Stop, self.patience).await {
                // An answer that cannot be read was one: what there is is read until nothing comes any more.
                Ok(said) => break serde_json::from_str::<Stopped>(&said).map_or(u64::MAX, |stopped| stopped.length),
                Err(error) => self.missed(&error.into()).await,
            }
        };
        while self.agent.from < length {
            match self.read(Duration::ZERO).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => self.missed(&error).await,
            }
        }
    }

    /// Brings what the agent spooled since the last time into the record; returns how many events.
    async fn read(&mut self, wait: Duration) -> Result<usize, AgentError> {
        let events = self.agent.read(wait).await?;
        if let Some(since) = self.unreachable.take() {
            let said = format!("the agent on {} is back after {:.1?}", self.agent.link.node, since.elapsed());
            self.note(Level::Info, said);
        }
        let read = events.len();
        for event in events {
            if about(&event.kind).is_none_or(|probe| self.probes.contains(probe)) {
                self.agent.recorder.emit(rebase(event.kind, self.agent.offset));
            }
        }
        Ok(read)
    }

    /// Says once that the agent is away, and waits a little.
    async fn missed(&mut self, error: &AgentError) {
        if self.unreachable.is_none() {
            self.unreachable = Some(Instant::now());
            let said = format!("the agent on {} cannot be read: {}", self.agent.link.node, crate::edge::chain(error));
            self.note(Level::Info, said);
        }
        tokio::time::sleep(AGAIN).await;
    }

    fn note(&self, level: Level, message: String) {
        self.agent.recorder.emit(EventKind::Log { level, message });
    }
}

/// The probe that an event is about.
fn about(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::ProbeStarted(info) => Some(&info.probe),
        EventKind::Samples(block) => Some(&block.probe),
        EventKind::ProbeStopped { probe, .. } | EventKind::SamplerOutage { probe, .. } => Some(probe),
        _ => None,
    }
}

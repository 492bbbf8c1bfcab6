//! What an agent does when it is asked to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::Duration;

use ferry_record::{Event, EventKind};
use thiserror::Error;
use tokio::sync::{Mutex, oneshot, watch};

use super::clock::Moment;
use super::protocol::{Aim, CHUNK, ClockAnswer, MAX_WAIT, Stopped};
use super::saved::Saved;
use super::spool::{Reader, Spool};
use super::writer::{self, Note, State};
use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::kind;
use crate::sampler::{Sampler, SamplerError, SamplerHandle};
use crate::spec::{ProbeSpec, SpecError};

/// Bytes that a spool may have before it takes no more samples: 256 MiB. At 20 bytes a sample and more, that is half an hour
/// of 2,000 samples/s and days of what scenarios ask for.
pub const SPOOL_LIMIT: u64 = 256 << 20;

/// Why a probe of an earlier life ended that nobody stopped.
const NOT_STOPPED: &str = "the agent was not running";

/// Why an agent cannot do what it is asked to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The spool, or what is beside it, cannot be read or written.
    #[error("cannot use the spool")]
    Spool(#[source] io::Error),
    /// The spool takes no more samples.
    #[error("the spool is full: {0}")]
    Full(String),
    /// The thread that fills the spool is gone.
    #[error("nobody writes the spool")]
    NoWriter,
    /// The sampler could not start, or did not end as it should.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// Nothing is sampled that could be aimed.
    #[error("nothing is sampled")]
    Idle,
    /// The spool is not the one that was asked for: what was not read of that one is lost.
    #[error("this is spool {0}")]
    OtherSpool(String),
    /// Not where a line of the spool begins.
    #[error("no event begins at byte {from} of {length}")]
    Offset {
        /// The byte asked for.
        from: u64,
        /// Bytes in the spool.
        length: u64,
    },
}

impl From<SpecError> for AgentError {
    fn from(error: SpecError) -> Self {
        Self::Sampler(error.into())
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    folder: PathBuf,
    spool: String,
    incarnation: u32,
    clock: Clock,
    reader: Reader,
    notes: Sender<Note>,
    state: watch::Receiver<State>,
    work: Mutex<Option<Work>>,
}

/// What is sampled.
#[derive(Debug)]
struct Work {
    saved: Saved,
    sampler: SamplerHandle,
}

impl Agent {
    /// Opens the spool in `folder`, or makes one that holds `limit` bytes, and goes on with what an earlier life was to
    /// sample.
    ///
    /// # Errors
    /// A folder that cannot be used, or no thread to be had.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, AgentError> {
        let spool = Spool::open(folder, limit).map_err(AgentError::Spool)?;
        let saved = Saved::read(folder).map_err(AgentError::Spool)?;
        let since = Moment::now().map_err(AgentError::Spool)?.since(&spool.manifest.made);
        let clock = Clock::reading(since.max(spool.last));
        let accounts = spool.accounts.clone();
        let (id, incarnation) = (spool.manifest.id.clone(), spool.manifest.incarnation);
        let reader = spool.reader().map_err(AgentError::Spool)?;
        let (notes, state) = writer::start(spool).map_err(AgentError::Spool)?;
        let mut agent = Self {
            folder: folder.into(),
            spool: id,
            incarnation,
            clock,
            reader,
            notes,
            state,
            work: Mutex::const_new(None),
        };
        agent.end_what_is_not_saved(&accounts, saved.as_ref());
        if let Some(saved) = saved {
            let sampler = agent.sample(saved.aimed.clone(), &accounts)?;
            *agent.work.get_mut() = Some(Work { saved, sampler });
        }
        Ok(agent)
    }

    /// A life that was killed as it stopped left probes without an end.
    fn end_what_is_not_saved(&self, accounts: &Accounts, saved: Option<&Saved>) {
        for (probe, account) in accounts.iter() {
            if saved.is_some_and(|saved| saved.aimed.iter().any(|spec| spec.id() == *probe)) {
                continue;
            }
            let due = self.clock.now().checked_sub(account.start).map_or(0, |since| since / account.interval + 1);
            let planned = due.max(account.accounted);
            let end = EventKind::ProbeStopped { probe: probe.clone(), planned };
            for kind in account.outage(probe, planned, NOT_STOPPED).into_iter().chain([end]) {
                self.notes.send(Note::Event(Event { t: self.clock.now(), kind })).ok();
            }
        }
    }

    fn sample(&self, specs: Vec<ProbeSpec>, accounts: &Accounts) -> Result<SamplerHandle, AgentError> {
        let (clock, notes) = (self.clock, self.notes.clone());
        // Without a writer `healthz` fails.
        let sink = move |kind| drop(notes.send(Note::Event(Event { t: clock.now(), kind })));
        Ok(Sampler::take_over(clock, specs, accounts, sink)?)
    }

    /// What its clock says.
    #[must_use]
    pub fn clock(&self) -> ClockAnswer {
        ClockAnswer { t: self.clock.now(), spool: self.spool.clone(), incarnation: self.incarnation }
    }

    /// Samples these instead of what it sampled, unless they are the same.
    ///
    /// # Errors
    /// Specs that cannot run: then nothing has changed. A sampler that could not be stopped or started, a spool that is full
    /// or cannot be written.
    pub async fn specs(&self, specs: Vec<ProbeSpec>) -> Result<(), AgentError> {
        let mut work = self.work.lock().await;
        // Whoever got no answer asks again.
        if work.as_ref().is_some_and(|work| work.saved.asked == specs && work.sampler.is_alive()) {
            return Ok(());
        }
        if let Some(full) = self.state.borrow().full.clone() {
            return Err(AgentError::Full(full));
        }
        ProbeSpec::check_all(&specs)?;
        specs.iter().try_for_each(|spec| kind::build(spec).map(drop))?;
        if let Some(old) = work.take() {
            Saved::remove(&self.folder).map_err(AgentError::Spool)?;
            old.sampler.stop().await?;
        }
        let saved = Saved { asked: specs.clone(), aimed: specs.clone() };
        saved.write(&self.folder).map_err(AgentError::Spool)?;
        let sampler = self.sample(specs, &Accounts::default())?;
        *work = Some(Work { saved, sampler });
        Ok(())
    }

    /// Lets a probe ask something else of its kind, also in a next life.
    ///
    /// # Errors
    /// No such probe, or nothing that it could ask, or a spool that cannot be written.
    pub async fn aim(&self, Aim { probe, kind }: Aim) -> Result<(), AgentError> {
        let mut work = self.work.lock().await;
        let work = work.as_mut().ok_or(AgentError::Idle)?;
        work.sampler.aim(&probe, kind.clone())?;
        for spec in work.saved.aimed.iter_mut().filter(|spec| spec.id() == probe) {
            spec.kind = kind.clone();
        }
        work.saved.write(&self.folder).map_err(AgentError::Spool)
    }

    /// Stops sampling for good, and returns when the last event is in the spool.
    ///
    /// # Errors
    /// A sampler that died or does not end, a spool that cannot be written.
    pub async fn stop(&self) -> Result<Stopped, AgentError> {
        let mut work = self.work.lock().await;
        Saved::remove(&self.folder).map_err(AgentError::Spool)?;
        if let Some(work) = work.take() {
            work.sampler.stop().await?;
        }
        self.sync().await
    }

    /// Stops sampling until the next life, which goes on with the same probes.
    ///
    /// # Errors
    /// As [`Agent::stop`].
    pub async fn suspend(&self) -> Result<Stopped, AgentError> {
        let mut work = self.work.lock().await;
        self.notes.send(Note::Suspend).map_err(|_| AgentError::NoWriter)?;
        if let Some(work) = work.take() {
            work.sampler.stop().await?;
        }
        self.sync().await
    }

    async fn sync(&self) -> Result<Stopped, AgentError> {
        let (done, is_done) = oneshot::channel();
        self.notes.send(Note::Sync(done)).map_err(|_| AgentError::NoWriter)?;
        is_done.await.map_err(|_| AgentError::NoWriter)?;
        Ok(Stopped { length: self.state.borrow().length })
    }

    /// Lines of the spool from byte `from` on, as many as fit into [`CHUNK`]; when there is none, waits for one for as long
    /// as `wait` and [`MAX_WAIT`] allow.
    ///
    /// # Errors
    /// When no line begins there, or another spool is meant.
    pub async fn events(&self, from: u64, wait: Duration, spool: Option<&str>) -> Result<Vec<u8>, AgentError> {
        if spool.is_some_and(|spool| spool != self.spool) {
            return Err(AgentError::OtherSpool(self.spool.clone()));
        }
        let mut state = self.state.clone();
        let longer = state.wait_for(|state| state.length > from);
        // Without one, what follows says whether that is an answer.
        tokio::time::timeout(wait.min(MAX_WAIT), longer).await.ok();
        let length = state.borrow().length;
        let nowhere = AgentError::Offset { from, length };
        if from > length {
            return Err(nowhere);
        }
        self.reader.lines(from, length, CHUNK).map_err(AgentError::Spool)?.ok_or(nowhere)
    }

    /// # Errors
    /// What keeps it from its work.
    pub async fn healthz(&self) -> Result<(), AgentError> {
        if self.state.has_changed().is_err() {
            return Err(AgentError::NoWriter);
        }
        if let Some(full) = self.state.borrow().full.clone() {
            return Err(AgentError::Full(full));
        }
        match &*self.work.lock().await {
            Some(work) if !work.sampler.is_alive() => Err(SamplerError::Died.into()),
            _ => Ok(()),
        }
    }
}

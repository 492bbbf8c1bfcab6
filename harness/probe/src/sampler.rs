//! A sampler on its own thread, and the handle to it.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::Duration;

use ferry_record::EventKind;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::accounts::Accounts;
use crate::clock::{Clock, nanos};
use crate::kind;
use crate::sampling::{Control, Prepared, Sampling};
use crate::spec::{KindSpec, ProbeSpec, SpecError};
use crate::vigil::wall_clock;

/// Time that [`SamplerHandle::stop`] gives the sampler beyond the longest timeout of its probes.
pub const STOP_MARGIN: Duration = Duration::from_secs(5);

/// Takes events from the sampler's thread. It must not block: what it costs, it costs the next sample. Sending into an
/// unbounded channel is what it is for.
pub trait Sink: Fn(EventKind) + Send + 'static {}

impl<F: Fn(EventKind) + Send + 'static> Sink for F {}

/// Why sampling could not start, or did not end as it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A probe cannot run as specified.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// No thread, or no event loop in it.
    #[error("cannot start a thread for the probes")]
    Start(#[source] io::Error),
    /// The sampler's thread ended before it was told to: its record has no end.
    #[error("the sampler died before it was stopped")]
    Died,
    /// It did not end in time, because its thread is blocked.
    #[error("the sampler did not stop within {0:?}")]
    Stuck(Duration),
}

impl SamplerError {
    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Spec(error) => error.hint(),
            Self::Start(_) => "check the limits on processes and open files (ulimit -u, ulimit -n)",
            Self::Died => "this is a bug in the sampler: its panic message is on standard error",
            Self::Stuck(_) => "the machine is starved of CPU, or a stall that was asked for still lasts",
        }
    }
}

/// Samples probes on a thread of its own, with an event loop of its own, so that nothing else in the program can hold it up.
#[derive(Debug)]
pub struct Sampler;

impl Sampler {
    /// Announces the probes to `sink` and starts to sample. Needs no runtime around it.
    ///
    /// # Errors
    /// A spec that cannot run, or a thread that cannot be had; nothing was sampled then.
    pub fn start(clock: Clock, specs: Vec<ProbeSpec>, sink: impl Sink) -> Result<SamplerHandle, SamplerError> {
        Self::take_over(clock, specs, &Accounts::default(), sink)
    }

    /// Goes on with probes that an earlier sampler, with the same clock, was not able to stop: their schedules are kept,
    /// and what was due since its end is a sampler outage. Probes without an account start anew.
    ///
    /// # Errors
    /// As [`Sampler::start`].
    pub fn take_over(
        clock: Clock,
        specs: Vec<ProbeSpec>,
        accounts: &Accounts,
        sink: impl Sink,
    ) -> Result<SamplerHandle, SamplerError> {
        ProbeSpec::check_all(&specs)?;
        let stop_within = specs.iter().map(|spec| spec.timeout).max().unwrap_or_default() + STOP_MARGIN;
        let probes = specs.iter().map(|spec| (spec.id(), spec.clone())).collect();
        let prepare = |spec: ProbeSpec| {
            let interval = nanos(spec.interval);
            let earlier = accounts.get(&spec.id()).filter(|account| account.interval == interval);
            kind::build(&spec).map(|kind| Prepared { spec, kind, earlier })
        };
        let prepared = specs.into_iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SamplerError::Start)?;
        let (control, controls) = mpsc::unbounded_channel();
        let (done, ended) = oneshot::channel();
        thread::Builder::new()
            .name("ferry-sampler".into())
            .spawn(move || {
                runtime.block_on(Sampling::new(clock, wall_clock, sink, &prepared).run(controls));
                // Nobody may be waiting.
                done.send(()).ok();
            })
            .map_err(SamplerError::Start)?;
        Ok(SamplerHandle { control, ended, stop_within, probes })
    }
}

/// A running sampler. Dropping it stops the sampler too, without waiting for its last events.
#[derive(Debug)]
pub struct SamplerHandle {
    control: mpsc::UnboundedSender<Control>,
    ended: oneshot::Receiver<()>,
    stop_within: Duration,
    /// By id.
    probes: HashMap<String, ProbeSpec>,
}

impl SamplerHandle {
    /// Blocks the sampler's thread for `time`, as a starved or paused host would. The record must show it as an outage of the
    /// sampler and of nothing else.
    pub fn stall(&self, time: Duration) {
        // A sampler that died says so in `stop`.
        self.control.send(Control::Stall(time)).ok();
    }

    /// Lets a probe ask something else of the same kind from its next sample on; the record says so. This is for what moves
    /// by design, as the URL of a Flux artifact does with each revision.
    ///
    /// # Errors
    /// No such probe, or nothing that it could ask.
    pub fn aim(&self, probe: &str, kind: KindSpec) -> Result<(), SpecError> {
        let name = kind.name();
        let known = self.probes.get(probe).filter(|spec| spec.kind.name() == name);
        let spec = known.ok_or_else(|| SpecError::Unknown { probe: probe.into(), kind: name })?;
        let kind = kind::build(&ProbeSpec { kind, ..spec.clone() })?;
        // A sampler that died says so in `stop`.
        self.control.send(Control::Aim(probe.into(), kind)).ok();
        Ok(())
    }

    /// Whether it still samples: it has not died.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.control.is_closed()
    }

    /// Sends no more samples, waits for the answers to those in flight, and returns when `sink` has had the last event.
    ///
    /// # Errors
    /// When the thread died, or did not end within the longest timeout of its probes and [`STOP_MARGIN`].
    pub async fn stop(self) -> Result<(), SamplerError> {
        self.control.send(Control::Stop).ok();
        match tokio::time::timeout(self.stop_within, self.ended).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SamplerError::Died),
            Err(_) => Err(SamplerError::Stuck(self.stop_within)),
        }
    }
}

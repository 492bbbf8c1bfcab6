//! Requests to an agent and its answers: pure, so that whoever has a way to the agent (a port, the Kubernetes API server's
//! proxy) can use it.

use std::time::Duration;

use ferry_record::{Event, Nanos};
use hyper::Method;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::spec::{KindSpec, ProbeSpec};

/// Where an agent listens.
pub const PORT: u16 = 7070;

/// The longest that `GET /events` waits for an event, whatever it is asked for: below the minute after which proxies tend
/// to cut idle requests off.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// The answer to `GET /events` holds as many lines as fit into this many bytes, and at least one.
pub const CHUNK: usize = 1 << 20;

/// A request.
#[derive(Debug, Clone, Copy)]
pub enum Call<'a> {
    /// Whether it can do its work.
    Healthz,
    /// The time, as [`ClockAnswer`].
    Clock,
    /// Events, see [`Chunk::read`].
    Events {
        /// The byte of the spool to read on from.
        from: u64,
        /// How long to wait for the next event, in whole seconds, up to [`MAX_WAIT`].
        wait: Duration,
        /// [`ClockAnswer::spool`]: another one is a conflict (409), because what was not read of this one is lost.
        spool: &'a str,
    },
    /// Sample these instead. Asking again for what is sampled already changes nothing.
    Specs(&'a [ProbeSpec]),
    /// Let a probe ask something else.
    Aim(&'a Aim),
    /// Sample no more; answered with [`Stopped`].
    Stop,
}

impl Call<'_> {
    /// Its method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Healthz | Self::Clock | Self::Events { .. } => Method::GET,
            Self::Specs(_) => Method::PUT,
            Self::Aim(_) | Self::Stop => Method::POST,
        }
    }

    /// Its path and query.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Healthz => "/healthz".into(),
            Self::Clock => "/clock".into(),
            Self::Events { from, wait, spool } => format!("/events?from={from}&wait={}&spool={spool}", wait.as_secs()),
            Self::Specs(_) => "/specs".into(),
            Self::Aim(_) => "/aim".into(),
            Self::Stop => "/stop".into(),
        }
    }

    /// Its body; empty for most.
    ///
    /// # Errors
    /// A file name in a spec that is no text.
    pub fn body(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Specs(specs) => serde_json::to_vec(specs),
            Self::Aim(aim) => serde_json::to_vec(aim),
            Self::Healthz | Self::Clock | Self::Events { .. } | Self::Stop => Ok(Vec::new()),
        }
    }
}

/// What a probe is to ask from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aim {
    /// [`ProbeSpec::id`].
    pub probe: String,
    /// A question of the same kind.
    pub kind: KindSpec,
}

/// What an agent's clock says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnswer {
    /// Nanoseconds since the spool was made. One clock for all that is in the spool, whatever life of the agent wrote it.
    pub t: Nanos,
    /// Which spool: a node that lost its disk has another one.
    pub spool: String,
    /// How often an agent was started on this spool, the first time included.
    pub incarnation: u32,
}

/// The answer to `POST /stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Bytes in the spool: whoever has read up to here has read everything.
    pub length: u64,
}

/// Events of an answer, which may have been cut off anywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The complete ones, by the agent's clock.
    pub events: Vec<Event>,
    /// Where to read on.
    pub next: u64,
}

/// A line of a spool that is no event.
#[derive(Debug, Error)]
#[error("byte {at} of the agent's spool begins no event")]
pub struct ChunkError {
    at: u64,
    #[source]
    source: serde_json::Error,
}

impl Chunk {
    /// Reads what came in answer to [`Call::Events`] from byte `from` on. Half a line at its end is left for the next call.
    ///
    /// # Errors
    /// A complete line that is no event: this is not a spool, or its disk is broken.
    pub fn read(from: u64, body: &[u8]) -> Result<Self, ChunkError> {
        let mut chunk = Self { events: Vec::new(), next: from };
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else { break };
            let event = serde_json::from_slice(text).map_err(|source| ChunkError { at: chunk.next, source })?;
            chunk.events.push(event);
            chunk.next += line.len() as u64;
        }
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use ferry_record::EventKind;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::clock(Call::Clock, "GET /clock")]
    #[case::events(Call::Events { from: 7, wait: Duration::from_millis(2_500), spool: "a1" }, "GET /events?from=7&wait=2&spool=a1")]
    #[case::specs(Call::Specs(&[]), "PUT /specs []")]
    #[case::stop(Call::Stop, "POST /stop")]
    fn calls(#[case] call: Call<'_>, #[case] expected: &str) {
        let body = String::from_utf8(call.body().unwrap()).unwrap();
        assert_eq!(format!("{} {} {body}", call.method(), call.path()).trim_end(), expected);
    }

    #[test]
    fn a_line_that_is_no_event_is_named() {
        let error = Chunk::read(100, b"{\"t\":1,\"event\":\"run-ended\"}\nwhat\n").unwrap_err();
        assert_eq!(error.to_string(), "byte 128 of the agent's spool begins no event");
    }

    proptest! {
        #[test]
        fn answers_cut_off_anywhere_lose_and_repeat_nothing(
            times in prop::collection::vec(0..1_000_000_u64, 1..40),
            cuts in prop::collection::vec(0..200_usize, 1..100),
        ) {
            let events: Vec<Event> = times.iter().map(|t| Event { t: *t, kind: EventKind::RunEnded }).collect();
            let mut spool = Vec::new();
            for event in &events {
                serde_json::to_writer(&mut spool, event).unwrap();
                spool.push(b'\n');
            }
            let (mut from, mut seen) = (0, Vec::new());
            // At last the whole rest comes.
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let start = usize::try_from(from).unwrap();
                let chunk = Chunk::read(from, &spool[start..start.saturating_add(cut).min(spool.len())]).unwrap();
                seen.extend(chunk.events);
                from = chunk.next;
            }
            prop_assert_eq!(seen, events);
        }
    }
}

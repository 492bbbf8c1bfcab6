//! The probe agent: a sampler where only a container can be, whose events survive whatever happens to it.
//!
//! Everything that the sampler tells is appended to a spool on the node's disk before anyone asks for it, and stays there.
//! Whoever collects reads on from the byte where they stopped, so a connection, an API server or an agent that is down
//! delays events and loses none. An agent that is started on an existing spool goes on with the probes that it had, on the
//! same schedule and clock; what was due meanwhile is a sampler outage. What a crash of the node itself can lose, because
//! nothing is synced to the disk line by line, is accounted for in the same way.
//!
//! | request | what it does |
//! |---|---|
//! | `PUT /specs` | starts sampling what a JSON array of [`crate::ProbeSpec`]s asks for, in place of what was sampled |
//! | `POST /aim` | lets one probe ask something else of its kind, without an end of its schedule |
//! | `GET /events?from=B&wait=S&spool=ID` | the events from byte B of the spool on, one a line; waits up to S seconds for one |
//! | `GET /clock` | the time that events are stamped with, see [`protocol::ClockAnswer`] |
//! | `POST /stop` | stops sampling, and answers when the last event is in the spool |
//! | `GET /healthz` | 200 while it can do its work, 503 with the reason when not |
//!
//! | module | concept |
//! |---|---|
//! | [`protocol`] | requests and answers, for both sides |
//! | [`times`] | from an agent's clock to a run's |
//! | `clock` | a clock that goes on while the agent does not |
//! | `spool` | the file |
//! | `writer` | the thread that fills it |
//! | `saved` | what to sample after a restart |
//! | [`service`] | what the requests do |
//! | [`server`] | HTTP |

mod clock;
pub mod protocol;
mod saved;
pub mod server;
pub mod service;
mod spool;
pub mod times;
mod writer;

pub use service::{Agent, AgentError};

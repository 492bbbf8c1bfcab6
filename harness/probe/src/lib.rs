//! Constant-rate questions to a workload, asked at their intended times and answered for one by one.
//!
//! A [`Sampler`] runs on a thread of its own. It sends each sample of each [`ProbeSpec`] when it is due, whatever became
//! of earlier ones (open loop), counts latency from the intended time, and hands [`ferry_record::EventKind`]s to a
//! [`Sink`]. Every sample that was due is accounted for: it was taken and is in a sample block, or it was not and is
//! inside a sampler outage that says why. What went wrong on this side of the wire is never put down to the workload.
//!
//! | module | concept |
//! |---|---|
//! | [`clock`] | the run's monotonic clock |
//! | [`spec`] | what to ask, where, how often |
//! | `schedule` | when samples are due, and what to do when late |
//! | `vigil` | the sampler watching itself |
//! | `ledger` | results in order, as events |
//! | `sampling` | the loop that joins these |
//! | `kind` | one file for each kind of question |
//! | [`accounts`] | what of each schedule a record accounts for |
//! | [`agent`] | the sampler where only a container can be: server, spool, and what its client needs |

pub mod accounts;
pub mod agent;
pub mod clock;
mod kind;
mod ledger;
mod sampler;
mod sampling;
mod schedule;
pub mod spec;
mod vigil;

pub use accounts::{Account, Accounts};
pub use clock::Clock;
pub use kind::{
    Auth, CanarySpec, DnsSpec, FluxSpec, GrpcSpec, HttpSpec, KubeApiSpec, Pem, StreamSpec, TcpSpec, TlsSpec,
};
pub use sampler::{STOP_MARGIN, Sampler, SamplerError, SamplerHandle, Sink};
pub use spec::{Connection, KindSpec, Place, ProbeSpec, SpecError};

//! What the record learns of the cluster: its objects, Kubernetes events and the logs of Flux, from the cluster's creation to the
//! end of the run.
//!
//! One follower for each resource keeps a ledger of its objects. The supervisor starts those of Flux' own resources when their
//! definitions are established and ends them when these are gone, and reads the logs of Flux' pods: it learns of both from the
//! ledgers, as the record does.

mod definitions;
pub mod extract;
pub mod known;
mod logs;
mod notices;
mod objects;
mod resource;
mod scope;
#[cfg(test)]
mod testing;

//! What a run leaves behind, and what can be concluded from it.
//!
//! Pure: no runtime, no cluster, no Docker. The same functions judge a run while it goes on and years later from its file.

pub mod event;
pub mod verdict;

pub use event::{Event, EventKind, Nanos};

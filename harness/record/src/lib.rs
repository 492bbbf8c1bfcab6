//! What a run leaves behind, and what can be concluded from it.
//!
//! Pure: no runtime, no cluster, no Docker. The same functions judge a run while it goes on and years later from its file:
//! [`codec`] reads events, [`fold::RunState`] sums them up, [`verdict::judge`] concludes, [`report`] shows.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ferry_record::{fold, report, verdict};
//!
//! let read = fold::read("reports/out/RUN".as_ref())?;
//! let judgement = verdict::judge(&read.run);
//! let text = report::text::summary(&read.run, &judgement, &report::text::Style::plain().noting(&read));
//! std::process::exit(judgement.exit_code().into());
//! # }
//! ```

pub mod attribution;
pub mod cluster;
pub mod codec;
pub mod event;
mod expectation;
pub mod fmt;
pub mod fold;
pub mod intervals;
pub mod invariants;
pub mod numbers;
pub mod packed;
pub mod redact;
pub mod report;
pub mod stats;
pub mod verdict;

#[cfg(test)]
mod testing;

pub use event::{Event, EventKind, Nanos};
pub use fold::RunState;
pub use verdict::{Judgement, Verdict};

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

#[cfg(feature = "judge")]
pub mod attribution;
pub mod cluster;
#[cfg(feature = "judge")]
pub mod codec;
pub mod event;
#[cfg(feature = "judge")]
mod expectation;
#[cfg(feature = "judge")]
pub mod fmt;
#[cfg(feature = "judge")]
pub mod fold;
#[cfg(feature = "judge")]
pub mod intervals;
#[cfg(feature = "judge")]
pub mod invariants;
#[cfg(feature = "judge")]
pub mod numbers;
pub mod packed;
#[cfg(feature = "judge")]
pub mod redact;
#[cfg(feature = "judge")]
pub mod report;
#[cfg(feature = "judge")]
pub mod stats;
pub mod verdict;

#[cfg(test)]
mod testing;

pub use event::{Event, EventKind, Nanos};
#[cfg(feature = "judge")]
pub use fold::RunState;
pub use verdict::{Judgement, Verdict};

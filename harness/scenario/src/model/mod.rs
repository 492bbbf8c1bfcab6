//! What a scenario file says, as types. Their doc comments are also the schema's and `ferry explain`'s text.

mod agents;
mod budget;
mod expect;
mod flux;
mod invariant;
mod judged;
mod matrix;
mod phase;
mod proof;
mod scenario;

pub use agents::Agents;
pub use budget::Budget;
pub use expect::{Expect, ExpectedVerdict, RULES_BEYOND_INVARIANTS};
pub use flux::{Component, Flux, Operator};
pub use invariant::Invariant;
pub use judged::{Judged, OwnRule};
pub use matrix::Matrix;
pub use phase::Phase;
pub use proof::Proof;
pub use scenario::Scenario;

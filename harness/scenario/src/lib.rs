//! The scenario language: what an author writes, checks and sees.
//!
//! A scenario file goes through [`parse()`] (every mistake at once, each with its place), [`lint()`] (what is wrong although
//! it parses), and [`plan()`] (what a run would do) before anything starts. [`discover()`] lists the files, [`schema()`]
//! describes them to editors. This crate is pure: it reads files and nothing else.

pub mod cel;
pub mod deadlines;
pub mod diagnostic;
pub mod discover;
pub mod folders;
pub mod lint;
pub mod model;
mod names;
mod parse;
pub mod plan;
pub mod probes;
mod schema;
pub mod span;
pub mod steps;
pub mod text;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use discover::{Cell, Entry, discover, find};
pub use folders::Disk;
pub use lint::lint;
pub use model::Scenario;
pub use parse::{MAX_BYTES, parse, parse_file};
pub use plan::{Plan, plan};
pub use schema::schema;
pub use span::{Place, Spanned};

//! The scenario language: what an author writes, checks and sees.
//!
//! A scenario file goes through [`parse()`] (every mistake at once, each with its place), [`lint()`] (what is wrong although
//! it parses), and [`plan()`] (what a run would do) before anything starts. [`discover()`] lists the files, [`schema()`]
//! describes them to editors. This crate is pure: it reads files and nothing else.

pub mod catalogue;
pub mod cel;
pub mod cell;
pub mod deadlines;
pub mod diagnostic;
pub mod discover;
pub mod explain;
pub mod folders;
pub mod lint;
pub mod model;
mod names;
mod parse;
pub mod plan;
pub mod probes;
mod schema;
pub mod select;
pub mod span;
pub mod steps;
pub mod text;
pub mod vars;

pub use cell::Cell;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use discover::{Entry, discover, find};
pub use explain::explain;
pub use folders::Disk;
pub use lint::lint;
pub use model::Scenario;
pub use parse::{Given, MAX_BYTES, Sets, parse, parse_file, parse_file_with, parse_with};
pub use plan::{Plan, plan};
pub use schema::schema;
pub use span::{Place, Spanned};

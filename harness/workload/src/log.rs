//! One line to standard error for each thing worth knowing, which is where `kubectl logs` reads.

use std::fmt::Display;
use std::io::Write;

/// Writes a line. Where nobody reads, nothing is lost.
pub fn line(message: impl Display) {
    writeln!(std::io::stderr(), "ferry-workload: {message}").ok();
}

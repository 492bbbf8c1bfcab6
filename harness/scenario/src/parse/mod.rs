//! From text to [`Scenario`], with every mistake found at once.
//!
//! Three stages: `tree` reads YAML into nodes that know their places, `expand` renders templates and includes fragments,
//! `typed` turns nodes into types.

mod declared;
mod expand;
mod fault;
mod messages;
pub(crate) mod tree;
mod typed;

pub use declared::Sets;
pub use expand::FRAGMENTS;

#[cfg(test)]
pub(crate) mod tests;

use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::cell::Cell;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::folders::{Disk, Files, NoFiles};
use crate::model::Scenario;
use crate::span::{Source, Span};
use expand::Expansion;

/// Larger files are rejected unread: a scenario is a few kilobytes, fleets are folders of their own.
pub const MAX_BYTES: u64 = 1 << 20;

/// What a scenario is read with, beyond its text.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// The folder around it, for fragments.
    pub files: &'a dyn Files,
    /// Values for its variables, before those of matrix and defaults.
    pub sets: &'a Sets,
    /// The cell that it is read for. Default: its first.
    pub cell: Option<&'a Cell>,
}

impl std::fmt::Debug for Given<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("sets", self.sets).field("cell", &self.cell).finish_non_exhaustive()
    }
}

/// Reads a scenario from its text alone; `name` is the file's path as diagnostics shall show it.
///
/// # Errors
/// As [`parse_with`].
pub fn parse(name: &str, text: &str) -> Result<Scenario, Diagnostics> {
    parse_with(name, text, Given { files: &NoFiles, sets: &Sets::new(), cell: None })
}

/// Reads a scenario from its text; `name` is the file's path as diagnostics shall show it.
///
/// # Errors
/// Everything that is wrong with the text, in its order. What needs more than the text is for [`crate::lint()`].
pub fn parse_with(name: &str, text: &str, given: Given<'_>) -> Result<Scenario, Diagnostics> {
    if text.len() as u64 > MAX_BYTES {
        return Err(vec![too_large(name, text.len() as u64)].into());
    }
    let source = Source::new(name, text);
    let mut next_id = 0;
    let (mut root, mut found) =
        tree::read(&source, &source.main(), &mut next_id).map_err(|d| Diagnostics::from(vec![*d]))?;
    if root.value == tree::Value::Null {
        let empty = Diagnostic::error(codes::EMPTY, &source, Span::default(), "the file holds no scenario")
            .labelled("nothing but blanks and comments")
            .helped("start with `scenario: NAME` and `summary: …`; `ferry new AREA/NAME` writes one to begin with");
        return Err(vec![empty].into());
    }
    let declared = declared::variables(&root, &source, &mut found);
    let cells = declared::cells(&root, &declared, given.sets, &source, &mut found);
    let cell = given.cell.or(cells.first()).cloned().unwrap_or_default();
    let variables = declared::values(&declared, &cell, given.sets, &source, &mut found);
    let mut expansion = Expansion::new(given.files, source, next_id);
    expansion.scenario(&mut root, &variables);
    let (source, more) = expansion.finish();
    found.extend(more);
    match typed::convert::<Scenario>(&root, &source) {
        Ok(scenario) if found.is_empty() => Ok(Scenario { source, cells, cell, variables, ..scenario }),
        Ok(_) => Err(found.into()),
        Err(more) => {
            // A template that could not be rendered is no further mistake.
            let reported: Vec<Span> = found.iter().map(|d| d.span).collect();
            found.extend(more.into_iter().filter(|d| !reported.contains(&d.span)));
            Err(found.into())
        }
    }
}

/// Reads a document of this repository other than a scenario: as strictly, and with every mistake at once.
pub(crate) fn read_as<T: DeserializeOwned>(source: &Source) -> Result<T, Diagnostics> {
    if source.text().len() as u64 > MAX_BYTES {
        return Err(vec![too_large(source.name(), source.text().len() as u64)].into());
    }
    let (root, mut found) = tree::read(source, &source.main(), &mut 0).map_err(|d| Diagnostics::from(vec![*d]))?;
    match typed::convert(&root, source) {
        Ok(value) if found.is_empty() => Ok(value),
        Ok(_) => Err(found.into()),
        Err(more) => {
            found.extend(more);
            Err(found.into())
        }
    }
}

/// Reads a scenario from a file.
///
/// # Errors
/// As [`parse`]; also that the file cannot be read, is too large or is not text.
pub fn parse_file(path: &Path) -> Result<Scenario, Diagnostics> {
    parse_file_with(path, &Sets::new(), None)
}

/// Reads a scenario from a file, for a cell and with values for its variables. Fragments are looked for beside the
/// folder of its area.
///
/// # Errors
/// As [`parse_file`].
pub fn parse_file_with(path: &Path, sets: &Sets, cell: Option<&Cell>) -> Result<Scenario, Diagnostics> {
    let name = path.display().to_string();
    let failed = |what: String, help: &str| {
        let diagnostic = Diagnostic::error(codes::FILE, &Source::new(&name, ""), Span::default(), what).helped(help);
        Diagnostics::from(vec![diagnostic])
    };
    let mut bytes = Vec::new();
    let size = fs_err::File::open(path)
        .and_then(|file| {
            let size = file.metadata()?.len();
            // Whatever the size says: a pipe says nothing.
            file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(size.max(bytes.len() as u64))
        })
        .map_err(|e| failed(e.to_string(), "check the path; `ferry list` shows the scenarios there are"))?;
    if size > MAX_BYTES {
        return Err(vec![too_large(&name, size)].into());
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let what = format!("not UTF-8 text from byte {} on", e.utf8_error().valid_up_to());
        failed(what, "a scenario is a YAML file in UTF-8")
    })?;
    let files = Disk::around(path);
    parse_with(&name, &text, Given { files: &files, sets, cell })
}

fn too_large(name: &str, bytes: u64) -> Diagnostic {
    let message = format!("the file is too large to be a scenario: {bytes} bytes, at most {MAX_BYTES}");
    Diagnostic::error(codes::FILE, &Source::new(name, ""), Span::default(), message)
        .helped("keep manifests in files of their own, beside the scenario or in its fleet")
}

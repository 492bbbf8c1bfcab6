//! From text to [`Scenario`], with every mistake found at once.
//!
//! Two stages: `tree` reads YAML into nodes that know their places, `typed` turns nodes into types.

mod fault;
mod messages;
pub(crate) mod tree;
mod typed;

#[cfg(test)]
pub(crate) mod tests;

use std::io::Read;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::model::Scenario;
use crate::span::{Source, Span};

/// Larger files are rejected unread: a scenario is a few kilobytes, fleets are folders of their own.
pub const MAX_BYTES: u64 = 1 << 20;

/// Reads a scenario from its text; `name` is the file's path as diagnostics shall show it.
///
/// # Errors
/// Everything that is wrong with the text, in its order. What needs more than the text is for [`crate::lint()`].
pub fn parse(name: &str, text: &str) -> Result<Scenario, Diagnostics> {
    if text.len() as u64 > MAX_BYTES {
        return Err(vec![too_large(name, text.len() as u64)].into());
    }
    let source = Source::new(name, text);
    let (root, mut found) = tree::read(&source).map_err(|d| Diagnostics::from(vec![*d]))?;
    if root.value == tree::Value::Null {
        let empty = Diagnostic::error(codes::EMPTY, &source, Span::default(), "the file holds no scenario")
            .labelled("nothing but blanks and comments")
            .helped("start with `scenario: NAME` and `summary: …`; the files under scenarios are examples");
        return Err(vec![empty].into());
    }
    match typed::convert::<Scenario>(&root, &source) {
        Ok(scenario) if found.is_empty() => Ok(Scenario { source, ..scenario }),
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
    parse(&name, &text)
}

fn too_large(name: &str, bytes: u64) -> Diagnostic {
    let message = format!("the file is too large to be a scenario: {bytes} bytes, at most {MAX_BYTES}");
    Diagnostic::error(codes::FILE, &Source::new(name, ""), Span::default(), message)
        .helped("keep manifests in files of their own, beside the scenario or in its fleet")
}

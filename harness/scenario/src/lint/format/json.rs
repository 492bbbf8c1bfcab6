//! `--format json`: one array, for scripts.

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity};

/// A diagnostic as scripts read it.
#[derive(Serialize)]
struct Finding<'d> {
    code: &'d str,
    severity: Severity,
    message: &'d str,
    help: Option<&'d str>,
    file: String,
    line: u32,
    column: u32,
}

/// An array of objects with `code`, `severity`, `message`, `help`, `file`, `line` and `column`.
pub fn json(found: &[Diagnostic]) -> String {
    let findings: Vec<Finding<'_>> = found
        .iter()
        .map(|d| {
            let place = d.place();
            let help = d.help.as_deref();
            let (file, line, column) = (place.file, place.line, place.column);
            Finding { code: d.code, severity: d.severity, message: &d.message, help, file, line, column }
        })
        .collect();
    format!("{:#}\n", serde_json::json!(findings))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_whole_output() {
        insta::assert_snapshot!(super::json(&crate::lint::format::tests::examples()), @"");
        assert_eq!(super::json(&[]), "[]\n");
    }
}

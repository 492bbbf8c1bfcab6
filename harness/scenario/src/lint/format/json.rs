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
    // Texts and numbers can always be written.
    serde_json::to_string_pretty(&findings).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_whole_output() {
        insta::assert_snapshot!(super::json(&crate::lint::format::tests::examples()), @r#"
        [
          {
            "code": "E003",
            "severity": "error",
            "message": "a `:` where none can be",
            "help": "check the indentation, and put text that contains `: ` in quotes",
            "file": "a b/100%,x.yaml",
            "line": 15,
            "column": 13
          },
          {
            "code": "F105",
            "severity": "error",
            "message": "the scenario has no probes",
            "help": "add one, such as `probes: [http: {name: web, node-port: 30080}]`",
            "file": "scenarios/example-area/example.yaml",
            "line": 1,
            "column": 11
          },
          {
            "code": "F126",
            "severity": "warning",
            "message": "`a` is in `tags` twice",
            "help": "remove one of the two",
            "file": "scenarios/example-area/example.yaml",
            "line": 15,
            "column": 11
          }
        ]
        "#);
        assert_eq!(super::json(&[]), "[]\n");
    }
}

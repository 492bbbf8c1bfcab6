//! `--format github`: workflow commands, which GitHub shows beside the changed lines.

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Severity};

/// One `::error file=…::` or `::warning file=…::` a line.
pub fn github(found: &[Diagnostic]) -> String {
    let mut text = String::new();
    for d in found {
        let command = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = d.place();
        let help = d.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        let (file, title) = (property(&place.file), property(d.code));
        let message = data(&format!("{}{help}", d.message));
        let (line, column) = (place.line, place.column);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "::{command} file={file},line={line},col={column},title={title}::{message}");
    }
    text
}

/// A command's message: line ends would end it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A command's property: `,` and `:` would end it as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_whole_output() {
        insta::assert_snapshot!(super::github(&crate::lint::format::tests::examples()), @r"
        ::error file=a b/100%25%2Cx.yaml,line=15,col=13,title=E003::a `:` where none can be (check the indentation, and put text that contains `: ` in quotes)
        ::error file=scenarios/example-area/example.yaml,line=1,col=11,title=F105::the scenario has no probes (add one, such as `probes: [http: {name: web, node-port: 30080}]`)
        ::warning file=scenarios/example-area/example.yaml,line=15,col=11,title=F126::`a` is in `tags` twice (remove one of the two)
        ");
        assert_eq!(super::github(&[]), "");
    }
}

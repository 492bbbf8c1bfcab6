//! `cel`: an expression over live objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::cel::Expression;
use crate::lint::{Findings, Rule};
use crate::names;
use crate::span::{Span, Spanned};
use crate::text::{HINT, ObjectRef};

/// An expression over objects is true. One that has another value than true or false is an error.
#[derive(Debug, Clone)]
pub struct Cel {
    /// The expression.
    pub expression: Spanned<String>,
    /// The objects, by the names that the expression knows them by.
    pub objects: BTreeMap<Spanned<String>, Spanned<ObjectRef>>,
}

/// The name of a single object, as in a ValidatingAdmissionPolicy.
const OBJECT: &str = "object";

impl Cel {
    pub(super) fn new(
        expression: Spanned<String>,
        object: Option<Spanned<ObjectRef>>,
        objects: Option<BTreeMap<Spanned<String>, Spanned<ObjectRef>>>,
    ) -> Result<Cel, String> {
        let hint = format!("{HINT}write `object: deployment/apps/web`, or `objects: {{web: deployment/apps/web}}`");
        let objects = match (object, objects) {
            (Some(object), None) => {
                let name = Spanned { value: OBJECT.to_owned(), span: object.span };
                [(name, object)].into()
            }
            (None, Some(objects)) => objects,
            (None, None) => return Err(format!("`cel` has no object to look at{hint}")),
            (Some(_), Some(_)) => return Err(format!("`cel` takes `object` or `objects`, not both{hint}")),
        };
        Ok(Cel { expression, objects })
    }
}

impl fmt::Display for Cel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "of {}: {}",
            names::and(self.objects.values()),
            self.expression.split_whitespace().collect::<Vec<_>>().join(" ")
        )
    }
}

pub(super) const SYNTAX: Rule = Rule {
    code: "F227",
    name: "cel-syntax",
    explain: "An expression that is no CEL could never be true.",
    failing: "- assert: {object: deployment/apps/web, cel: object.spec.replicas = 2}",
    passing: "- assert: {object: deployment/apps/web, cel: object.spec.replicas == 2}",
    ..Rule::ERROR
};

pub(super) const UNKNOWN_NAME: Rule = Rule {
    code: "F228",
    name: "cel-unknown-name",
    explain: "An expression knows its objects by `object`, or by the names under `objects`, and the functions of CEL's \
              standard library; a name of an object must be one that CEL can write. A rule of the scenario's own knows the parts \
              of the record.",
    failing: "- assert: {object: deployment/apps/web, cel: objct.spec.replicas == 2}",
    passing: "- assert: {objects: {web: deployment/apps/web}, cel: web.spec.replicas == 2}",
    ..Rule::ERROR
};

pub(super) const LOOKS_AT_NOTHING: Rule = Rule {
    code: "F229",
    name: "cel-unused-object",
    explain: "An expression that does not look at an object says nothing about it.",
    failing: "- assert: {object: deployment/apps/web, cel: 2 > 1}",
    passing: "- assert: {object: deployment/apps/web, cel: object.spec.replicas > 1}",
    ..Rule::ERROR
};

impl Cel {
    pub(super) fn lint(&self, findings: &mut Findings<'_>) {
        let known: Vec<&str> = self.objects.keys().map(|name| name.as_str()).collect();
        let example = "`object.status.readyReplicas == object.spec.replicas` or `has(object.spec.suspend)`";
        let Some(used) = check_expression(&self.expression, &known, example, findings) else { return };
        for (name, object) in &self.objects {
            if !is_identifier(name) {
                findings.report(
                    &UNKNOWN_NAME,
                    name.span,
                    format!("CEL cannot write the name `{}`", name.value),
                    "use letters, digits and underscores, the first one no digit",
                );
            } else if !used.contains(name.as_str()) {
                findings.report(
                    &LOOKS_AT_NOTHING,
                    object.span,
                    format!("the expression does not look at {object}"),
                    format!("mention it as `{}`, or remove it", name.value),
                );
            }
        }
    }
}

/// Reports what is wrong with an expression's syntax and names; gives the names that it looks at.
pub(crate) fn check_expression(
    text: &Spanned<String>,
    known: &[&str],
    example: &str,
    findings: &mut Findings<'_>,
) -> Option<BTreeSet<String>> {
    let written = findings.scenario().source.slice(text.span);
    let place = |at| narrowed(text.span, written, text, at);
    let expression = match Expression::compile(text) {
        Ok(expression) => expression,
        Err(error) => {
            let hint = format!("write CEL, such as {example}; compare by `==`, join by `&&` and `||`");
            findings.report(&SYNTAX, place(error.at), format!("this is not CEL: {}", error.message), hint);
            return None;
        }
    };
    let used = expression.variables();
    for name in used.iter().filter(|name| !known.contains(name)) {
        let meant = names::nearest(name, known.iter().copied());
        let help = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        findings.report(
            &UNKNOWN_NAME,
            place(place_of(name, text)),
            format!("the expression knows no `{name}`"),
            format!("{help}it knows {}", names::list(known)),
        );
    }
    for (name, meant) in expression.unknown_functions() {
        let help = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        findings.report(
            &UNKNOWN_NAME,
            place(place_of(&name, text)),
            format!("CEL has no function `{name}`"),
            format!("{help}its standard library has `size`, `has`, `exists`, `all`, `matches`, `timestamp`, …"),
        );
    }
    Some(used.into_iter().map(str::to_owned).collect())
}

fn is_identifier(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Line and column of a name's first occurrence as a whole word.
fn place_of(name: &str, text: &str) -> (usize, usize) {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let found = text.match_indices(name).find(|(at, _)| {
        !is_word(text[..*at].chars().next_back())
            && !is_word(text[at + name.len()..].chars().next().filter(|c| *c != '.'))
    });
    let before = &text[..found.map_or(0, |(at, _)| at)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// From a place in an expression to that place in the file, where the file has the expression's first line as it is; else
/// the whole of it.
fn narrowed(span: Span, written: &str, expression: &str, (line, column): (usize, usize)) -> Span {
    let start = written.find(expression).filter(|at| line == 1 && !written[..*at].contains('\n'));
    let Some(start) = start else { return span };
    let skipped = expression.chars().take(column - 1).map(char::len_utf8).sum::<usize>();
    let at = start + skipped.min(expression.len());
    let word = |c: &char| c.is_alphanumeric() || *c == '_';
    let len: usize = written[at..].chars().take_while(word).map(char::len_utf8).sum();
    let shift = |by: usize| u32::try_from(by).unwrap_or(0);
    let columns = shift(written[..at].chars().count());
    // Nothing is left to point at behind the end: point at the last sign instead.
    if at >= written.len() {
        return span;
    }
    let one = written[at..].chars().next().map_or(1, char::len_utf8);
    Span { offset: span.offset + shift(at), len: shift(len.max(one)), line: span.line, column: span.column + columns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain("a.b = 2", "a.b = 2", (1, 5), (104, 1, 14))]
    #[case::quoted("\"a.b = 2\"", "a.b = 2", (1, 5), (105, 1, 15))]
    #[case::word("x == objct.y", "x == objct.y", (1, 6), (105, 5, 15))]
    #[case::wide("é == b", "é == b", (1, 6), (106, 1, 15))]
    #[case::escaped("'it''s' b", "it's b", (1, 6), (100, 9, 10))]
    #[case::end("a ==", "a ==", (1, 5), (100, 4, 10))]
    #[case::later_line("|\n  a\n  b c", "a\nb c", (2, 3), (100, 11, 10))]
    fn points_into_the_expression(
        #[case] written: &str,
        #[case] expression: &str,
        #[case] at: (usize, usize),
        #[case] (offset, len, column): (u32, u32, u32),
    ) {
        let whole = Span { offset: 100, len: written.len() as u32, line: 3, column: 10 };
        assert_eq!(narrowed(whole, written, expression, at), Span { offset, len, line: 3, column });
    }

    #[rstest]
    #[case("web", "web.x == 1", (1, 1))]
    #[case("web", "x.web == web.y", (1, 10))]
    #[case("web", "webs == 1 ||\n  web == 2", (2, 3))]
    #[case("web", "nothing", (1, 1))]
    fn finds_names(#[case] name: &str, #[case] text: &str, #[case] at: (usize, usize)) {
        assert_eq!(place_of(name, text), at);
    }
}

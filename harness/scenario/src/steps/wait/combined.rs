//! `all`, `any` and `not`: conditions made of conditions.

use std::fmt;

use super::{Condition, span_of};
use crate::lint::{Findings, Rule};
use crate::span::Spanned;

/// `(a is ready and b is gone)`.
pub(super) fn joined(parts: &[Condition], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let parts: Vec<String> = parts.iter().map(Condition::to_string).collect();
    write!(f, "({})", parts.join(&format!(" {word} ")))
}

pub(super) const EMPTY: Rule = Rule {
    code: "F223",
    name: "empty-combination",
    explain: "All of no conditions hold at once, and any of none never does: neither waits for anything.",
    failing: "- wait: {all: []}",
    passing: "- wait: {all: [ready: deployment/apps/web, gone: namespace/old]}",
    ..Rule::ERROR
};

pub(super) const VACUOUS: Rule = Rule {
    code: "F224",
    name: "vacuous-not",
    explain: "That nothing has been logged yet is so at once and proves nothing: the line may come a moment later.",
    failing: "- wait: {not: {log: {of: deployment/apps/web, contains: error}}}",
    passing: "- wait: {not: {ready: deployment/apps/web}}",
    ..Rule::ERROR
};

pub(super) fn lint(parts: &Spanned<Vec<Condition>>, word: &str, findings: &mut Findings<'_>) {
    if parts.is_empty() {
        findings.report(&EMPTY, parts.span, format!("`{word}` of no conditions"), "name at least one condition");
    }
    parts.iter().for_each(|part| part.lint(findings));
}

pub(super) fn lint_negated(part: &Condition, findings: &mut Findings<'_>) {
    if let Some(log) = a_log_in(part) {
        findings.report(
            &VACUOUS,
            span_of(log),
            "a line that was not logged yet is no news",
            "wait for something that becomes so, then look at what must not have happened",
        );
    }
    part.lint(findings);
}

fn a_log_in(condition: &Condition) -> Option<&Condition> {
    match condition {
        Condition::Log(_) => Some(condition),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().find_map(a_log_in),
        Condition::Not(part) => a_log_in(part),
        _ => None,
    }
}

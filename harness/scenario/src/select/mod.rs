//! Which trials are listed and run: by suite, by filter, by shard.
//!
//! A trial is a scenario in one cell of its matrix. Suite and filter choose among all trials; the shard then takes its part
//! of the chosen ones.

mod expr;
mod kubernetes;
pub mod lanes;
mod parse;
mod shard;
pub mod suites;

pub use expr::{Expr, NameGlob, Predicate};
pub use kubernetes::{Comparison, KubernetesRange};
pub use lanes::Lane;
pub use shard::Shard;
pub use suites::Suites;

use std::fmt;
use std::str::FromStr;

use crate::cell::Cell;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::discover::trial_name;
use crate::names;
use crate::span::{Source, Span};

/// How filters are written, for a command's help.
pub const SYNTAX: &str = "\
tag(smoke)          the scenario has this tag
name(take-*)        its name is like this glob; with a `/`, its area and name are: name(single-tenant/*)
area(single-tenant) its folder
suite(ci)           a suite of suites.yaml that it belongs to
k8s(>=1.34)         the Kubernetes of the cell: <, <=, =, !=, >=, > or a release alone
provider(kind)      who makes the cell's cluster
var(auth=http)      a variable of the cell
all()               everything
a & b, a | b, not a, (a)   `&` binds more closely than `|`";

/// More names than this are no help.
const MOST_LISTED: usize = 12;

/// A trial as selections see it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The folder that the scenario is in.
    pub area: &'a str,
    /// The scenario's name.
    pub name: &'a str,
    /// Its labels.
    pub tags: &'a [&'a str],
    /// The suites that it belongs to.
    pub suites: &'a [&'a str],
    /// The cell that it runs in.
    pub cell: &'a Cell,
}

impl Candidate<'_> {
    /// `area/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.area, self.name)
    }

    /// As test runners call it, with its cell.
    pub fn trial_name(&self) -> String {
        trial_name(self.area, self.name, self.cell)
    }

    /// A variable of the cell.
    fn variable(&self, name: &str) -> Option<String> {
        self.cell.get(name)
    }
}

/// An expression over trials, such as `tag(smoke) & not k8s(<1.34)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    expr: Expr,
    /// The predicates with their places, for what only a list of scenarios can say about them.
    predicates: Vec<(Predicate, Span)>,
}

impl Filter {
    /// Reads an expression; `name` is where it comes from (`--filter`), as diagnostics shall show it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place in the text.
    pub fn parse(name: &str, text: &str) -> Result<Filter, Diagnostics> {
        parse::filter(text).map_err(|mistakes| {
            let source = Source::new(name, text);
            let found = mistakes.into_iter().map(|mistake| {
                let span = span_in(text, mistake.start, mistake.len);
                Diagnostic::error(codes::FILTER, &source, span, mistake.message)
                    .labelled(mistake.label)
                    .helped(mistake.help)
            });
            found.collect::<Vec<_>>().into()
        })
    }

    /// Whether a trial is one of those that it describes.
    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        self.expr.matches(candidate)
    }

    /// What it says.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Names in it that no candidate has: a tag, an area, a suite, a variable or a glob that selects nothing is a mistake,
    /// and silent otherwise.
    pub fn check(&self, name: &str, candidates: &[Candidate<'_>]) -> Diagnostics {
        let source = Source::new(name, &self.text);
        let mut found = Vec::new();
        for (predicate, span) in &self.predicates {
            let alone = Expr::Is(predicate.clone());
            if matches!(predicate, Predicate::All) || candidates.iter().any(|c| alone.matches(c)) {
                continue;
            }
            let known = predicate.known(candidates);
            let near = names::nearest(predicate.argument(), known.iter().map(String::as_str));
            let meant = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let help = match known.len() {
                1..=MOST_LISTED => format!("there are {}", names::list(&known)),
                _ => "`ferry list` shows the scenarios there are".to_owned(),
            };
            let message = format!("`{predicate}` selects nothing{meant}");
            let diagnostic = Diagnostic::error(codes::FILTER, &source, *span, message);
            found.push(diagnostic.labelled("no scenario is like this").helped(help));
        }
        found.into()
    }
}

/// Without a name for where it comes from: for command lines, which show the error's text.
impl FromStr for Filter {
    type Err = Diagnostics;

    fn from_str(text: &str) -> Result<Filter, Diagnostics> {
        Filter::parse("--filter", text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

/// A stretch of a text as a span.
fn span_in(text: &str, start: usize, len: usize) -> Span {
    let before = text.get(..start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Span {
        offset: start as u32,
        len: len as u32,
        line: before.matches('\n').count() as u32 + 1,
        column: before[line_start..].chars().count() as u32 + 1,
    }
}

/// What was asked for: all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only trials of this suite.
    pub suite: Option<String>,
    /// Only trials that it describes.
    pub filter: Option<Filter>,
    /// Only this part of what suite and filter leave.
    pub shard: Option<Shard>,
}

impl Selection {
    /// The places of the chosen candidates, in their order.
    pub fn pick(&self, candidates: &[Candidate<'_>]) -> Vec<usize> {
        let chosen = candidates.iter().enumerate().filter(|(_, candidate)| {
            let in_suite = self.suite.as_deref().is_none_or(|suite| candidate.suites.contains(&suite));
            in_suite && self.filter.as_ref().is_none_or(|filter| filter.matches(candidate))
        });
        let chosen: Vec<usize> = chosen.map(|(index, _)| index).collect();
        let Some(shard) = self.shard else { return chosen };
        let mut by_name = chosen;
        by_name.sort_by_cached_key(|index| (candidates[*index].trial_name(), candidates[*index].id()));
        let mut part = shard.part(by_name);
        part.sort_unstable();
        part
    }
}

#[cfg(test)]
mod tests;

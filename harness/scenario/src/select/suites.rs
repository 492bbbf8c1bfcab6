//! `scenarios/suites.yaml`: named selections, so that everyone runs the same ones.
//!
//! ```yaml
//! ci:
//!   summary: What every change must pass
//!   filter: suite(smoke) | tag(official)
//!   lanes: [{kubernetes: ["1.34"], provider: [kind, k3s]}]   # where CI runs it; see `lanes`
//! release:
//!   summary: What a release must pass, by name
//!   scenarios: [single-tenant/official]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lanes::{self, Lane, LanesFile};
use super::parse::{self, Mistake};
use super::{Candidate, Expr, Predicate, span_in};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::names;
use crate::parse::read_as;
use crate::span::{Source, Span, Spanned};
use crate::text::Name;

/// The file's place, relative to the scenarios folder.
pub const FILE: &str = "suites.yaml";

/// Every suite, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Suites {
    suites: Vec<Suite>,
    /// Places in `suites`, each after those that it is made of.
    order: Vec<usize>,
}

/// A named selection.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub summary: String,
    /// The places that CI runs it in; none: as its scenarios say.
    pub lanes: Vec<Lane>,
    members: Members,
}

#[derive(Debug, Clone)]
enum Members {
    Filter(Expr),
    Scenarios(Vec<String>),
}

/// A suite as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SuiteFile {
    /// What it is for, on one line.
    summary: Spanned<String>,
    /// An expression over trials.
    filter: Option<Spanned<String>>,
    /// Scenarios, as `area/name`.
    scenarios: Option<Vec<Spanned<String>>>,
    /// The places that CI runs it in.
    #[serde(default)]
    lanes: Vec<Spanned<LanesFile>>,
}

/// Reads the suites; `name` is the file's path as diagnostics shall show it, `ids` are the scenarios there are (`area/name`).
///
/// # Errors
/// Everything that is wrong with them: mistakes in a filter, scenarios that do not exist, suites made of each other.
pub fn load(name: &str, text: &str, ids: &[&str]) -> Result<Suites, Diagnostics> {
    let source = Source::new(name, text);
    let files: BTreeMap<Spanned<Name>, Spanned<SuiteFile>> = read_as(&source)?;
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|(name, _)| name.span.offset);
    let mut found = Vec::new();
    let names: Vec<String> = files.iter().map(|(name, _)| name.to_string()).collect();
    let mut suites = Vec::new();
    for (name, file) in &files {
        let at = At { source: &source, text, suite: name };
        let members = match (&file.filter, &file.scenarios) {
            (Some(filter), None) => at.filter(filter, &names, &mut found),
            (None, Some(scenarios)) => at.scenarios(scenarios, ids, &mut found),
            (both, _) => {
                let message = match both {
                    Some(_) => format!("the suite `{name}` has a filter and a list of scenarios"),
                    None => format!("the suite `{name}` does not say what is in it"),
                };
                let help = "write `filter: EXPRESSION` or `scenarios: [AREA/NAME]`, one of the two";
                found.push(at.error(name.span, message, "this suite", help));
                Members::Scenarios(Vec::new())
            }
        };
        let lanes = lanes::read(name, &file.lanes, &source, &mut found);
        suites.push(Suite { name: name.to_string(), summary: file.summary.value.clone(), lanes, members });
    }
    let spans: Vec<Span> = files.iter().map(|(name, _)| name.span).collect();
    let order = order(&suites, |cycle, first| {
        let message = format!("suites are made of each other: {}", cycle.join(" → "));
        let diagnostic = Diagnostic::error(codes::SUITE, &source, spans[first], message);
        found.push(diagnostic.labelled("goes round in a circle").helped("take `suite(…)` out of one of their filters"));
    });
    if found.is_empty() { Ok(Suites { suites, order }) } else { Err(found.into()) }
}

impl Suites {
    /// All of them, in the order of the file.
    pub fn all(&self) -> &[Suite] {
        &self.suites
    }

    /// The suite of that name.
    pub fn get(&self, name: &str) -> Option<&Suite> {
        self.suites.iter().find(|suite| suite.name == name)
    }

    /// The suites that a trial belongs to, in the order of the file. What the candidate says of its suites is not asked.
    pub fn of(&self, candidate: &Candidate<'_>) -> Vec<&str> {
        let mut belongs: Vec<usize> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for index in &self.order {
            let suite = &self.suites[*index];
            let is_member = match &suite.members {
                Members::Filter(expr) => expr.matches(&Candidate { suites: &names, ..*candidate }),
                Members::Scenarios(ids) => ids.iter().any(|id| *id == candidate.id()),
            };
            if is_member {
                belongs.push(*index);
                names.push(&suite.name);
            }
        }
        belongs.sort_unstable();
        belongs.into_iter().map(|index| self.suites[index].name.as_str()).collect()
    }

    /// The suite that was probably meant, if one is near enough.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        names::nearest(name, self.suites.iter().map(|suite| suite.name.as_str()))
    }
}

/// The suite that is being read, and its file.
struct At<'a> {
    source: &'a Source,
    text: &'a str,
    suite: &'a Spanned<Name>,
}

impl At<'_> {
    fn error(&self, span: Span, message: impl Into<String>, label: &str, help: impl Into<String>) -> Diagnostic {
        Diagnostic::error(codes::SUITE, self.source, span, message).labelled(label).helped(help)
    }

    fn filter(&self, filter: &Spanned<String>, names: &[String], found: &mut Vec<Diagnostic>) -> Members {
        let parsed = match parse::filter(filter) {
            Ok(parsed) => parsed,
            Err(mistakes) => {
                found.extend(mistakes.into_iter().map(|mistake| {
                    let span = self.span_within(filter, &mistake);
                    let diagnostic = Diagnostic::error(codes::FILTER, self.source, span, mistake.message);
                    diagnostic.labelled(mistake.label).helped(mistake.help)
                }));
                return Members::Scenarios(Vec::new());
            }
        };
        for predicate in parsed.expr().predicates() {
            let Predicate::Suite(other) = predicate else { continue };
            if other == self.suite.as_str() {
                let message = format!("the suite `{other}` is made of itself");
                let help = format!("take `suite({other})` out of its filter");
                found.push(self.error(filter.span, message, "names its own suite", help));
            } else if !names.contains(other) {
                let near = names::nearest(other, names.iter().map(String::as_str));
                let meant = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                let help = format!("suites: {}", names::list(names));
                found.push(self.error(filter.span, format!("there is no suite `{other}`{meant}"), "named here", help));
            }
        }
        Members::Filter(parsed.expr().clone())
    }

    fn scenarios(&self, scenarios: &[Spanned<String>], ids: &[&str], found: &mut Vec<Diagnostic>) -> Members {
        if scenarios.is_empty() {
            let message = format!("the suite `{}` is empty", self.suite);
            found.push(self.error(self.suite.span, message, "this suite", "name a scenario, or remove the suite"));
        }
        for (i, id) in scenarios.iter().enumerate() {
            if scenarios[..i].iter().any(|other| other.value == id.value) {
                let message = format!("`{id}` is in the suite twice");
                found.push(self.error(id.span, message, "already said", "remove it here"));
            } else if !ids.contains(&id.as_str()) {
                let near = names::nearest(id, ids.iter().copied());
                let meant = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                let message = format!("there is no scenario `{id}`{meant}");
                found.push(self.error(
                    id.span,
                    message,
                    "no such scenario",
                    "`ferry list` shows the scenarios there are",
                ));
            }
        }
        Members::Scenarios(scenarios.iter().map(|id| id.value.clone()).collect())
    }

    /// A mistake's place in the file where the filter is written as it is read, else the whole filter.
    fn span_within(&self, filter: &Spanned<String>, mistake: &Mistake) -> Span {
        let written = filter.span.offset as usize;
        let start = [written, written + 1].into_iter().find(|start| {
            let rest = self.text.get(*start..).unwrap_or_default();
            rest.starts_with(filter.as_str()) && !filter.contains('\n')
        });
        match start {
            Some(start) => span_in(self.text, start + mistake.start, mistake.len),
            None => filter.span,
        }
    }
}

/// Puts suites after those that they are made of; reports each circle once, by its members and its first suite.
fn order(suites: &[Suite], mut circle: impl FnMut(Vec<&str>, usize)) -> Vec<usize> {
    fn made_of<'s>(suites: &'s [Suite], index: usize) -> impl Iterator<Item = usize> + 's {
        let named = match &suites[index].members {
            Members::Filter(expr) => expr.predicates(),
            Members::Scenarios(_) => Vec::new(),
        };
        named.into_iter().filter_map(move |predicate| match predicate {
            // A suite of itself is reported where it says so.
            Predicate::Suite(name) => suites.iter().position(|s| s.name == *name).filter(|other| *other != index),
            _ => None,
        })
    }

    fn visit(
        suites: &[Suite],
        index: usize,
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
        circles: &mut Vec<Vec<usize>>,
    ) {
        if order.contains(&index) {
            return;
        }
        if let Some(start) = path.iter().position(|on_path| *on_path == index) {
            circles.push(path[start..].to_vec());
            return;
        }
        path.push(index);
        for other in made_of(suites, index) {
            visit(suites, other, path, order, circles);
        }
        path.pop();
        order.push(index);
    }

    let (mut order, mut circles) = (Vec::new(), Vec::new());
    for index in 0..suites.len() {
        visit(suites, index, &mut Vec::new(), &mut order, &mut circles);
    }
    for members in circles {
        let names = members.iter().chain(members.first()).map(|index| suites[*index].name.as_str()).collect();
        circle(names, members[0]);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;

    const IDS: [&str; 3] = ["single-tenant/official", "multi-tenant/lock-down", "self-test/broken-workload"];

    fn mistakes(text: &str) -> String {
        load("scenarios/suites.yaml", text, &IDS).expect_err("a mistake").to_text()
    }

    #[test]
    fn a_trial_is_in_the_suites_that_describe_it() {
        let text = "\
full: {summary: Everything, filter: suite(ci) | suite(nightly)}
ci: {summary: Every change, filter: 'suite(smoke) | tag(self-test)'}
smoke: {summary: A minute, scenarios: [single-tenant/official]}
nightly: {summary: Every night, filter: k8s(>=1.36)}
";
        let suites = load("suites.yaml", text, &IDS).unwrap();
        let of = |area, name, tags, kubernetes: &str| {
            let cell = Cell { kubernetes: kubernetes.into(), ..Cell::default() };
            suites.of(&Candidate { area, name, tags, suites: &["not asked"], cell: &cell }).join(" ")
        };
        assert_eq!(of("single-tenant", "official", &["official"], "1.34"), "full ci smoke");
        assert_eq!(of("single-tenant", "official", &["official"], "1.36"), "full ci smoke nightly");
        assert_eq!(of("self-test", "broken-workload", &["self-test"], "1.34"), "full ci");
        assert_eq!(of("multi-tenant", "lock-down", &[], "1.34"), "");
        assert_eq!(suites.nearest("nigthly"), Some("nightly"));
        let summaries: Vec<&str> = suites.all().iter().map(|suite| suite.summary.as_str()).collect();
        assert_eq!(summaries, ["Everything", "Every change", "A minute", "Every night"]);
    }

    #[test]
    fn every_mistake_at_once() {
        let text = "\
smoke:
  summary: A minute
  filter: tag(smoke) & nmae(x)
ci:
  summary: Every change
  filter: \"suite(ci) | suite(smokee)\"
both: {summary: Both, filter: all(), scenarios: [single-tenant/official]}
neither: {summary: Neither}
listed:
  summary: By name
  scenarios: [single-tenant/offical, single-tenant/official, single-tenant/official, x/y]
empty: {summary: Nothing, scenarios: []}
folded:
  summary: On two lines
  filter: >-
    tag(a) &
    tgg(b)
a: {summary: a, filter: suite(b)}
b: {summary: b, filter: tag(x) & not suite(c)}
c: {summary: c, filter: suite(a) | suite(smoke)}
";
        insta::assert_snapshot!(mistakes(text));
    }

    #[test]
    fn mistakes_of_shape() {
        let texts = [
            "",
            "smoke",
            "smoke: [a/b]",
            "smoke: {filter: all()}",
            "smoke: {summary: x, fliter: all()}",
            "Smoke: {summary: x, filter: all()}",
            "smoke: {summary: x, filter: 5}",
            "a: {summary: x, filter: all()}\na: {summary: x, filter: all()}",
            "a: {",
        ];
        let said = texts.map(|text| format!("{text}\n{}\n", mistakes(text)));
        insta::assert_snapshot!(said.concat());
    }
}

//! `ferry explain PATH`: what can be written where, from the schema, as `kubectl explain` does for Kubernetes.
//!
//! A path starts at a key of a scenario file (`phases.budget`) or at a type (`step.wait.ready`, `deadline.wait`).

mod nodes;
mod page;
mod sample;

use serde_json::Value;

use crate::deadlines::DeadlineName;
use crate::names;
use crate::probes;
use crate::schema;
use crate::steps;
use crate::text::TextError;
use nodes::{Child, Schema};
use page::Page;

/// The page of a path; of the whole file, if the path is empty.
///
/// # Errors
/// If nothing is there, with the nearest name that is.
pub fn explain(path: &str) -> Result<String, TextError> {
    let schema = Schema::new(schema::cached());
    let segments: Vec<&str> = path.trim_matches('.').split('.').filter(|segment| !segment.is_empty()).collect();
    let Some((first, rest)) = segments.split_first() else { return Ok(overview(schema)) };
    let mut here = Here::at(schema, first)?;
    for segment in rest {
        here = here.below(schema, segment)?;
    }
    Ok(here.page(schema))
}

/// What a path has led to.
struct Here<'s> {
    /// The path as it is best written.
    path: String,
    child: Child<'s>,
}

impl<'s> Here<'s> {
    fn at(schema: Schema<'s>, name: &str) -> Result<Here<'s>, TextError> {
        let keys = schema.children(schema.root());
        if let Some(child) = keys.iter().find(|child| child.name == name) {
            return Ok(Here { path: name.into(), child: child.clone() });
        }
        // A kind of step or probe is known by its place, so that its page shows how it is written.
        for parent in ["step", "probe"] {
            let Some(node) = schema.type_called(parent) else { continue };
            if let Some(child) = schema.children(node).into_iter().find(|child| child.name == name) {
                return Ok(Here { path: format!("{parent}.{name}"), child });
            }
        }
        if let Some(node) = schema.type_called(name) {
            let child = Child { name: name.into(), node, required: false };
            return Ok(Here { path: name.into(), child });
        }
        let known: Vec<String> = keys.into_iter().map(|child| child.name).chain(schema.type_names()).collect();
        let near = names::nearest(name, known.iter().map(String::as_str));
        let meant = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        Err(TextError::new(
            format!("there is nothing called `{name}`{meant}"),
            format!("known: {}", names::list(&known)),
        ))
    }

    fn below(self, schema: Schema<'s>, segment: &str) -> Result<Here<'s>, TextError> {
        let children = schema.children(self.child.node);
        let path = format!("{}.{segment}", self.path);
        if let Some(child) = children.iter().find(|child| child.name == segment) {
            return Ok(Here { path, child: child.clone() });
        }
        if children.is_empty() {
            let what = schema.type_text(self.child.node);
            let message = format!("`{}` has nothing below it: its type is {what}", self.path);
            return Err(TextError::new(message, format!("see `ferry explain {}`", self.path)));
        }
        let known: Vec<&str> = children.iter().map(|child| child.name.as_str()).collect();
        let near = names::nearest(segment, known.iter().copied());
        let meant = near.map(|name| format!("; did you mean `{}.{name}`?", self.path)).unwrap_or_default();
        Err(TextError::new(
            format!("`{}` has no `{segment}`{meant}", self.path),
            format!("known: {}", names::list(&known)),
        ))
    }

    fn page(&self, schema: Schema<'s>) -> String {
        let Child { name, node, required } = &self.child;
        let mut page = Page::default();
        page.title("PATH", &self.path);
        page.title("TYPE", &format!("{}{}", schema.type_beyond(name, node), if *required { ", required" } else { "" }));
        page.section("DESCRIPTION");
        let said = schema.descriptions(node);
        // A key called like its type has said it all; a kind is described by its type alone.
        let one_is_enough = node.get("description").is_some() && schema.type_text(node) == *name;
        for text in said.iter().take(if one_is_enough { 1 } else { usize::MAX }) {
            page.paragraphs(4, text);
        }
        if let Some(default) = schema.unwritten_default(node) {
            page.paragraphs(4, &format!("Default: {default}."));
        }
        if let Some((default, reason)) = self.deadline() {
            page.paragraphs(4, &format!("Why {default}: {reason}."));
        }
        if let Some(bounds) = schema.bounds(node) {
            page.paragraphs(4, &bounds);
        }
        children(&mut page, schema, node);
        if let Some(example) = self.example(schema, name) {
            page.section("EXAMPLE");
            page.verbatim(4, &example);
        }
        if let Some(kind) = self.kind().filter(|kind| !kind.rules.is_empty()) {
            page.section("LINT");
            for rule in kind.rules {
                page.entry(&format!("{} {}", rule.code, rule.name), rule.explain);
            }
        }
        page.done()
    }

    /// The default of a deadline, and the reason for it.
    fn deadline(&self) -> Option<(crate::text::HumanDuration, &'static str)> {
        let (parent, name) = self.path.rsplit_once('.')?;
        let (limit, reason) = DeadlineName::ALL
            .into_iter()
            .find(|deadline| deadline.as_str() == name)
            .filter(|_| parent == "deadline")?
            .default();
        Some((limit.into(), reason))
    }

    /// The kind of step or probe that the page is about.
    fn kind(&self) -> Option<&'static steps::KindInfo> {
        let (parent, name) = self.path.split_once('.')?;
        let kinds = match parent {
            "step" => steps::KINDS,
            "probe" => probes::KINDS,
            _ => return None,
        };
        kinds.iter().find(|kind| kind.kind == name)
    }

    fn example(&self, schema: Schema<'s>, name: &str) -> Option<String> {
        match self.kind() {
            Some(kind) => Some(format!("- {}", kind.example)),
            None => sample::entry(schema, &self.path, name, self.child.node),
        }
    }
}

/// The whole file.
fn overview(schema: Schema<'_>) -> String {
    let mut page = Page::default();
    page.title("FILE", "scenarios/AREA/NAME.yaml");
    page.section("DESCRIPTION");
    for text in schema.descriptions(schema.root()) {
        page.paragraphs(4, &text);
    }
    children(&mut page, schema, schema.root());
    page.section("MORE");
    page.paragraphs(
        4,
        "`ferry explain PATH` shows what is below a key, such as `phases.budget` or `step.wait.ready`. Types:",
    );
    page.paragraphs(4, &format!("{}.", schema.type_names().join(", ")));
    page.done()
}

/// What can be written below a node: keys, or names to choose from.
fn children(page: &mut Page, schema: Schema<'_>, node: &Value) {
    let children = schema.children(node);
    if children.is_empty() {
        return;
    }
    page.section(if schema.is_choice(node) { "ONE OF" } else { "KEYS" });
    for Child { name, node, required } in children {
        let kind = if schema.is_name(node) { String::new() } else { format!("  <{}>", schema.type_text(node)) };
        let mark = if required { "  required" } else { "" };
        // Names without texts of their own share that of their type, which is above.
        let said = if node.get("enum").is_some() { Vec::new() } else { schema.descriptions(node) };
        let mut text = said.into_iter().next().unwrap_or_default();
        // Kinds have long texts: their first paragraph is enough here.
        text.truncate(text.find("\n\n").unwrap_or(text.len()));
        if let Some(default) = schema.unwritten_default(node) {
            text += &format!(" Default: {default}.");
        }
        page.entry(&format!("{name}{kind}{mark}"), &text);
    }
    if let Some(groups) = schema.alternatives(node) {
        page.paragraphs(2, &groups);
    }
}

#[cfg(test)]
mod tests;

//! `commit`: a change of the fleet, pushed.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::RelPath;

/// Commits a change of the fleet to its main branch, pushes it, and asks Flux to look at it now.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Commit {
    /// The commit's message.
    pub message: Spanned<String>,
    /// Files to write: path in the fleet → content, or `{file: PATH}` for a file beside the scenario.
    #[serde(default)]
    pub write: BTreeMap<Spanned<RelPath>, Content>,
    /// Files and folders to delete.
    #[serde(default)]
    pub delete: Vec<Spanned<RelPath>>,
    /// Texts to replace: path in the fleet → text that must be there → text to put in its place.
    #[serde(default)]
    pub replace: BTreeMap<Spanned<RelPath>, BTreeMap<Spanned<String>, String>>,
}

/// The content of a written file.
#[derive(Debug, Clone)]
pub enum Content {
    /// As it stands.
    Text(String),
    /// Copied from a file beside the scenario.
    File(Spanned<RelPath>),
}

/// A file to copy.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CopiedFile {
    /// A file beside the scenario.
    file: Spanned<RelPath>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
        struct ContentVisitor;

        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the file's text, or `{file: PATH}`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Content, A::Error> {
                CopiedFile::deserialize(MapAccessDeserializer::new(map)).map(|copy| Content::File(copy.file))
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}

impl JsonSchema for Content {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let copied = generator.subschema_for::<CopiedFile>();
        json_schema!({ "description": "The file's text, or a file to copy.", "anyOf": [{ "type": "string" }, copied] })
    }
}

impl StepKind for Commit {
    const KIND: &'static str = "commit";
    const EXAMPLE: &'static str = "commit: {message: Remove the old manifests, delete: [clusters/test/flux-system]}";
    const RULES: &'static [Rule] = &[COMMIT_MESSAGE, EMPTY_COMMIT, EMPTY_TEXT];
}

const COMMIT_MESSAGE: Rule = Rule {
    code: "F204",
    name: "commit-message",
    explain: "A commit without a message cannot be told from others in the record, and git refuses it.",
    failing: "- commit: {message: \"\", delete: [apps/web.yaml]}",
    passing: "- commit: {message: Remove the greeting, delete: [apps/web.yaml]}\n- wait: {revision: head}",
    ..Rule::ERROR
};

const EMPTY_COMMIT: Rule = Rule {
    code: "F205",
    name: "empty-commit",
    explain: "A commit without changes is no commit: git refuses it, and no new revision would ever arrive.",
    failing: "- commit: {message: Nothing}",
    passing: "- commit: {message: Something, delete: [apps/web.yaml]}\n- wait: {revision: head}",
    ..Rule::ERROR
};

const EMPTY_TEXT: Rule = Rule {
    code: "F206",
    name: "empty-text",
    explain: "`replace` finds a text and puts another in its place; an empty text is everywhere and nowhere.",
    failing: "- commit: {message: m, replace: {apps/web.yaml: {\"\": x}}}",
    passing: "- commit: {message: m, replace: {apps/web.yaml: {old: new}}}\n- wait: {revision: head}",
    ..Rule::ERROR
};

impl Action for Commit {
    fn title(&self, _scenario: &Scenario) -> String {
        format!("commit “{}”", self.message.lines().next().unwrap_or_default())
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Commit, None, scenario)
    }

    fn needs(&self, _scenario: &Scenario, needs: &mut Needs) {
        needs.tool("git");
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        if self.message.trim().is_empty() {
            findings.report(&COMMIT_MESSAGE, self.message.span, "the commit has no message", "say what it changes");
        }
        if self.write.is_empty() && self.delete.is_empty() && self.replace.is_empty() {
            findings.report(
                &EMPTY_COMMIT,
                findings.here(),
                "the commit changes nothing",
                "add `write`, `delete` or `replace`",
            );
        }
        for (text, _) in self.replace.values().flatten() {
            if text.is_empty() {
                findings.report(&EMPTY_TEXT, text.span, "an empty text cannot be found", "name the text to replace");
            }
        }
    }
}

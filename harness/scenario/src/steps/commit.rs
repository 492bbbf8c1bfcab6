//! `commit`: a change of the fleet, pushed.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::{HINT, Name, RelPath};

/// Commits a change of the fleet, pushes it, and asks Flux to look at it now.
///
/// What is deleted goes first, then what is moved, then come `write` and `replace`.
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
    /// Files and folders to move: path in the fleet → its new path, which must be free.
    #[serde(default)]
    pub r#move: BTreeMap<Spanned<RelPath>, Spanned<RelPath>>,
    /// Undoes the last commit that a `commit` step made on the branch, or the last so many: `true`, or a number. Nothing else is
    /// changed by such a commit.
    pub revert: Option<Spanned<Revert>>,
    /// Branch that is committed to; it is made from main if it does not exist. Default: main.
    pub branch: Option<Spanned<Name>>,
}

/// The branch that Flux is bootstrapped from.
pub(super) const MAIN: &str = "main";

impl Commit {
    /// The branch that is committed to.
    pub fn branch(&self) -> &str {
        self.branch.as_ref().map_or(MAIN, |branch| branch.as_str())
    }

    /// Whether it goes to the branch that Flux was bootstrapped from. What Flux does not follow, it does not prune by.
    pub fn is_to_main(&self) -> bool {
        self.branch() == MAIN
    }

    fn changes_files(&self) -> bool {
        !(self.write.is_empty() && self.delete.is_empty() && self.replace.is_empty() && self.r#move.is_empty())
    }
}

/// How many commits are undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revert(pub u32);

impl<'de> Deserialize<'de> for Revert {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Revert, D::Error> {
        struct RevertVisitor;

        impl Visitor<'_> for RevertVisitor {
            type Value = Revert;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, or how many commits from 1 on")
            }

            fn visit_bool<E: Error>(self, last: bool) -> Result<Revert, E> {
                let wrong =
                    || E::custom(format_args!("`revert: false` reverts nothing{HINT}remove it, or write `true`"));
                last.then_some(Revert(1)).ok_or_else(wrong)
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<Revert, E> {
                let wrong = || {
                    E::custom(format_args!(
                        "{count} commits cannot be reverted{HINT}write how many, from 1 on, or `true`"
                    ))
                };
                u32::try_from(count).ok().filter(|count| *count > 0).map(Revert).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(RevertVisitor)
    }
}

impl JsonSchema for Revert {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Revert".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`true` for the last commit, or how many.",
            "anyOf": [{ "const": true }, { "type": "integer", "minimum": 1 }],
        })
    }
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
    const RULES: &'static [Rule] = &[COMMIT_MESSAGE, EMPTY_COMMIT, EMPTY_TEXT, REVERT_ALONE];
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

const REVERT_ALONE: Rule = Rule {
    code: "F257",
    name: "revert-alone",
    explain: "A commit that undoes others puts the fleet back as it was before them; a change beside that belongs into a commit \
              of its own, so that each can be told apart and undone.",
    failing: "- commit: {message: m, revert: true, delete: [x]}",
    passing: "- commit: {message: Back to where we were, revert: 2}\n- wait: {revision: head}",
    ..Rule::ERROR
};

impl Action for Commit {
    fn title(&self, _scenario: &Scenario) -> String {
        let message = self.message.lines().next().unwrap_or_default();
        let branch = self.branch.as_ref().map(|branch| format!(" to branch {branch}")).unwrap_or_default();
        match &self.revert {
            None => format!("commit “{message}”{branch}"),
            Some(Spanned { value: Revert(1), .. }) => format!("revert the last commit{branch} as “{message}”"),
            Some(Spanned { value: Revert(count), .. }) => {
                format!("revert the last {count} commits{branch} as “{message}”")
            }
        }
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
        match &self.revert {
            None if !self.changes_files() => findings.report(
                &EMPTY_COMMIT,
                findings.here(),
                "the commit changes nothing",
                "add `write`, `delete`, `replace`, `move` or `revert`",
            ),
            Some(revert) if self.changes_files() => findings.report(
                &REVERT_ALONE,
                revert.span,
                "the commit reverts others and changes files as well",
                "put the changes into a commit of their own",
            ),
            _ => {}
        }
        for (text, _) in self.replace.values().flatten() {
            if text.is_empty() {
                findings.report(&EMPTY_TEXT, text.span, "an empty text cannot be found", "name the text to replace");
            }
        }
    }
}

//! Templates and fragments, carried out on the tree: after this stage nothing is left to render or to include.
//!
//! An included fragment's steps are put below its `include`, under a key that no author can write by accident, so that
//! the model has them with their own places.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Json;

use super::declared::{self, json};
use super::tree::{self, Key, Node, Value};
use super::typed;
use crate::diagnostic::{Diagnostic, codes};
use crate::folders::Files;
use crate::names;
use crate::span::{Source, Span, Spanned};
use crate::text::{Name, VarName};
use crate::vars::{TemplateError, Variables, is_template};

/// Where an `include` carries its steps.
const INCLUDED: &str = "$steps";

/// Fragments within fragments within fragments: deeper than this nobody could follow.
const MAX_DEPTH: usize = 8;

/// Includes in one scenario, in all: a scenario of a thousand steps stays below it, one made to grow without end does not.
const MAX_INCLUDES: usize = 1_000;

/// Parts of the root that are not rendered: what declares variables cannot use them.
const NOT_RENDERED: [&str; 2] = ["vars", "matrix"];

/// The folder of fragments, below scenarios.
pub const FRAGMENTS: &str = "fragments";

/// A fragment's file: steps to include, with arguments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Fragment {
    fragment: Spanned<Name>,
    #[allow(dead_code, reason = "read so that it must be there; for people")]
    summary: Spanned<String>,
    #[allow(dead_code, reason = "read so that its names are checked; their values come from the tree")]
    #[serde(default)]
    vars: std::collections::BTreeMap<VarName, IgnoredAny>,
    #[allow(dead_code, reason = "read so that it must be there; the steps come from the tree")]
    steps: Vec<IgnoredAny>,
}

/// Whether a step includes a fragment that this cell is to do without. It was read all the same, so that what is wrong with it
/// is said in every cell.
fn is_left_out(item: &Node) -> bool {
    let Value::Map(entries) = &item.value else { return false };
    let [(key, Node { value: Value::Map(arguments), .. })] = entries.as_slice() else { return false };
    let when = arguments.iter().find(|(key, _)| key.text == "when").map(|(_, value)| &value.value);
    key.text == "include" && when == Some(&Value::Bool(false))
}

/// The stage's state.
pub struct Expansion<'a> {
    files: &'a dyn Files,
    source: Source,
    next_id: u32,
    found: Vec<Diagnostic>,
    /// The fragments that are being included, outermost first.
    open: Vec<String>,
    includes: usize,
}

impl<'a> Expansion<'a> {
    /// `next_id` is the first id that no node has.
    pub fn new(files: &'a dyn Files, source: Source, next_id: u32) -> Expansion<'a> {
        Expansion { files, source, next_id, found: Vec::new(), open: Vec::new(), includes: 0 }
    }

    /// Expands a whole scenario.
    pub fn scenario(&mut self, root: &mut Node, variables: &Variables) {
        let Value::Map(entries) = &mut root.value else { return self.node(root, variables) };
        for (key, value) in entries {
            if !NOT_RENDERED.contains(&key.text.as_str()) {
                self.node(value, variables);
            }
        }
    }

    /// The files that were read, and what was wrong.
    pub fn finish(self) -> (Source, Vec<Diagnostic>) {
        (self.source, self.found)
    }

    fn node(&mut self, node: &mut Node, variables: &Variables) {
        match &mut node.value {
            Value::Text(text) if is_template(text) => match variables.evaluate(text) {
                Ok(value) => node.value = self.value(&value, node.span),
                Err(error) => self.template(&error, node.span),
            },
            Value::List(items) => {
                items.iter_mut().for_each(|item| self.item(item, variables));
                items.retain(|item| !is_left_out(item));
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    if is_template(&key.text) {
                        match variables.render(&key.text) {
                            Ok(text) => key.text = text,
                            Err(error) => self.template(&error, key.span),
                        }
                    }
                    self.node(value, variables);
                }
            }
            _ => {}
        }
    }

    /// An element of a list, which may be a step that includes others.
    fn item(&mut self, item: &mut Node, variables: &Variables) {
        self.node(item, variables);
        if let Value::Map(entries) = &mut item.value
            && let [(key, content)] = entries.as_mut_slice()
            && key.text == "include"
            && let Value::Map(arguments) = &mut content.value
        {
            let span = key.span;
            if let Some(steps) = self.include(span, arguments) {
                arguments.push((Key { text: INCLUDED.into(), span }, steps));
            }
        }
    }

    /// The steps of an included fragment. What an author did not write at all is for the typed stage to say.
    fn include(&mut self, span: Span, arguments: &[(Key, Node)]) -> Option<Node> {
        let argument = |name: &str| arguments.iter().find(|(key, _)| key.text == name).map(|(_, value)| value);
        let wanted = argument("fragment")?;
        let Value::Text(name) = &wanted.value else { return None };
        name.parse::<Name>().ok()?;
        if self.open.contains(name) {
            let chain = self.open.iter().map(|open| format!("`{open}`")).collect::<Vec<_>>().join(" → ");
            let message = format!("the fragment `{name}` includes itself: {chain} → `{name}`");
            self.fragment(wanted.span, message, "take one of these includes out");
            return None;
        }
        self.includes += 1;
        if self.open.len() == MAX_DEPTH || self.includes > MAX_INCLUDES {
            let message = format!("includes go too far: at most {MAX_DEPTH} within each other, {MAX_INCLUDES} in all");
            self.fragment(span, message, "write the steps out, or merge fragments");
            return None;
        }
        let path = format!("{FRAGMENTS}/{name}.yaml");
        let Some(text) = self.files.read(&path) else {
            let known = self.fragments();
            let meant = names::nearest(name, known.iter().map(String::as_str));
            let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let help = match known.is_empty() {
                true => "fragments are files of scenarios/fragments".to_owned(),
                false => format!("known: {}", names::list(&known)),
            };
            self.fragment(wanted.span, format!("there is no fragment `{name}`{meant}"), help);
            return None;
        };
        let shown = Path::new(self.source.name()).parent().and_then(Path::parent).unwrap_or(Path::new("")).join(&path);
        let file = self.source.add(&shown.to_string_lossy(), &text);
        let (root, repeated) = match tree::read(&self.source, &file, &mut self.next_id) {
            Ok(read) => read,
            Err(diagnostic) => {
                self.found.push(*diagnostic);
                return None;
            }
        };
        self.found.extend(repeated);
        match typed::convert::<Fragment>(&root, &self.source) {
            Ok(fragment) if fragment.fragment.as_str() != name.as_str() => {
                let message = format!("the fragment calls itself `{}`, its file `{name}`", fragment.fragment);
                self.fragment(fragment.fragment.span, message, format!("write `fragment: {name}`, or rename the file"));
            }
            Ok(_) => {}
            Err(found) => {
                self.found.extend(found);
                return None;
            }
        }
        let variables = self.arguments(&root, name, span, argument("with"))?;
        let Value::Map(entries) = root.value else { return None };
        let mut steps = entries.into_iter().find(|(key, _)| key.text == "steps").map(|(_, steps)| steps)?;
        self.open.push(name.clone());
        self.node(&mut steps, &variables);
        self.open.pop();
        Some(steps)
    }

    /// A fragment's variables: its defaults, and what the `include` gives. It sees none of the scenario's own.
    fn arguments(&mut self, root: &Node, name: &str, span: Span, with: Option<&Node>) -> Option<Variables> {
        let declared = declared::variables(root, &self.source, &mut self.found);
        let mut variables: Variables =
            declared.iter().map(|variable| (variable.name.clone(), variable.default.clone())).collect();
        if let Some(Node { value: Value::Map(given), .. }) = with {
            let known: Vec<&str> = declared.iter().map(|d| d.name.as_str()).collect();
            for (key, value) in given {
                if known.contains(&key.text.as_str()) {
                    variables.set(&key.text, json(value));
                } else {
                    let meant = names::nearest(&key.text, known.iter().copied());
                    let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                    let message = format!("the fragment `{name}` has no variable `{}`{meant}", key.text);
                    self.fragment(key.span, message, format!("known: {}", names::list(&known)));
                }
            }
        }
        let missing: Vec<String> =
            variables.iter().filter(|(_, value)| value.is_null()).map(|(variable, _)| variable.to_owned()).collect();
        for variable in &missing {
            let message = format!("the fragment `{name}` needs a value for `{variable}`");
            self.fragment(span, message, format!("give it: `with: {{{variable}: …}}`"));
        }
        // Without its arguments a fragment would only repeat what is said already.
        missing.is_empty().then_some(variables)
    }

    /// The fragments there are.
    fn fragments(&self) -> Vec<String> {
        let name = |path: &String| {
            let name = path.strip_prefix(FRAGMENTS)?.strip_prefix('/')?.strip_suffix(".yaml")?;
            Some(name.to_owned())
        };
        self.files.list(FRAGMENTS).iter().filter_map(name).collect()
    }

    fn fragment(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let diagnostic = Diagnostic::error(codes::FRAGMENT, &self.source, span, message);
        self.found.push(diagnostic.labelled("here").helped(help));
    }

    fn template(&mut self, error: &TemplateError, span: Span) {
        let code = match error {
            TemplateError::Unknown { .. } => codes::UNKNOWN_VARIABLE,
            TemplateError::Invalid { .. } => codes::TEMPLATE,
        };
        let diagnostic = Diagnostic::error(code, &self.source, span, error.to_string());
        self.found.push(diagnostic.labelled("in this template").helped(error.hint()));
    }

    /// A template's value, where the template stood.
    fn value(&mut self, value: &Json, span: Span) -> Value {
        match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Value::Unsigned(number),
                (None, Some(number)) => Value::Signed(number),
                (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(|item| self.child(item, span)).collect()),
            Json::Object(entries) => {
                let entry = |(key, value): (&String, &Json)| (Key { text: key.clone(), span }, self.child(value, span));
                Value::Map(entries.iter().map(entry).collect())
            }
        }
    }

    fn child(&mut self, value: &Json, span: Span) -> Node {
        let id = self.next_id;
        self.next_id += 1;
        let value = self.value(value, span);
        Node { id, span, value }
    }
}

#[cfg(test)]
mod tests {
    use crate::folders::tests::Memory;
    use crate::model::Scenario;
    use crate::parse::tests::example;
    use crate::parse::{Given, Sets, parse_with};
    use crate::{Diagnostics, plan};

    const FRAGMENTS: [(&str, &str); 6] = [
        (
            "fragments/settle.yaml",
            "fragment: settle\nsummary: Waits\nvars: {object: null, within: 2m}\nsteps:\n  - wait: {ready: \"{{ object }}\", within: \"{{ within }}\"}\n",
        ),
        (
            "fragments/twice.yaml",
            "fragment: twice\nsummary: x\nvars: {object: a/b}\nsteps:\n  - include: {fragment: settle, with: {object: \"{{ object }}\"}}\n  - include: {fragment: settle, with: {object: c/d}}\n",
        ),
        ("fragments/round.yaml", "fragment: round\nsummary: x\nsteps:\n  - include: {fragment: about}\n"),
        ("fragments/about.yaml", "fragment: about\nsummary: x\nsteps:\n  - include: {fragment: round}\n"),
        ("fragments/broken.yaml", "fragment: borken\nsumary: x\nsteps:\n  - wiat: {ready: a/b}\n"),
        (
            "fragments/typo.yaml",
            "fragment: typo\nsummary: x\nsteps:\n  - wait: {raedy: a/b}\n  - wait: {ready: \"{{ obejct }}\"}\n",
        ),
    ];

    fn read(changes: &str, sets: &[(&str, &str)]) -> Result<Scenario, Diagnostics> {
        let sets: Sets = sets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let files = Memory(FRAGMENTS.into());
        parse_with("scenarios/area/example.yaml", &example(changes), Given { files: &files, sets: &sets, cell: None })
    }

    fn planned(changes: &str, sets: &[(&str, &str)]) -> String {
        let scenario = read(changes, sets).unwrap_or_else(|found| panic!("{found}"));
        let text = plan(&scenario, &scenario.cell, &Memory::default()).to_string();
        text.split("needs").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn templates_are_rendered_and_keep_their_types() {
        let changes = "vars: {from: 2.9.2, replicas: 2, secure: true}
flux: {version: \"{{ from }}\"}
summary: From {{ from }} on {{ kubernetes }} by {{ provider }}
- scale: {object: deployment/apps/web, replicas: \"{{ replicas + 1 }}\"}
- assert: {object: deployment/apps/web, path: spec.replicas, equals: \"{{ replicas }}\"}
- commit: {message: m, write: {\"apps/{{ from }}.yaml\": \"secure: {{ secure }}\"}}";
        insta::assert_snapshot!(planned(changes, &[("replicas", "4")]));
    }

    #[test]
    fn fragments_bring_their_steps() {
        let changes = "- include: {fragment: twice, with: {object: deployment/apps/web}}";
        insta::assert_snapshot!(planned(changes, &[]));
        let scenario = read(changes, &[]).unwrap();
        let places: Vec<String> = scenario.steps().map(|step| scenario.place(step.span).to_string()).collect();
        insta::assert_snapshot!(places.join("\n"), @r"
        scenarios/area/example.yaml:12:9
        scenarios/area/example.yaml:15:9
        scenarios/fragments/twice.yaml:5:5
        scenarios/fragments/settle.yaml:5:5
        scenarios/fragments/twice.yaml:6:5
        scenarios/fragments/settle.yaml:5:5
        ");
    }

    #[test]
    fn an_include_may_depend_on_the_cell() {
        let changes = "vars: {at: never}
- include: {fragment: settle, with: {object: deployment/apps/web}, when: \"{{ at == 'here' }}\"}
- sleep: {for: 1s, reason: r}";
        let steps = |sets: &[(&str, &str)]| read(changes, sets).unwrap().steps().count();
        assert_eq!(steps(&[("at", "here")]), steps(&[]) + 2);
        // What is wrong with a fragment is said whether or not it is carried out.
        let broken = "- include: {fragment: typo, when: false}\n- sleep: {for: 1s, reason: r}";
        assert!(read(broken, &[]).is_err());
    }

    #[test]
    fn what_authors_see() {
        let mistakes = [
            ("summary: \"{{ form }}\"\nvars: {from: 2.9.2}", &[][..]),
            ("summary: \"{{ from }\"\nvars: {from: 2.9.2}", &[]),
            ("vars: {from-version: 2.9.2, From: 1}", &[]),
            ("vars: {kubernetes: 1.33}", &[]),
            ("vars: {from: \"{{ to }}\", to: 2.9.4}", &[]),
            ("vars: {token: null}", &[]),
            ("vars: {from: 2.9}\nflux: {version: \"{{ from }}\"}", &[]),
            ("vars: {from: 2.9.2}", &[("form", "2.9.4")]),
            ("- include: {fragment: setle}", &[]),
            ("- include: {fragment: settle}", &[]),
            ("- include: {fragment: settle, with: {object: a/b, whitin: 5m}}", &[]),
            ("- include: {with: {object: a/b}}", &[]),
            ("- include: {fragment: settle, with: {object: a/b}, when: at}", &[]),
            ("- include: {fragment: round}", &[]),
            ("- include: {fragment: broken}", &[]),
            ("- include: {fragment: typo}", &[]),
            ("- parallel: [wait: {raedy: a/b}, wait: {ready: c}]", &[]),
            ("- repeat: {time: 3, steps: [sleep: {for: 1s}]}", &[]),
            ("- expect-failure: {message: m, steps: [delete: a/b]}", &[]),
        ];
        let said = mistakes.map(|(changes, sets)| match read(changes, sets) {
            Ok(_) => panic!("{changes} is accepted"),
            Err(found) => format!("{changes}\n{}", found.to_text()),
        });
        insta::assert_snapshot!(said.join("\n"));
    }
}

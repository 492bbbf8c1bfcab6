//! One object as it is written.

use serde_json::{Map, Value as Json};

use crate::diagnostic::Diagnostic;
use crate::parse::tree::{self, Key, Node, Value};
use crate::span::{Source, Span};

/// An object's manifest, with the place of every value.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its file under scenarios; empty for one written in a step.
    pub path: String,
    source: Source,
    root: Node,
}

/// The objects in a file; documents without a `kind` are none.
pub(crate) fn read_manifests(path: &str, source: &Source) -> Result<Vec<Manifest>, Box<Diagnostic>> {
    let documents = tree::read_all(source)?;
    let manifests = documents.into_iter().map(|root| Manifest { path: path.into(), source: source.clone(), root });
    Ok(manifests.filter(|m| !m.kind().is_empty()).collect())
}

impl Manifest {
    /// One that is written in a step: all of it has the step's place.
    pub(crate) fn inline(source: &Source, span: Span, object: &Map<String, Json>) -> Manifest {
        Manifest { path: String::new(), source: source.clone(), root: from_map(object, span) }
    }

    /// The same with one place for everything.
    pub(crate) fn moved_to(mut self, source: &Source, span: Span) -> Manifest {
        fn point(node: &mut Node, span: Span) {
            node.span = span;
            match &mut node.value {
                Value::List(items) => items.iter_mut().for_each(|item| point(item, span)),
                Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                    key.span = span;
                    point(value, span);
                }),
                _ => {}
            }
        }
        point(&mut self.root, span);
        Manifest { source: source.clone(), ..self }
    }

    /// The file that it is in.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The file's name without its folders.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Its `kind`; empty if there is none.
    pub fn kind(&self) -> &str {
        self.text("kind").unwrap_or_default()
    }

    /// Its group, without the version; empty for the core group.
    pub fn group(&self) -> &str {
        self.text("apiVersion").and_then(|v| v.split_once('/')).map_or("", |(group, _)| group)
    }

    /// Its `metadata.name`; empty if there is none.
    pub fn name(&self) -> &str {
        self.text("metadata.name").unwrap_or_default()
    }

    /// Its namespace, where it says one.
    pub fn namespace(&self) -> Option<&str> {
        self.text("metadata.namespace")
    }

    /// Whether it is of a kind.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.kind() == kind && self.group() == group
    }

    /// `Kind name`, for messages.
    pub fn title(&self) -> String {
        format!("{} `{}`", self.kind(), self.name())
    }

    /// A value by its keys, joined by dots.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(&self.root, |node, key| node.get(key))
    }

    /// A text by its keys.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.text()
    }

    /// A scalar as it is written: `2.9` is a number to YAML.
    pub fn scalar(&self, path: &str) -> Option<&str> {
        let node = self.at(path)?;
        node.text().or_else(|| {
            let is_scalar = !matches!(node.value, Value::List(_) | Value::Map(_) | Value::Null);
            is_scalar.then(|| self.source.slice(node.span))
        })
    }

    /// Whether a value is `true`.
    pub fn is_true(&self, path: &str) -> bool {
        self.at(path).is_some_and(|node| node.value == Value::Bool(true))
    }

    /// The elements of a list; none where there is no list.
    pub(crate) fn items(&self, path: &str) -> &[Node] {
        self.at(path).map_or(&[], Node::items)
    }

    /// The place of a value, or of the innermost one on the way to it that is there.
    pub fn span(&self, path: &str) -> Span {
        let mut node = &self.root;
        let mut span = node.span;
        for key in path.split('.') {
            let Some((found, value)) = node.entry(key) else { break };
            span = if matches!(value.value, Value::Map(_) | Value::List(_) | Value::Null) {
                found.span
            } else {
                value.span
            };
            node = value;
        }
        span
    }

    /// The images of its containers, where it is a pod or makes some.
    pub(crate) fn images(&self) -> impl Iterator<Item = &Node> {
        let pods = ["spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"];
        let lists =
            pods.into_iter().flat_map(|pod| ["containers", "initContainers"].map(|list| format!("{pod}.{list}")));
        lists.flat_map(|list| self.items(&list)).filter_map(|container| container.get("image"))
    }

    /// What kustomize is to build from: resources, bases and components, each with its place.
    pub fn resources(&self) -> impl Iterator<Item = (&str, Span)> {
        let is_kustomize = self.group() == "kustomize.config.k8s.io";
        let lists = ["resources", "bases", "components"].into_iter().filter(move |_| is_kustomize);
        lists.flat_map(|list| self.items(list)).filter_map(|node| Some((node.text()?, node.span)))
    }
}

impl Node {
    /// A map's entry.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(k, _)| k.text == key).map(|(key, value)| (key, value))
    }

    /// A map's value.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The value, if it is a text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list's elements; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }
}

fn from_map(object: &Map<String, Json>, span: Span) -> Node {
    let entries = object.iter().map(|(key, value)| (Key { text: key.clone(), span }, from_json(value, span)));
    Node { id: 0, span, value: Value::Map(entries.collect()) }
}

fn from_json(json: &Json, span: Span) -> Node {
    let value = match json {
        Json::Object(object) => return from_map(object, span),
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => Value::Unsigned(value),
            (None, Some(value)) => Value::Signed(value),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(|item| from_json(item, span)).collect()),
    };
    Node { id: 0, span, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_document_know_their_places() {
        let text = "# a comment\n---\nkind: A\nspec:\n  version: 2.9\n---\n---\njust: values\n---\nkind: B\nmetadata: {name: b}\n";
        let source = Source::new("fleets/web/x.yaml", text);
        let all = read_manifests("fleets/web/x.yaml", &source).unwrap();
        let seen: Vec<(String, Option<&str>, String)> = all
            .iter()
            .map(|m| (m.title(), m.scalar("spec.version"), source.place(m.span("spec.version")).to_string()))
            .collect();
        insta::assert_debug_snapshot!(seen, @r#"
        [
            (
                "A ``",
                Some(
                    "2.9",
                ),
                "fleets/web/x.yaml:5:12",
            ),
            (
                "B `b`",
                None,
                "fleets/web/x.yaml:10:1",
            ),
        ]
        "#);
    }

    #[test]
    fn what_is_no_yaml_is_an_error_at_its_place() {
        for text in ["kind: [\n", "{{ if .Values.x }}\nkind: A\n{{ end }}\n", "a: 1\na: 2\n", "kind: *nobody\n"] {
            let found = read_manifests("x", &Source::new("x", text)).unwrap_err();
            assert!(!found.message.is_empty() && found.span.offset as usize <= text.len(), "{found:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "([a-z]{1,6}|[:\\-\\[\\]{},#&*!|>'\"%@`? ]|\n---\n|\n {0,6}|é){0,60}") {
            let _ = read_manifests("x", &Source::new("x", &text));
        }
    }
}

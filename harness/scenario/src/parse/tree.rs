//! From text to a tree in which every node knows its place. The only file that knows the YAML library.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location, Options, Spanned};

use crate::diagnostic::{Diagnostic, codes};
use crate::span::{Source, SourceFile, Span};
use crate::vars::is_template;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique in the tree.
    pub id: u32,
    /// Where it is written.
    pub span: Span,
    /// What is written.
    pub value: Value,
}

/// What a node can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a map's entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

impl Node {
    /// What it is, in words for messages.
    pub fn describe(&self, source: &Source) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Signed(_) | Value::Unsigned(_) | Value::Float(_) => {
                // A template's value is not what is written there.
                let number = match (&self.value, source.slice(self.span)) {
                    (Value::Signed(number), written) if is_template(written) => number.to_string(),
                    (Value::Unsigned(number), written) if is_template(written) => number.to_string(),
                    (Value::Float(number), written) if is_template(written) => number.to_string(),
                    (_, written) => written.to_owned(),
                };
                format!("the number {number}")
            }
            Value::Text(text) if text.chars().count() > 40 => "a text".into(),
            Value::Text(text) => format!("the text {text:?}"),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }
}

/// Reads one YAML document. Repeated keys come beside the tree, all of them; of other mistakes in the YAML itself only
/// the first is found, as nothing after it can be trusted.
///
/// `file` is one of those of `source`; ids go on from `next_id`.
pub fn read(source: &Source, file: &SourceFile, next_id: &mut u32) -> Result<(Node, Vec<Diagnostic>), Box<Diagnostic>> {
    let at = At { source, file };
    let parse = |repeated_keys| {
        serde_saphyr::from_str_with_options::<Raw>(file.text(), options(repeated_keys))
            .map_err(|e| Box::new(syntax(&e, at)))
    };
    let mut found = Vec::new();
    let raw = match parse(DuplicateKeyPolicy::Error) {
        Err(first) if first.code == codes::REPEATED_KEY => {
            // Once more with repeated keys let through, so that all of them are found, and everything else too.
            found.push(*first);
            parse(DuplicateKeyPolicy::LastWins)?
        }
        other => other?,
    };
    let root = number(raw, next_id, at, &mut found);
    found.dedup_by_key(|d| d.span);
    Ok((root, found))
}

/// Where locations of the library are.
#[derive(Clone, Copy)]
struct At<'a> {
    source: &'a Source,
    file: &'a SourceFile,
}

/// Reads every YAML document of a manifest; of mistakes only the first is found. Empty documents are left out.
pub fn read_all(source: &Source) -> Result<Vec<Node>, Box<Diagnostic>> {
    let at = At { source, file: &source.main() };
    let documents: Vec<Raw> = serde_saphyr::from_multiple_with_options(at.file.text(), manifest_options())
        .map_err(|e| Box::new(syntax(&e, at)))?;
    let mut next_id = 0;
    let numbered = documents.into_iter().map(|raw| number(raw, &mut next_id, at, &mut Vec::new()));
    Ok(numbered.filter(|node| node.value != Value::Null).collect())
}

/// Flux' own CRDs, all in one file, stay below a quarter of each of these.
fn manifest_options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 2_000,
            max_depth: 128,
            flow_nesting_limit: 64,
            max_nodes: 1_000_000,
            max_events: 3_000_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// A scenario of a thousand steps stays far below each of these; a file made to exhaust memory does not.
fn options(duplicate_keys: DuplicateKeyPolicy) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 2,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_nodes: 100_000,
            max_events: 300_000,
            max_anchors: 100,
            max_aliases: 1_000,
            max_merge_keys: 100,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// A mistake in the YAML itself.
fn syntax(error: &Error, at: At<'_>) -> Diagnostic {
    let location = error.location().filter(|l| l.line() > 0);
    let span = location.map_or(Span { offset: at.file.start(), ..Span::default() }, |l| span(l, at));
    if let Error::DuplicateMappingKey { key, .. } = error {
        return repeated_key(key.as_deref().unwrap_or("?"), span, at.source);
    }
    let text = error.to_string();
    // The library appends the place, which is shown in our own way.
    let text = text.split_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let (message, help) = match text {
        _ if matches!(error, Error::MultipleDocuments { .. }) => (
            "a scenario file holds one document".to_owned(),
            "remove the `---`, or put the second scenario into a file of its own",
        ),
        _ if text.contains("tabs disallowed") => {
            ("YAML is not indented by tabs".to_owned(), "use two blanks for each level")
        }
        _ if text.contains("mapping values are not allowed") => {
            ("a `:` where none can be".to_owned(), "check the indentation, and put text that contains `: ` in quotes")
        }
        _ if text.contains("unknown anchor") => {
            (text.to_owned(), "name an anchor defined above; put text that starts with `*` in quotes")
        }
        _ if text.contains("unexpected character") => {
            (text.to_owned(), "put text that starts with this character in quotes")
        }
        "expected string scalar" => {
            ("a key must be a text".to_owned(), "put text that starts with `{` or `[` in quotes")
        }
        _ if text.contains("alias replay") => {
            ("aliases repeat too much".to_owned(), "write out what the anchors stand for, or use fewer of them")
        }
        _ if text.contains("recursion limit") || text.contains("nesting") => {
            ("lists and maps are nested too deeply".to_owned(), "check the brackets; a scenario is a few levels deep")
        }
        _ if matches!(error, Error::Budget { .. }) => {
            (text.to_owned(), "split the scenario; it is beyond what a run could carry out")
        }
        _ => (text.to_owned(), "check indentation, brackets and quotes up to this place"),
    };
    Diagnostic::error(codes::YAML, at.source, span, message).labelled("here").helped(help)
}

fn repeated_key(key: &str, span: Span, source: &Source) -> Diagnostic {
    Diagnostic::error(codes::REPEATED_KEY, source, span, format!("`{key}` is said twice"))
        .labelled("already said above")
        .helped("keep one of the two")
}

/// As the library reads it: no identity yet.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Scalar(Value),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

/// Gives every node its id and place, and finds repeated keys.
fn number(Raw(raw): Raw, next_id: &mut u32, at: At<'_>, found: &mut Vec<Diagnostic>) -> Node {
    let id = *next_id;
    *next_id += 1;
    let mut span = span(raw.referenced, at);
    let value = match raw.value {
        RawValue::Scalar(value) => value,
        RawValue::List(items) => Value::List(items.into_iter().map(|item| number(item, next_id, at, found)).collect()),
        RawValue::Map(entries) => {
            let mut known: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
            let mut texts = HashSet::with_capacity(entries.len());
            for (key, value) in entries {
                let key = Key { span: self::span(key.referenced, at), text: key.value };
                let value = number(value, next_id, at, found);
                if texts.insert(key.text.clone()) {
                    known.push((key, value));
                } else {
                    found.push(repeated_key(&key.text, key.span, at.source));
                }
            }
            // A block map has no text of its own: its first key stands for it.
            if let (0, Some((key, _))) = (span.len, known.first()) {
                span = key.span;
            }
            Value::Map(known)
        }
    };
    Node { id, span, value }
}

/// The library's location as ours: on one line, as that is what a label can underline.
fn span(location: Location, at: At<'_>) -> Span {
    let text = at.file.text();
    let (line, column) = (location.line() as u32, location.column() as u32);
    let offset = location.span().byte_offset().map_or_else(|| offset_of(line, column, text), |o| o as u32);
    let rest = text.get(offset as usize..).unwrap_or_default();
    let in_line = rest.find(['\n', '\r']).unwrap_or(rest.len()) as u32;
    let len = location.span().byte_len().unwrap_or(0) as u32;
    Span { offset: offset + at.file.start(), len: len.min(in_line), line, column }
}

/// The scanner's own errors carry no byte offset.
fn offset_of(line: u32, column: u32, text: &str) -> u32 {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1) as usize).map(str::len).sum();
    let line = text.get(before..).unwrap_or_default().lines().next().unwrap_or_default();
    let within: usize = line.chars().take(column.saturating_sub(1) as usize).map(char::len_utf8).sum();
    (before + within) as u32
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawValue, D::Error> {
        struct RawVisitor;

        impl<'de> Visitor<'de> for RawVisitor {
            type Value = RawValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any YAML value")
            }

            fn visit_unit<E>(self) -> Result<RawValue, E> {
                Ok(RawValue::Scalar(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
                Ok(RawValue::Scalar(Value::Bool(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
                Ok(RawValue::Scalar(Value::Signed(value)))
            }

            fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
                Ok(RawValue::Scalar(Value::Unsigned(value)))
            }

            fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
                Ok(RawValue::Scalar(Value::Float(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
                Ok(RawValue::Scalar(Value::Text(value.into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(RawValue::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawValue::Map(entries))
            }
        }

        deserializer.deserialize_any(RawVisitor)
    }
}

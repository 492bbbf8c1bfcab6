//! Where things are in a scenario file: spans, places, and values that remember theirs.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// A stretch of a file's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Bytes before it.
    pub offset: u32,
    /// Bytes in it.
    pub len: u32,
    /// Line of its first character, from 1. 0: not known.
    pub line: u32,
    /// Column of its first character, in characters from 1. 0: not known.
    pub column: u32,
}

/// A position that people and editors can go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Path of the file, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A file's name and text, and those of the fragments that it includes, shared by everything that points into them.
///
/// Offsets count through all of them, one after the other, so that a span alone says which file it is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    files: Arc<Vec<SourceFile>>,
}

/// One file of a [`Source`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
    start: u32,
}

impl SourceFile {
    /// The path as given; it is only ever printed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The offset of its first byte in its [`Source`].
    pub fn start(&self) -> u32 {
        self.start
    }
}

impl Source {
    /// `name` is the path as users gave it; it is only ever printed.
    pub fn new(name: &str, text: &str) -> Source {
        Source { files: Arc::new(vec![SourceFile { name: name.into(), text: text.into(), start: 0 }]) }
    }

    /// Adds a file that the others include. What points into the others still does.
    pub fn add(&mut self, name: &str, text: &str) -> SourceFile {
        // One more than its length, so that the end of a file is not the start of the next.
        let start = self.files.last().map_or(0, |last| last.start.saturating_add(last.text.len() as u32 + 1));
        let file = SourceFile { name: name.into(), text: text.into(), start };
        Arc::make_mut(&mut self.files).push(file.clone());
        file
    }

    /// The file itself, without those that it includes.
    pub fn main(&self) -> SourceFile {
        self.files.first().cloned().unwrap_or_default()
    }

    /// The path of the file itself.
    pub fn name(&self) -> &str {
        self.files.first().map_or("", SourceFile::name)
    }

    /// The text of the file itself.
    pub fn text(&self) -> &str {
        self.files.first().map_or("", SourceFile::text)
    }

    /// The file that a span is in.
    pub fn file(&self, span: Span) -> Option<&SourceFile> {
        self.files.iter().rev().find(|file| file.start <= span.offset)
    }

    /// The text that a span covers; empty if the span is not of these files.
    pub fn slice(&self, span: Span) -> &str {
        let Some(file) = self.file(span) else { return "" };
        let start = (span.offset - file.start) as usize;
        file.text.get(start..start.saturating_add(span.len as usize)).unwrap_or_default()
    }

    /// The position of a span's first character.
    pub fn place(&self, span: Span) -> Place {
        let name = self.file(span).map_or("", SourceFile::name);
        Place { file: name.to_owned(), line: span.line.max(1), column: span.column.max(1) }
    }
}

/// A value that remembers where it was written, for errors that are found long after parsing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The newtype name by which [`Spanned`] asks this crate's deserializer for the position as well.
pub(crate) const SPANNED: &str = "$ferry::Spanned";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpannedVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
            type Value = Spanned<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            /// From this crate's deserializer: the position, then the value.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let missing = || de::Error::custom("a position and a value");
                let [offset, len, line, column] = seq.next_element::<[u32; 4]>()?.ok_or_else(missing)?;
                let value = seq.next_element()?.ok_or_else(missing)?;
                Ok(Spanned { value, span: Span { offset, len, line, column } })
            }

            /// From any other: the value alone.
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                Ok(Spanned { value: T::deserialize(deserializer)?, span: Span::default() })
            }
        }

        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(std::marker::PhantomData))
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// In the schema a spanned value looks like the value.
impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

//! From the tree to types, by serde, finding everything that is wrong and not only the first.
//!
//! Serde stops at the first fault. So the faulty node is reported and left out, and the tree is read again, until nothing
//! new comes up; what only follows from a reported fault (a key that is missing because its value was left out) is not
//! reported. Each round leaves out one node more, so this ends.

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::fault::{At, Fault, FaultKind};
use super::messages;
use super::tree::{Key, Node, Value};
use crate::diagnostic::{Diagnostic, codes};
use crate::names;
use crate::schema;
use crate::span::{SPANNED, Source, Span};

/// Enough to fill several screens; a file with more is not a scenario.
const MAX_FOUND: usize = 100;

/// Reads `root` as a `T`, or finds everything that is wrong with it.
pub fn convert<T: for<'de> Deserialize<'de>>(root: &Node, source: &Source) -> Result<T, Vec<Diagnostic>> {
    let reader = Reader { source, found: RefCell::default(), left_out: RefCell::default(), meant: RefCell::default() };
    loop {
        let fault = match reader.read(std::marker::PhantomData::<T>, root) {
            Ok(value) if reader.found.borrow().is_empty() => return Ok(value),
            Ok(_) => break,
            Err(fault) => fault,
        };
        let at = fault.at.unwrap_or(At { node: root.id, span: root.span });
        reader.found.borrow_mut().extend(messages::diagnostic(fault.kind, at.span, find(root, at.node), source));
        let many = reader.found.borrow().len() > MAX_FOUND;
        if many || at.node == root.id || !reader.left_out.borrow_mut().insert(at.node) {
            break;
        }
    }
    let mut found = reader.found.into_inner();
    if found.len() > MAX_FOUND {
        found.sort_by_key(|d| d.span.offset);
        let first_unlisted = found[MAX_FOUND].span;
        found.truncate(MAX_FOUND);
        let more = Diagnostic::error(codes::TOO_MANY, source, first_unlisted, "too many mistakes to list them all");
        found.push(more.labelled("from here on").helped("correct the listed ones, then check again"));
    }
    Err(found)
}

fn find(node: &Node, id: u32) -> Option<&Node> {
    if node.id == id {
        return Some(node);
    }
    match &node.value {
        Value::List(items) => items.iter().find_map(|item| find(item, id)),
        Value::Map(entries) => entries.iter().find_map(|(_, value)| find(value, id)),
        _ => None,
    }
}

/// What all rounds share.
struct Reader<'t> {
    source: &'t Source,
    found: RefCell<Vec<Diagnostic>>,
    /// Nodes that are not read again.
    left_out: RefCell<HashSet<u32>>,
    /// Keys that unknown keys of a map were probably meant to be: they are not missing as well.
    meant: RefCell<HashSet<(u32, &'static str)>>,
}

impl Reader<'_> {
    fn read<'de, S: DeserializeSeed<'de>>(&self, seed: S, node: &Node) -> Result<S::Value, Fault> {
        seed.deserialize(NodeReader { node, reader: self }).map_err(|fault| match fault.at {
            // The type rejects the node as a whole, but part of it was left out: that is why.
            None if self.is_partial(node) => Fault::new(FaultKind::Known, node.id, node.span),
            _ => fault.or_at(node.id, node.span),
        })
    }

    fn is_left_out(&self, node: &Node) -> bool {
        self.left_out.borrow().contains(&node.id)
    }

    fn is_partial(&self, node: &Node) -> bool {
        match &node.value {
            Value::List(items) => items.iter().any(|item| self.is_left_out(item)),
            Value::Map(entries) => entries.iter().any(|(_, value)| self.is_left_out(value)),
            _ => false,
        }
    }

    /// Reports and leaves out an entry that the type does not know.
    fn unknown_key(&self, map: &Node, key: &Key, value: &Node, known: &'static [&'static str]) {
        self.left_out.borrow_mut().insert(value.id);
        if self.found.borrow().len() > MAX_FOUND {
            return;
        }
        if let Some(meant) = names::nearest(&key.text, known.iter().copied()) {
            self.meant.borrow_mut().insert((map.id, meant));
        }
        let kind = FaultKind::Key { written: key.text.clone(), known };
        self.found.borrow_mut().extend(messages::diagnostic(kind, key.span, Some(value), self.source));
    }

    /// Reports all keys that a struct asks for and the map does not have.
    fn missing_keys(&self, map: &Node, entries: &[(Key, Node)], type_name: &'static str, field: &'static str) {
        let mut required = schema::required_keys(type_name);
        if required.is_empty() {
            required.push(field);
        }
        for field in required {
            let written = entries.iter().any(|(key, _)| key.text == field);
            if !written && !self.meant.borrow().contains(&(map.id, field)) {
                let diagnostic = messages::missing(type_name, field, map.span, self.source);
                self.found.borrow_mut().push(diagnostic);
            }
        }
    }
}

/// A node as a serde data format.
#[derive(Clone, Copy)]
struct NodeReader<'t> {
    node: &'t Node,
    reader: &'t Reader<'t>,
}

impl NodeReader<'_> {
    fn fault(self, kind: FaultKind) -> Fault {
        Fault::new(kind, self.node.id, self.node.span)
    }
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_str(value),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), reader: self.reader }),
            Value::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, reader: self.reader })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if name == SPANNED {
            return visitor.visit_seq(Positioned { span: Some(self.node.span), value: self });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.fault(FaultKind::Type { expected: "a map".into(), keys: fields }));
        };
        for (key, value) in entries {
            if !fields.contains(&key.text.as_str()) && !self.reader.is_left_out(value) {
                self.reader.unknown_key(self.node, key, value, fields);
            }
        }
        self.deserialize_any(visitor).map_err(|fault| match fault {
            Fault { kind: FaultKind::Missing(field), at: None } => {
                self.reader.missing_keys(self.node, entries, name, field);
                self.fault(FaultKind::Known)
            }
            fault => fault,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(text) if variants.contains(&text.as_str()) => {
                visitor.visit_enum(Variant { name: text, content: None, whole: self })
            }
            Value::Map(entries) => match entries.as_slice() {
                [(key, _)] if !variants.contains(&key.text.as_str()) => {
                    let kind = FaultKind::Name { what: name, written: key.text.clone(), known: variants };
                    Err(Fault::new(kind, self.node.id, key.span))
                }
                [(_, content)] if self.reader.is_left_out(content) => Err(self.fault(FaultKind::Known)),
                [(key, content)] => {
                    visitor.visit_enum(Variant { name: &key.text, content: Some(content), whole: self })
                }
                entries => Err(self.fault(messages::not_one_key(name, entries, variants))),
            },
            Value::Text(text) => {
                Err(self.fault(FaultKind::Name { what: name, written: text.clone(), known: variants }))
            }
            _ => Err(self.fault(messages::not_a_name(self.node, variants, self.reader.source))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier
    }
}

/// The elements of a list, without those left out.
struct Items<'t> {
    items: std::slice::Iter<'t, Node>,
    reader: &'t Reader<'t>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let reader = self.reader;
        match self.items.find(|item| !reader.is_left_out(item)) {
            Some(item) => reader.read(seed, item).map(Some),
            None => Ok(None),
        }
    }
}

/// The entries of a map, without those left out.
struct Entries<'t> {
    entries: std::slice::Iter<'t, (Key, Node)>,
    value: Option<&'t Node>,
    reader: &'t Reader<'t>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let reader = self.reader;
        let Some((key, value)) = self.entries.find(|(_, value)| !reader.is_left_out(value)) else { return Ok(None) };
        self.value = Some(value);
        // A key has no node of its own: what is left out is its value.
        seed.deserialize(KeyReader(key)).map(Some).map_err(|fault| fault.or_at(value.id, key.span))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        match self.value.take() {
            Some(value) => self.reader.read(seed, value),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// A map's key as a serde data format: a text, or a name of an enum without content.
#[derive(Clone, Copy)]
struct KeyReader<'t>(&'t Key);

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(&self.0.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if name == SPANNED {
            return visitor.visit_seq(Positioned { span: Some(self.0.span), value: self });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if variants.contains(&self.0.text.as_str()) {
            return visitor.visit_enum(StrDeserializer::new(&self.0.text));
        }
        Err(FaultKind::Name { what: name, written: self.0.text.clone(), known: variants }.into())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// What [`crate::span::Spanned`] reads: the position, then the value.
struct Positioned<D> {
    span: Option<Span>,
    value: D,
}

impl<'de, D: Deserializer<'de, Error = Fault> + Copy> SeqAccess<'de> for Positioned<D> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        match self.span.take() {
            Some(Span { offset, len, line, column }) => {
                seed.deserialize(SeqDeserializer::new([offset, len, line, column].into_iter())).map(Some)
            }
            None => seed.deserialize(self.value).map(Some),
        }
    }
}

/// A name of an enum, with its content where it has one.
struct Variant<'t> {
    name: &'t str,
    content: Option<&'t Node>,
    whole: NodeReader<'t>,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        Ok((seed.deserialize(StrDeserializer::<Fault>::new(self.name))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None => Ok(()),
            Some(content) => Err(Fault::new(messages::no_content(self.name), self.whole.node.id, content.span)),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        match self.content {
            Some(content) => self.whole.reader.read(seed, content),
            None => Err(self.whole.fault(messages::content_missing(self.name))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(self.whole.fault(messages::content_missing(self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        match self.content {
            Some(node) => NodeReader { node, ..self.whole }.deserialize_struct("", fields, visitor),
            None => Err(self.whole.fault(messages::content_missing(self.name))),
        }
    }
}

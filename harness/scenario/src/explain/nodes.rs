//! The schema as a tree that people walk: references followed, absent values and lists looked through.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;

/// References in a row are a few; a schema that refers to itself without end is not followed.
const MAX_HOPS: usize = 16;

/// A JSON schema with definitions.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'s> {
    root: &'s Value,
}

/// Something that can be written at a place: a key, or a name to choose.
#[derive(Debug, Clone)]
pub struct Child<'s> {
    pub name: String,
    pub node: &'s Value,
    pub required: bool,
}

impl<'s> Schema<'s> {
    pub fn new(root: &'s Value) -> Schema<'s> {
        Schema { root }
    }

    pub fn root(self) -> &'s Value {
        self.root
    }

    /// Names of types as they are looked up: `object-ref`.
    pub fn type_names(self) -> Vec<String> {
        self.root["$defs"].as_object().into_iter().flatten().map(|(name, _)| kebab(name)).collect()
    }

    /// A type by its name as it is looked up.
    pub fn type_called(self, name: &str) -> Option<&'s Value> {
        self.root["$defs"].as_object()?.iter().find(|(known, _)| kebab(known) == name).map(|(_, node)| node)
    }

    fn definition(self, reference: &str) -> Option<&'s Value> {
        self.root["$defs"].get(reference.strip_prefix("#/$defs/")?)
    }

    /// The node behind references and `null` alternatives.
    pub fn resolve(self, mut node: &'s Value) -> &'s Value {
        for _ in 0..MAX_HOPS {
            let next = match node["$ref"].as_str() {
                Some(reference) => self.definition(reference),
                None => only_alternative(node),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// What a value is, in words; types that can be looked up by their names.
    pub fn type_text(self, node: &'s Value) -> String {
        if let Some(reference) = node["$ref"].as_str() {
            return kebab(reference.trim_start_matches("#/$defs/"));
        }
        if let Some(only) = only_alternative(node) {
            return self.type_text(only);
        }
        if let Some(items) = node.get("items") {
            return format!("list of {}", self.type_text(items));
        }
        let patterns = node["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
        if let Some(values) = patterns.or(node.get("additionalProperties")).filter(|values| values.is_object()) {
            return format!("map of {}", self.type_text(values));
        }
        if node.get("const").is_some() || node.get("enum").is_some() || (self.is_choice(node) && self.is_names(node)) {
            return "name".into();
        }
        match node["type"]
            .as_str()
            .or_else(|| node["type"].as_array()?.iter().find_map(|t| t.as_str().filter(|t| *t != "null")))
        {
            Some("string") => "text".into(),
            Some("integer" | "number") => "number".into(),
            Some("boolean") => "true or false".into(),
            Some("object") => "map".into(),
            Some("array") => "list".into(),
            _ => match alternatives(node) {
                [] => "any value".into(),
                some if self.is_choice(node) && some.iter().all(|a| a.get("properties").is_some()) => {
                    "map of one key".into()
                }
                some => some.iter().map(|a| self.type_text(a)).collect::<Vec<_>>().join(" or "),
            },
        }
    }

    /// As [`Schema::type_text`], but for a type that is only called like `name` what is in it.
    pub fn type_beyond(self, name: &str, node: &'s Value) -> String {
        let text = self.type_text(node);
        match node["$ref"].as_str().and_then(|reference| self.definition(reference)) {
            Some(definition) if text == name => self.type_text(definition),
            _ => text,
        }
    }

    /// What can be written below a node; below a list, in its elements.
    pub fn children(self, node: &'s Value) -> Vec<Child<'s>> {
        let mut found = Vec::new();
        self.collect(node, 0, &mut found);
        let mut names = HashSet::new();
        found.retain(|child| names.insert(child.name.clone()));
        found
    }

    fn collect(self, node: &'s Value, hops: usize, found: &mut Vec<Child<'s>>) {
        if hops > MAX_HOPS {
            return;
        }
        let node = self.resolve(node);
        if let Some(items) = node.get("items") {
            return self.collect(items, hops + 1, found);
        }
        let required: Vec<&str> = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let before = found.len();
        for (name, property) in node["properties"].as_object().into_iter().flatten() {
            let required = required.contains(&name.as_str());
            found.push(Child { name: name.clone(), node: property, required });
        }
        // Keys that must be there first, in the order of the type; then the others.
        found[before..].sort_by_key(|child| required.iter().position(|name| *name == child.name).unwrap_or(usize::MAX));
        for value in node["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            found.push(Child { name: value.into(), node, required: false });
        }
        if let Some(keys) = node.get("propertyNames") {
            self.collect(keys, hops + 1, found);
        }
        for alternative in alternatives(node) {
            match alternative["const"].as_str() {
                Some(name) => found.push(Child { name: name.into(), node: alternative, required: false }),
                // A kind: the key of a map with one.
                None if alternative.get("properties").is_some() && self.is_choice(node) => {
                    for (name, kind) in alternative["properties"].as_object().into_iter().flatten() {
                        found.push(Child { name: name.clone(), node: kind, required: false });
                    }
                }
                None => self.collect(alternative, hops + 1, found),
            }
        }
    }

    /// Whether one of several names or kinds is written here.
    pub fn is_choice(self, node: &'s Value) -> bool {
        let node = self.resolve(node);
        let node = node.get("items").map_or(node, |items| self.resolve(items));
        node.get("enum").is_some() || (node.get("properties").is_none() && !alternatives(node).is_empty())
    }

    /// Whether the node is a name among others, rather than a key with a value.
    pub fn is_name(self, node: &'s Value) -> bool {
        node.get("const").is_some() || node.get("enum").is_some()
    }

    fn is_names(self, node: &'s Value) -> bool {
        alternatives(node)
            .iter()
            .all(|alternative| alternative.get("const").is_some() || alternative.get("enum").is_some())
    }

    /// What is said of the place, then of its type and of what that refers to.
    pub fn descriptions(self, mut node: &'s Value) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        for _ in 0..MAX_HOPS {
            if let Some(text) = node["description"].as_str() {
                // Texts' types describe what to write, in the middle of a sentence.
                let starts_low = text.starts_with(char::is_lowercase);
                let text = if starts_low { format!("Write {text}.") } else { text.to_owned() };
                if !said.contains(&text) {
                    said.push(text);
                }
            }
            let next = match node["$ref"].as_str() {
                Some(reference) => self.definition(reference),
                None => only_alternative(node),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        said
    }

    /// The default, where the description does not say it.
    pub fn unwritten_default(self, node: &'s Value) -> Option<String> {
        let default =
            node.get("default").filter(|_| !node["description"].as_str().unwrap_or_default().contains("Default:"))?;
        match default {
            Value::Null => None,
            Value::Array(items) if items.is_empty() => None,
            Value::Object(map) if map.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Limits and patterns.
    pub fn bounds(self, node: &'s Value) -> Option<String> {
        let node = self.resolve(node);
        match (node["minimum"].as_u64(), node["maximum"].as_u64(), node["pattern"].as_str()) {
            (Some(least), Some(most), _) => Some(format!("From {least} to {most}.")),
            (_, _, Some(pattern)) => Some(format!("Pattern: {pattern}")),
            _ => None,
        }
    }

    /// Keys of which exactly one is needed.
    pub fn alternatives(self, node: &'s Value) -> Option<String> {
        let node = self.resolve(node);
        let node = node.get("items").map_or(node, |items| self.resolve(items));
        node.get("properties")?;
        let keys: Option<Vec<&str>> = alternatives(node).iter().map(|a| a["required"][0].as_str()).collect();
        keys.filter(|keys| !keys.is_empty()).map(|keys| format!("Exactly one of {}.", names::list(&keys)))
    }
}

/// The alternatives of a node.
fn alternatives(node: &Value) -> &[Value] {
    node["oneOf"].as_array().or_else(|| node["anyOf"].as_array()).map_or(&[], Vec::as_slice)
}

/// The one alternative that is not `null`.
fn only_alternative(node: &Value) -> Option<&Value> {
    let some = alternatives(node);
    let mut others = some.iter().filter(|a| a["type"] != "null");
    match (others.next(), others.next()) {
        (Some(only), None) if some.len() > 1 => Some(only),
        _ => None,
    }
}

/// `ObjectRef` → `object-ref`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

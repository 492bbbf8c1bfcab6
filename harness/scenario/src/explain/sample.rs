//! An example of anything, made of the examples and names in the schema: what must be there and nothing else.

use serde_json::Value;

use super::nodes::Schema;
use crate::steps;

/// Deeper than any scenario is written on one line.
const MAX_DEPTH: usize = 6;

/// `key: value` as in a scenario; none for a type whose value alone says nothing of its place.
pub fn entry(schema: Schema<'_>, path: &str, name: &str, node: &Value) -> Option<String> {
    if schema.is_name(node) {
        return None;
    }
    let value = value(schema, node, 0)?;
    // A type by itself has no key that it is written under; kinds do.
    let is_type =
        !path.contains('.') && schema.type_called(path).is_some() && schema.root()["properties"].get(path).is_none();
    Some(match is_type {
        // One of the names that are listed above.
        true if schema.children(node).iter().any(|child| schema.is_name(child.node)) => return None,
        true => value,
        false => format!("{name}: {value}"),
    })
}

fn value(schema: Schema<'_>, node: &Value, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    let node = schema.resolve(node);
    if let Some(example) = node["examples"].get(0).or(node.get("const")).or(node["enum"].get(0)) {
        return Some(scalar(example));
    }
    if let Some(items) = node.get("items") {
        return Some(format!("[{}]", value(schema, items, depth + 1)?));
    }
    if let Some(properties) = node["properties"].as_object() {
        let mut keys: Vec<&str> = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if keys.is_empty() {
            // Nothing must be there: the first key shows how any is written, or the first of those that exclude each other.
            let one_of = node["oneOf"][0]["required"][0].as_str();
            keys.extend(one_of.or_else(|| properties.keys().next().map(String::as_str)));
        }
        let entries: Option<Vec<String>> = keys
            .iter()
            .map(|key| Some(format!("{key}: {}", value(schema, properties.get(*key)?, depth + 1)?)))
            .collect();
        return entries.map(|entries| format!("{{{}}}", entries.join(", ")));
    }
    if let Some(first) = node["oneOf"].get(0).or(node["anyOf"].get(0)) {
        let kind = first["required"][0].as_str().and_then(|kind| steps::KINDS.iter().find(|k| k.kind == kind));
        return match kind {
            Some(kind) if schema.type_called("step").is_some_and(|step| std::ptr::eq(step, node)) => {
                Some(format!("{{{}}}", kind.example))
            }
            _ => value(schema, first, depth + 1),
        };
    }
    if let (Some(keys), Some(values)) = (node.get("propertyNames"), node.get("additionalProperties")) {
        return Some(format!("{{{}: {}}}", value(schema, keys, depth + 1)?, value(schema, values, depth + 1)?));
    }
    match (node["type"].as_str(), node["minimum"].as_u64()) {
        (Some("integer" | "number"), least) => Some(least.filter(|least| *least > 0).unwrap_or(1).to_string()),
        (Some("boolean"), _) => Some("true".into()),
        (Some("string"), _) => Some("text in plain words".into()),
        _ => None,
    }
}

/// Plain where YAML reads it as the same text.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain =
                text.chars().next().is_some_and(char::is_alphanumeric) && !text.contains([',', '#', '{', '[', ':']);
            let other_type =
                ["true", "false", "null"].contains(&text.to_lowercase().as_str()) || text.parse::<f64>().is_ok();
            if plain && !other_type { text.clone() } else { Value::from(text.as_str()).to_string() }
        }
        other => other.to_string(),
    }
}

//! The schema of scenario files, from the model and its doc comments, for editors and for our own messages.

use std::sync::OnceLock;

use serde_json::Value;

use crate::model::Scenario;
use crate::probes;
use crate::steps;

/// JSON Schema (2020-12) of a scenario file.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Scenario).to_value();
    schema["title"] = "Flux Ferry scenario".into();
    for definition in schema["$defs"].as_object_mut().into_iter().flat_map(|defs| defs.values_mut()) {
        describe_keys(definition);
    }
    schema
}

/// Editors show what is said of a key, and schemars says it of the map around the key.
fn describe_keys(definition: &mut Value) {
    // By `get_mut`: an index would write a `null` where there is nothing.
    for variant in definition.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(description) = variant.get("description").cloned() else { continue };
        let keys = variant.get_mut("properties").and_then(Value::as_object_mut).filter(|keys| keys.len() == 1);
        for key in keys.into_iter().flat_map(|keys| keys.values_mut()) {
            if let Value::Object(key) = key {
                key.entry("description").or_insert_with(|| description.clone());
            }
        }
    }
}

/// The schema, made once.
pub(crate) fn cached() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(schema)
}

fn definition(type_name: &str) -> Option<&'static Value> {
    if type_name == "Scenario" { Some(cached()) } else { cached()["$defs"].get(type_name) }
}

/// Keys that a type asks for.
pub(crate) fn required_keys(type_name: &str) -> Vec<&'static str> {
    let required = definition(type_name).and_then(|d| d["required"].as_array());
    required.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// First sentence of a key's documentation.
pub(crate) fn key_summary(type_name: &str, key: &str) -> Option<String> {
    let text = definition(type_name)?["properties"][key]["description"].as_str()?;
    Some(text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').replace('\n', " "))
}

/// An example of a kind of step or probe.
pub(crate) fn example_of(kind: &str) -> Option<&'static str> {
    steps::KINDS.iter().chain(probes::KINDS).find(|k| k.kind == kind).map(|k| k.example)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of what is `null`, which no keyword of JSON Schema but `default` may be.
    fn nulls(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Null if !path.ends_with("/default") => found.push(path.to_owned()),
            Value::Array(items) => items.iter().for_each(|item| nulls(item, path, found)),
            Value::Object(keys) => keys.iter().for_each(|(key, item)| nulls(item, &format!("{path}/{key}"), found)),
            _ => {}
        }
    }

    #[test]
    fn no_keyword_is_null() {
        let mut found = vec![];
        nulls(cached(), "", &mut found);
        assert_eq!(found, [""; 0]);
    }
}

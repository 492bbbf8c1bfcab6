//! What differs between two JSON values, by path.

use std::fmt;

use serde_json::{Map, Value};

/// Characters of a value that a difference shows.
const SHOWN: usize = 120;

/// Differences that a text lists; further ones are counted.
const LISTED: usize = 10;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where, as in a field's path.
    pub path: String,
    /// What should be there; none: nothing.
    pub expected: Option<Value>,
    /// What is there; none: nothing.
    pub found: Option<Value>,
}

/// Everything in which `found` does not have what `expected` has: maps by the keys of `expected`, lists element by element,
/// everything else by equality. Null in `expected` stands for absence.
pub fn missing(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    walk("", expected, Some(found), false, &mut differences);
    differences
}

/// Everything in which two values differ.
pub fn between(before: &Value, after: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    walk("", before, Some(after), true, &mut differences);
    differences
}

fn walk(path: &str, expected: &Value, found: Option<&Value>, both_ways: bool, differences: &mut Vec<Difference>) {
    let mut differs = |path: &str, expected: Option<&Value>, found: Option<&Value>| {
        differences.push(Difference { path: path.to_owned(), expected: expected.cloned(), found: found.cloned() });
    };
    match (expected, found) {
        (Value::Null, None) if !both_ways => {}
        (Value::Null, Some(found)) if !both_ways && !found.is_null() => differs(path, None, Some(found)),
        (Value::Object(expected), Some(Value::Object(found))) => {
            for (key, value) in expected {
                walk(&below(path, key), value, found.get(key), both_ways, differences);
            }
            if both_ways {
                for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                    let path = below(path, key);
                    differences.push(Difference { path, expected: None, found: Some(value.clone()) });
                }
            }
        }
        (Value::Array(expected), Some(Value::Array(found))) => {
            for (i, value) in expected.iter().enumerate() {
                walk(&format!("{path}[{i}]"), value, found.get(i), both_ways, differences);
            }
            for (i, value) in found.iter().enumerate().skip(expected.len()) {
                let path = format!("{path}[{i}]");
                differences.push(Difference { path, expected: None, found: Some(value.clone()) });
            }
        }
        // A map that asks for nothing, or only for absences, is not there either: name what it asks for.
        (Value::Object(expected), None) if !both_ways && !expected.is_empty() => {
            for (key, value) in expected {
                walk(&below(path, key), value, None, both_ways, differences);
            }
        }
        (expected, Some(found)) if same(expected, found) => {}
        (expected, found) => differs(path, Some(expected), found),
    }
}

/// Equality in which 1 and 1.0 are the same number.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b)
}

fn below(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && !key.contains(|c: char| "./[]\"'* ".contains(c));
    match (path, is_plain) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), shortened);
        write!(f, "{}: expected {}, found {}", self.path, shown(&self.expected), shown(&self.found))
    }
}

/// A value as JSON, cut where it is long.
pub fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Differences in one line.
pub fn in_words(differences: &[Difference]) -> String {
    let listed: Vec<String> = differences.iter().take(LISTED).map(Difference::to_string).collect();
    let more = match differences.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    listed.join("; ") + &more
}

/// An object without what tells nothing of its intent: what the API server and controllers keep in it.
pub fn content(object: &Value) -> Value {
    let Value::Object(fields) = object else { return Value::Null };
    let kept = fields.iter().filter(|(key, _)| !["apiVersion", "kind", "metadata", "status"].contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::subset(json!({"spec": {"a": 1}}), json!({"spec": {"a": 1, "b": 2}, "x": 1}), "")]
    #[case::scalar(json!({"spec": {"a": 1}}), json!({"spec": {"a": 2}}), "spec.a: expected 1, found 2")]
    #[case::kind(json!({"a": "1"}), json!({"a": 1}), "a: expected \"1\", found 1")]
    #[case::number(json!({"a": 1.0}), json!({"a": 1}), "")]
    #[case::missing(json!({"a": {"b": {"c": 1, "d": 2}}}), json!({}), "a.b.c: expected 1, found nothing; a.b.d: expected 2, found nothing")]
    #[case::empty_map(json!({"a": {}}), json!({}), "a: expected {}, found nothing")]
    #[case::absent(json!({"a": null}), json!({}), "")]
    #[case::absent_below_nothing(json!({"a": {"b": null}}), json!({}), "")]
    #[case::not_absent(json!({"a": null}), json!({"a": 1}), "a: expected nothing, found 1")]
    #[case::null_is_null(json!({"a": null}), json!({"a": null}), "")]
    #[case::list(json!({"a": [{"b": 1}, 2]}), json!({"a": [{"b": 1, "c": 3}, 2]}), "")]
    #[case::list_element(json!({"a": [{"b": 1}]}), json!({"a": [{"b": 2}]}), "a[0].b: expected 1, found 2")]
    #[case::list_too_short(json!({"a": [1, 2]}), json!({"a": [1]}), "a[1]: expected 2, found nothing")]
    #[case::list_too_long(json!({"a": [1]}), json!({"a": [1, 2]}), "a[1]: expected nothing, found 2")]
    #[case::other_type(json!({"a": {"b": 1}}), json!({"a": [1]}), "a: expected {\"b\":1}, found [1]")]
    #[case::odd_key(json!({"a": {"k8s.io/x": 1}}), json!({"a": {}}), "a[\"k8s.io/x\"]: expected 1, found nothing")]
    fn what_is_missing(#[case] expected: Value, #[case] found: Value, #[case] text: &str) {
        assert_eq!(in_words(&missing(&expected, &found)), text);
    }

    #[rstest]
    #[case::same(json!({"a": [1, {"b": null}]}), json!({"a": [1, {"b": null}]}), "")]
    #[case::added(json!({"a": 1}), json!({"a": 1, "b": {"c": 2}}), "b: expected nothing, found {\"c\":2}")]
    #[case::removed(json!({"a": {"b": 1}}), json!({}), "a: expected {\"b\":1}, found nothing")]
    fn what_differs(#[case] before: Value, #[case] after: Value, #[case] text: &str) {
        assert_eq!(in_words(&between(&before, &after)), text);
    }

    #[test]
    fn long_texts_are_cut() {
        let expected: Value = (0..13).map(|i| (format!("k{i:02}"), json!(i))).collect::<Map<_, _>>().into();
        let text = in_words(&missing(&expected, &json!({"k00": "x".repeat(500)})));
        assert!(text.starts_with("k00: expected 0, found \"xxx") && text.ends_with("; and 3 more"), "{text}");
        assert!(text.len() < 600, "{}", text.len());
    }

    #[test]
    fn content_is_what_owners_write() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}, "status": {}});
        assert_eq!(content(&object), json!({"data": {"a": "b"}}));
    }
}

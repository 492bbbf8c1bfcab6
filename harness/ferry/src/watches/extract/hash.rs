//! Hashes that are equal when contents are, whatever the order of keys.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes that are kept of a hash: 8, so that among a million contents two are the same with a chance of 1 in 37 million.
const KEPT: usize = 8;

/// The first 16 hex digits of the SHA-256 of a value's canonical JSON: keys sorted, no spaces.
pub fn of(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, value);
    hasher.finalize().iter().take(KEPT).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            // Whether the map keeps its keys sorted is for a feature of serde_json to say, which any crate can set.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            hasher.update(b"{");
            for (key, value) in entries {
                text(hasher, key);
                hasher.update(b":");
                feed(hasher, value);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(values) => {
            hasher.update(b"[");
            for value in values {
                feed(hasher, value);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        Value::String(string) => text(hasher, string),
        Value::Null | Value::Bool(_) | Value::Number(_) => hasher.update(value.to_string()),
    }
}

/// With its length before it, a string needs no escapes to be told from what follows.
fn text(hasher: &mut Sha256, string: &str) {
    hasher.update(string.len().to_string());
    hasher.update(b"\"");
    hasher.update(string);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_and_that_of_elements_does() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(of(&parse(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#)), of(&parse(r#"{"b": {"d": 3, "c": 2}, "a": 1}"#)));
        assert_ne!(of(&json!([1, 2])), of(&json!([2, 1])));
    }

    #[rstest]
    #[case(json!({"a": "b"}), json!({"a": ["b"]}))]
    #[case(json!(["a,b"]), json!(["a", "b"]))]
    #[case(json!("1"), json!(1))]
    #[case(json!(null), json!("null"))]
    #[case(json!({}), json!([]))]
    #[case(json!(["1\"a"]), json!(["1", "a"]))]
    fn different_contents_differ(#[case] one: Value, #[case] other: Value) {
        assert_ne!(of(&one), of(&other));
    }

    proptest! {
        #[test]
        fn a_hash_is_sixteen_hex_digits(text in ".*") {
            let hash = of(&json!({"text": text}));
            prop_assert_eq!(hash.len(), 16);
            prop_assert!(hash.chars().all(|c| c.is_ascii_hexdigit()));
        }
    }
}

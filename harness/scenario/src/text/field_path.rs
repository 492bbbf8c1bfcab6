//! `spec.template.spec.containers[0].image`.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::{TextError, text_type};

/// A field inside an object: keys joined by dots, `[0]` for an element, `["a.b/c"]` for a key with dots or slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath(Vec<Segment>);

/// One step of a [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Into a map.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

impl FieldPath {
    /// The steps, from the object inwards.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The field's value in `object`; none where the path leads nowhere.
    pub fn lookup<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(object, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })
    }
}

impl FromStr for FieldPath {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String| {
            TextError::new(
                format!("`{text}` is not a field's path: {why}"),
                r#"write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`"#,
            )
        };
        let mut segments = Vec::new();
        let mut rest = text.strip_prefix('.').unwrap_or(text);
        loop {
            if let Some(after) = rest.strip_prefix('[') {
                let (segment, after) = if let Some(quoted) = after.strip_prefix('"') {
                    let (key, after) =
                        quoted.split_once("\"]").ok_or_else(|| wrong("a `[\"` without its `\"]`".into()))?;
                    (Segment::Key(key.into()), after)
                } else {
                    let (index, after) = after.split_once(']').ok_or_else(|| wrong("a `[` without its `]`".into()))?;
                    let index = index.parse().map_err(|_| wrong(format!("`{index}` is not an index")))?;
                    (Segment::Index(index), after)
                };
                segments.push(segment);
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (key, after) = rest.split_at(end);
                if key.is_empty() {
                    return Err(wrong("it has an empty key".into()));
                }
                if let Some(c) = key.chars().find(|c| c.is_whitespace() || "]\"'*".contains(*c)) {
                    return Err(wrong(format!("its key `{key}` contains {c:?}")));
                }
                segments.push(Segment::Key(key.into()));
                rest = after;
            }
            rest = match rest.strip_prefix('.') {
                _ if rest.is_empty() => return Ok(FieldPath(segments)),
                Some(after) => after,
                None if rest.starts_with('[') => rest,
                None => return Err(wrong(format!("expected `.` or `[` before `{rest}`"))),
            };
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.is_empty() || key.contains(|c: char| "./[]\"'* ".contains(c)) => {
                    write!(f, "[\"{key}\"]")?
                }
                Segment::Key(key) if i == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

text_type!(FieldPath,
    what: "a field's path such as `spec.replicas` or `spec.containers[0].image`",
    pattern: r"^\S.*$",
    examples: ["spec.distribution.managedBy", "spec.template.spec.containers[0].image"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("a.b", json!({"a": {"b": 1}}), Some(json!(1)))]
    #[case(".a.b", json!({"a": {"b": 1}}), Some(json!(1)))]
    #[case("a[1].b", json!({"a": [0, {"b": "x"}]}), Some(json!("x")))]
    #[case(r#"a["k8s.io/x"].b"#, json!({"a": {"k8s.io/x": {"b": true}}}), Some(json!(true)))]
    #[case("a[2]", json!({"a": [0]}), None)]
    #[case("a.b", json!({"a": 1}), None)]
    fn looks_up(#[case] path: FieldPath, #[case] object: Value, #[case] found: Option<Value>) {
        assert_eq!(path.lookup(&object), found.as_ref());
    }

    #[rstest]
    #[case("a.b[0].c")]
    #[case(r#"metadata.labels["app.kubernetes.io/name"]"#)]
    #[case("[0].a")]
    fn shows_as_written(#[case] text: &str) {
        assert_eq!(text.parse::<FieldPath>().unwrap().to_string(), text);
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "a..b", "a.", "a[", "a[x]", "a[0]b", "a[\"b]", "a b", "a[*]"];
        insta::assert_snapshot!(texts.map(error::<FieldPath>).join("\n"), @r#"
        `` is not a field's path: it has an empty key (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a..b` is not a field's path: it has an empty key (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a.` is not a field's path: it has an empty key (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a[` is not a field's path: a `[` without its `]` (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a[x]` is not a field's path: `x` is not an index (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a[0]b` is not a field's path: expected `.` or `[` before `b` (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a["b]` is not a field's path: a `["` without its `"]` (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a b` is not a field's path: its key `a b` contains ' ' (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        `a[*]` is not a field's path: `*` is not an index (write keys joined by dots, such as `spec.replicas`, `spec.containers[0].image` or `metadata.labels["app.kubernetes.io/name"]`)
        "#);
    }
}

//! The words for what is wrong: what was found, what was expected, the nearest name, and what to do.

use super::fault::FaultKind;
use super::tree::{Key, Node, Value};
use crate::diagnostic::{Diagnostic, codes};
use crate::names;
use crate::schema;
use crate::span::{Source, Span};

/// A fault in words; none where it only follows from another.
pub fn diagnostic(kind: FaultKind, span: Span, node: Option<&Node>, source: &Source) -> Option<Diagnostic> {
    let error = |code, message: String| Diagnostic::error(code, source, span, message);
    Some(match kind {
        FaultKind::Known => return None,
        FaultKind::Type { expected, keys } => {
            let expected = in_words(&expected);
            let found = node.map_or_else(|| "something else".into(), |node| node.describe(source));
            let diagnostic = error(codes::WRONG_TYPE, format!("expected {expected}, found {found}"))
                .labelled(format!("expected {expected}"));
            match node.and_then(|node| remedy(&expected, node, source)) {
                Some(help) => diagnostic.helped(help),
                None if !keys.is_empty() => diagnostic.helped(format!("known keys: {}", names::list(keys))),
                None if expected == "a map" => diagnostic.helped("write `key: value` below it, a line for each key"),
                None => diagnostic,
            }
        }
        FaultKind::Name { what, written, known } => {
            let what = words_of(what);
            error(
                codes::UNKNOWN_NAME,
                format!("unknown {what} `{}`{}", shortened(&written), did_you_mean(&written, known)),
            )
            .labelled(format!("no such {what}"))
            .helped(format!("known: {}", names::list(known)))
        }
        FaultKind::Key { written, known } => {
            let message = format!("unknown key `{}`{}", shortened(&written), did_you_mean(&written, known));
            error(codes::UNKNOWN_KEY, message).labelled("not known here").helped(if known.is_empty() {
                "remove it".into()
            } else {
                format!("known keys: {}", names::list(known))
            })
        }
        FaultKind::Missing(field) => missing("", field, span, source),
        FaultKind::Value { message, hint } => {
            let diagnostic = error(codes::BAD_VALUE, message).labelled("here");
            match hint {
                Some(hint) => diagnostic.helped(hint),
                None => diagnostic,
            }
        }
        FaultKind::OneKey { message, hint } => error(codes::ONE_KEY, message).labelled("here").helped(hint),
    })
}

/// A key that is not there, with what it is for.
pub fn missing(type_name: &str, field: &str, span: Span, source: &Source) -> Diagnostic {
    let help = match schema::key_summary(type_name, field) {
        Some(summary) => format!("add `{field}:` — {}", lower_first(&summary)),
        None => format!("add `{field}:`"),
    };
    Diagnostic::error(codes::MISSING_KEY, source, span, format!("`{field}` is missing"))
        .labelled(format!("`{field}` belongs here"))
        .helped(help)
}

/// A map where a map of one key is asked for, which has none or several.
pub fn not_one_key(type_name: &str, entries: &[(Key, Node)], variants: &[&str]) -> FaultKind {
    let what = words_of(type_name);
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.text.as_str()).collect();
    let kinds: Vec<&str> = keys.iter().copied().filter(|key| variants.contains(key)).collect();
    let message = match keys.len() {
        0 => format!("a {what} has one key, this one has none"),
        _ => format!("a {what} has one key, this one has {}", names::list(&keys)),
    };
    let hint = match kinds[..] {
        [kind] => {
            let others: Vec<&str> = keys.iter().copied().filter(|key| *key != kind).collect();
            let (verb, them) = if others.len() == 1 { ("belongs", "it") } else { ("belong", "them") };
            format!("{} probably {verb} to `{kind}`: indent {them} below it", names::list(&others))
        }
        [_, _, ..] => format!("start each {what} with `- ` on a line of its own"),
        [] => format!("write one of {}", names::list(variants)),
    };
    FaultKind::OneKey { message, hint }
}

/// Something that is no text where a name is asked for.
pub fn not_a_name(node: &Node, variants: &[&str], source: &Source) -> FaultKind {
    let written = source.slice(node.span);
    if variants.contains(&written) {
        let message = format!("expected the text {written:?}, found {}", node.describe(source));
        return FaultKind::Value { message, hint: Some(format!("put it in quotes: \"{written}\"")) };
    }
    FaultKind::Type { expected: format!("one of {}", names::list(variants)), keys: &[] }
}

/// A name that takes no content has some.
pub fn no_content(name: &str) -> FaultKind {
    FaultKind::OneKey { message: format!("`{name}` takes no value"), hint: format!("write `{name}` alone") }
}

/// A name that takes content has none.
pub fn content_missing(name: &str) -> FaultKind {
    FaultKind::OneKey {
        message: format!("`{name}` says nothing more"),
        hint: format!("write `{name}:` with its keys, such as `{}`", schema::example_of(name).unwrap_or(name)),
    }
}

/// Serde's and Rust's words, in those of YAML authors.
fn in_words(expected: &str) -> String {
    match expected {
        "a string" => "a text",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "a nonzero u16" => "a whole number from 1 to 65535",
        "u32" | "u64" | "usize" => "a whole number from 0 on",
        "i64" | "i32" => "a whole number",
        "f64" => "a number",
        other => other,
    }
    .to_owned()
}

/// `DeadlineName` → `deadline name`.
fn words_of(type_name: &str) -> String {
    let mut words = String::new();
    for c in type_name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// What to write instead of a value of the wrong type.
fn remedy(expected: &str, node: &Node, source: &Source) -> Option<String> {
    let written = source.slice(node.span);
    match &node.value {
        Value::Null if expected == "a map" => None,
        Value::Null => Some("give it a value, or remove the key".into()),
        Value::Unsigned(_) if expected.starts_with("a duration") => {
            Some(format!("add the unit: `{written}s`, `{written}m`"))
        }
        Value::Unsigned(_) if expected.starts_with("a rate") => Some(format!("add the unit: `{written}/s`")),
        Value::Unsigned(_) | Value::Float(_) if expected.starts_with("a version") => {
            Some("write all three numbers".into())
        }
        Value::Bool(_) | Value::Signed(_) | Value::Unsigned(_) | Value::Float(_) if expected.starts_with("a list") => {
            Some(format!("write `[{written}]`"))
        }
        Value::Text(_) if expected.starts_with("a list") && !written.is_empty() => Some(format!("write `[{written}]`")),
        Value::Text(_) if expected.starts_with("a whole number") => Some("write it in digits, without quotes".into()),
        Value::Map(_) if expected.starts_with("a list") => Some("start each element with `- `".into()),
        Value::List(_) if expected.starts_with("a map") => Some("remove the `- `: this is a map, not a list".into()),
        Value::Bool(_) | Value::Signed(_) | Value::Unsigned(_) | Value::Float(_)
            if ["a text", "a name"].iter().any(|text| expected.starts_with(text)) =>
        {
            Some(format!("put it in quotes: \"{written}\""))
        }
        Value::Map(_) if written.starts_with('{') && expected.starts_with("a text") => {
            Some("put text that starts with `{` in quotes".into())
        }
        _ => None,
    }
}

fn did_you_mean(written: &str, known: &[&str]) -> String {
    match names::nearest(written, known.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

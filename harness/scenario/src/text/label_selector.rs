//! `app=web,tier!=cache`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A label selector as kubectl's `-l` takes it: requirements joined by commas, all of which must hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelSelector(String);

impl LabelSelector {
    /// As the API server takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelSelector {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String| {
            TextError::new(
                format!("`{text}` is not a label selector: {why}"),
                "write requirements joined by commas, as for `kubectl get -l`: `app=web`, `tier!=cache`, `app`, `!app`, `app in (web, api)`",
            )
        };
        for requirement in requirements(text).ok_or_else(|| wrong("its parentheses do not match".into()))? {
            requirement_is_sound(requirement.trim()).map_err(wrong)?;
        }
        Ok(LabelSelector(text.into()))
    }
}

/// The parts between commas outside of parentheses.
fn requirements(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (i, c) in text.char_indices() {
        match c {
            '(' if inside => return None,
            '(' => inside = true,
            ')' if !inside => return None,
            ')' => inside = false,
            ',' if !inside => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!inside).then_some(parts)
}

fn requirement_is_sound(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it has an empty part".into());
    }
    if let Some((key, values)) = text.split_once('(') {
        let key = [" in", " notin"].iter().find_map(|word| key.trim_end().strip_suffix(word));
        let (Some(key), Some(values)) = (key, values.strip_suffix(')')) else {
            return Err(format!("`{text}` is neither `key in (…)` nor `key notin (…)`"));
        };
        return values.split(',').try_fold((), |(), value| word(value.trim(), "value")).and(word(key.trim(), "key"));
    }
    if let Some(key) = text.strip_prefix('!') {
        return word(key, "key");
    }
    match text.split_once("!=").or_else(|| text.split_once("==")).or_else(|| text.split_once('=')) {
        // A label may be empty.
        Some((key, "")) => word(key.trim(), "key"),
        Some((key, value)) => word(value.trim(), "value").and(word(key.trim(), "key")),
        None => word(text, "key"),
    }
}

fn word(text: &str, what: &str) -> Result<(), String> {
    let odd = |c: &char| !(c.is_ascii_alphanumeric() || "-_.".contains(*c) || what == "key" && *c == '/');
    match text.chars().find(odd) {
        _ if text.is_empty() => Err(format!("it has an empty {what}")),
        Some(c) => Err(format!("its {what} `{text}` contains {c:?}")),
        None => Ok(()),
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(LabelSelector,
    what: "a label selector such as `app=web` or `app in (web, api),tier!=cache`",
    pattern: r"^\S.*$",
    examples: ["app=web", "app.kubernetes.io/part-of=flux,!canary"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("app=web")]
    #[case("app == web, tier!=cache")]
    #[case("app.kubernetes.io/name,!canary,empty=")]
    #[case("app in (web, api),tier notin (cache)")]
    fn reads(#[case] text: &str) {
        assert_eq!(text.parse::<LabelSelector>().unwrap().as_str(), text);
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "app=web,", "=web", "app=we b", "app: web", "app in web", "app in (web", "app in (a,,b)"];
        let why = |text| error::<LabelSelector>(text).split(" (write").next().map(str::to_owned).unwrap();
        insta::assert_snapshot!(texts.map(why).join("\n"), @r"
        `` is not a label selector: it has an empty part
        `app=web,` is not a label selector: it has an empty part
        `=web` is not a label selector: it has an empty key
        `app=we b` is not a label selector: its value `we b` contains ' '
        `app: web` is not a label selector: its key `app: web` contains ':'
        `app in web` is not a label selector: its key `app in web` contains ' '
        `app in (web` is not a label selector: its parentheses do not match
        `app in (a,,b)` is not a label selector: it has an empty value
        ");
    }
}

//! Names of scenarios, probes and tags.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// Lower-case letters, digits and inner hyphens; at most 63 characters, as in Kubernetes labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String, hint: String| TextError::new(format!("`{text}` is not a name: {why}"), hint);
        let rule = || "use lower-case letters, digits and inner hyphens, such as `web-outside`".to_owned();
        if text.is_empty() {
            return Err(wrong("it is empty".into(), rule()));
        }
        if let Some(c) = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
            let better: String =
                text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
            let hint = match better.trim_matches('-') {
                "" => rule(),
                better => format!("write `{better}`"),
            };
            return Err(wrong(format!("it contains {c:?}"), hint));
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(wrong("it starts or ends with a hyphen".into(), rule()));
        }
        if text.len() > 63 {
            return Err(wrong("it is longer than 63 characters".into(), "shorten it".into()));
        }
        Ok(Name(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(Name,
    what: "a name of lower-case letters, digits and hyphens",
    pattern: r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    examples: ["official", "web"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        let long = "x".repeat(64);
        let texts = ["", "Web", "take over", "a_b", "../ä", "-a", "a-", &long];
        insta::assert_snapshot!(texts.map(error::<Name>).join("\n"), @r"
        `` is not a name: it is empty (use lower-case letters, digits and inner hyphens, such as `web-outside`)
        `Web` is not a name: it contains 'W' (write `web`)
        `take over` is not a name: it contains ' ' (write `take-over`)
        `a_b` is not a name: it contains '_' (write `a-b`)
        `../ä` is not a name: it contains '.' (use lower-case letters, digits and inner hyphens, such as `web-outside`)
        `-a` is not a name: it starts or ends with a hyphen (use lower-case letters, digits and inner hyphens, such as `web-outside`)
        `a-` is not a name: it starts or ends with a hyphen (use lower-case letters, digits and inner hyphens, such as `web-outside`)
        `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is not a name: it is longer than 63 characters (shorten it)
        ");
    }
}

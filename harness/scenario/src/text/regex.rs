//! `reconciled .* in \d+ms`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A regular expression that must match somewhere in a text; `^` and `$` tie it to the text's ends, `(?m)` to each line's.
#[derive(Debug, Clone)]
pub struct Regex(regex::Regex);

impl Regex {
    /// As written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl FromStr for Regex {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: &str| {
            TextError::new(
                format!("`{text}` is not a regular expression: {why}"),
                r"write it in single quotes, and put `\` before a character that is meant literally, such as `'v2\.9\.\d+'`",
            )
        };
        if text.is_empty() {
            return Err(wrong("it is empty, and would match anything"));
        }
        regex::Regex::new(text).map(Regex).map_err(|error| {
            // The last line of a syntax error is its reason; those before draw where it is.
            let said = error.to_string();
            let reason = said.lines().last().unwrap_or_default();
            wrong(reason.strip_prefix("error: ").unwrap_or(reason))
        })
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_type!(Regex,
    what: "a regular expression",
    pattern: "^.+$",
    examples: ["applied revision .*", r"v2\.9\.\d+"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_anywhere() {
        let pattern: Regex = r"v2\.9\.\d+$".parse().unwrap();
        assert!(pattern.is_match("distribution: v2.9.4") && !pattern.is_match("v2.9.x"));
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "(", "[z-a]", "a**{", r"\q"];
        let said = texts.map(|text| text.parse::<Regex>().expect_err("should not parse").message);
        insta::assert_snapshot!(said.join("\n"), @r"
        `` is not a regular expression: it is empty, and would match anything
        `(` is not a regular expression: unclosed group
        `[z-a]` is not a regular expression: invalid character class range, the start must be <= the end
        `a**{` is not a regular expression: unclosed counted repetition
        `\q` is not a regular expression: unrecognized escape sequence
        ");
    }
}

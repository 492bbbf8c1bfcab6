//! `Applied revision: .*@sha1:`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A regular expression, compiled; it matches anywhere in a line unless it is anchored.
#[derive(Debug, Clone)]
pub struct Regex(regex::Regex);

impl Regex {
    /// Whether it matches somewhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl FromStr for Regex {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        regex::Regex::new(text).map(Regex).map_err(|error| {
            // The last line says what is wrong; those before it draw an arrow that would not survive in one line.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            TextError::new(
                format!("`{text}` is not a regular expression: {why}"),
                "write it in the syntax of Rust's regex crate (as RE2: no look-around, no back-references); `\\` before a sign takes its meaning away",
            )
        })
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

text_type!(Regex,
    what: "a regular expression such as `garbage collection: \\d+`",
    pattern: r"^.+$",
    examples: ["stored artifact for commit .*", "^error: "]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;

    #[test]
    fn matches_anywhere_and_says_what_is_wrong() {
        let regex: Regex = "revision.*@sha1".parse().unwrap();
        assert!(regex.is_match("stored revision main@sha1:abc") && !regex.is_match("stored"));
        let why = |text| error::<Regex>(text).split(" (write").next().map(str::to_owned).unwrap();
        insta::assert_snapshot!(["(", "*a", "[z-a]", "(?=a)"].map(why).join("\n"), @r"
        `(` is not a regular expression: unclosed group
        `*a` is not a regular expression: repetition operator missing expression
        `[z-a]` is not a regular expression: invalid character class range, the start must be <= the end
        `(?=a)` is not a regular expression: look-around, including look-ahead and look-behind, is not supported
        ");
    }
}

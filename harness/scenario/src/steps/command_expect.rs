//! How a command must end, and what it must say.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::span::Spanned;
use crate::text::Regex;

/// How a command must end, and what it must say. Everything that is given must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CommandExpect {
    /// Its exit code. Default: 0.
    pub exit: u8,
    /// A text that its standard output contains.
    pub stdout_contains: Option<Spanned<String>>,
    /// A regular expression that matches somewhere in its standard output.
    pub stdout_matches: Option<Spanned<Regex>>,
    /// A text that its standard error contains.
    pub stderr_contains: Option<Spanned<String>>,
    /// A regular expression that matches somewhere in its standard error.
    pub stderr_matches: Option<Spanned<Regex>>,
}

/// What a command did otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpected {
    /// Its exit code.
    Exit {
        /// The one that was expected.
        expected: u8,
        /// The one that it had.
        found: i64,
    },
    /// What it said.
    Said {
        /// Where: `standard output` or `standard error`.
        stream: &'static str,
        /// What is missing there, in words.
        missing: String,
    },
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unexpected::Exit { expected, found } => write!(f, "ended with {found} where {expected} was expected"),
            Unexpected::Said { stream, missing } => write!(f, "its {stream} {missing}"),
        }
    }
}

impl CommandExpect {
    /// The first thing that is not as expected.
    pub fn check(&self, exit: i64, stdout: &str, stderr: &str) -> Option<Unexpected> {
        if exit != i64::from(self.exit) {
            return Some(Unexpected::Exit { expected: self.exit, found: exit });
        }
        let streams = [
            ("standard output", stdout, &self.stdout_contains, &self.stdout_matches),
            ("standard error", stderr, &self.stderr_contains, &self.stderr_matches),
        ];
        streams.into_iter().find_map(|(stream, said, text, pattern)| {
            let text = text.as_ref().filter(|text| !said.contains(text.as_str()));
            let pattern = pattern.as_ref().filter(|pattern| !pattern.is_match(said));
            let missing = match (text, pattern) {
                (Some(text), _) => format!("does not contain {:?}", text.value),
                (None, Some(pattern)) => format!("does not match `{pattern}`"),
                (None, None) => return None,
            };
            Some(Unexpected::Said { stream, missing })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::nothing_said("{}", 0, None)]
    #[case::bad_end("{}", 1, Some("ended with 1 where 0 was expected"))]
    #[case::wanted_end("{exit: 1}", 1, None)]
    #[case::good_end("{exit: 1}", 0, Some("ended with 0 where 1 was expected"))]
    #[case::text("{stdout-contains: out}", 0, None)]
    #[case::no_text("{stdout-contains: err}", 0, Some(r#"its standard output does not contain "err""#))]
    #[case::pattern("{stderr-matches: 'e.r\\.$'}", 0, None)]
    #[case::no_pattern("{stderr-matches: 'o.t'}", 0, Some("its standard error does not match `o.t`"))]
    #[case::both(
        "{stdout-contains: out, stderr-contains: out}",
        0,
        Some(r#"its standard error does not contain "out""#)
    )]
    fn judges(#[case] expect: &str, #[case] exit: i64, #[case] unexpected: Option<&str>) {
        let expect: CommandExpect = serde_saphyr::from_str(expect).unwrap();
        let found = expect.check(exit, "the out\n", "the err.");
        assert_eq!(found.map(|found| found.to_string()).as_deref(), unexpected);
    }
}

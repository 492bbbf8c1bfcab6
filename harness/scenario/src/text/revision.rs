//! `head`, `4f2ac1e`, `main@sha1:4f2ac1e`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A revision that Flux may have applied: the fleet's head, or part of a revision as Flux shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revision {
    /// The last commit that was pushed to the fleet.
    Head,
    /// A commit, a tag with its digest, …: whatever contains this text.
    Part(String),
}

/// The shortest commit that git itself shows.
const SHORTEST: usize = 7;

impl FromStr for Revision {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if text == "head" {
            return Ok(Revision::Head);
        }
        let is_commit = text.len() >= SHORTEST && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        let is_qualified = text.contains([':', '@']) && !text.contains(char::is_whitespace) && text.len() >= SHORTEST;
        if is_commit || is_qualified {
            return Ok(Revision::Part(text.into()));
        }
        Err(TextError::new(
            format!("`{text}` is not a revision"),
            "write `head`, a commit of at least 7 digits such as `4f2ac1e`, or a part of what Flux shows, such as `main@sha1:4f2ac1e`",
        ))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Revision::Head => "head",
            Revision::Part(text) => text,
        })
    }
}

text_type!(Revision,
    what: "a revision: `head`, or a part of what Flux shows such as `main@sha1:4f2ac1e`",
    pattern: r"^(head|[0-9a-f]{7,}|\S*[:@]\S*)$",
    examples: ["head", "4f2ac1e", "v1.2.0@sha256:"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("head")]
    #[case("4f2ac1e")]
    #[case("refs/heads/main@sha1:4f2")]
    #[case("v2.9.4@sha256:")]
    fn reads(#[case] text: &str) {
        assert_eq!(text.parse::<Revision>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case::empty("")]
    #[case::mistyped("haed")]
    #[case::branch("main")]
    #[case::too_short("4f2ac")]
    #[case::too_short_to_tell("@")]
    fn other_texts_are_no_revisions(#[case] text: &str) {
        assert!(error::<Revision>(text).starts_with(&format!("`{text}` is not a revision (write `head`, ")));
    }
}

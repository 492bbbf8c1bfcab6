//! `2.9.4`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// An exact version of three numbers, without a `v`: `2.9.4`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(semver::Version);

impl Version {
    /// For comparisons and arithmetic.
    pub fn get(&self) -> &semver::Version {
        &self.0
    }
}

impl FromStr for Version {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        semver::Version::parse(text).map(Version).map_err(|_| {
            let bare = text.trim_start_matches('v');
            let hint = if bare != text && semver::Version::parse(bare).is_ok() {
                format!("write `{bare}`, without the `v`")
            } else {
                "write an exact version of three numbers, such as `2.9.4`; ranges are not supported, as a run must be repeatable"
                    .to_owned()
            };
            TextError::new(format!("`{text}` is not a version"), hint)
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_type!(Version,
    what: "a version such as `2.9.4`",
    pattern: r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$",
    examples: ["2.9.2", "0.59.0"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "2.9", "v2.9.4", "2.x", ">=2.9.0"];
        insta::assert_snapshot!(texts.map(error::<Version>).join("\n"), @r"
        `` is not a version (write an exact version of three numbers, such as `2.9.4`; ranges are not supported, as a run must be repeatable)
        `2.9` is not a version (write an exact version of three numbers, such as `2.9.4`; ranges are not supported, as a run must be repeatable)
        `v2.9.4` is not a version (write `2.9.4`, without the `v`)
        `2.x` is not a version (write an exact version of three numbers, such as `2.9.4`; ranges are not supported, as a run must be repeatable)
        `>=2.9.0` is not a version (write an exact version of three numbers, such as `2.9.4`; ranges are not supported, as a run must be repeatable)
        ");
    }
}

//! `from_version`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A variable's name, as templates write it: lower-case letters, digits and `_`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VarName(String);

impl VarName {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VarName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(allowed) {
            return Ok(VarName(text.into()));
        }
        let hint = match text.replace(['-', ' ', '.'], "_").to_lowercase() {
            better if better != text && better.parse::<VarName>().is_ok() => {
                format!("write `{better}`: only such a name is one word in a template")
            }
            _ => "use lower-case letters, digits and `_`, at most 63, starting with a letter".to_owned(),
        };
        Err(TextError::new(format!("`{text}` is no name for a variable"), hint))
    }
}

impl fmt::Display for VarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(VarName,
    what: "a variable's name such as `from_version`",
    pattern: r"^[a-z][a-z0-9_]{0,62}$",
    examples: ["auth", "from_version"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "from-version", "From", "1st", "a.b"];
        insta::assert_snapshot!(texts.map(error::<VarName>).join("\n"), @r"
        `` is no name for a variable (use lower-case letters, digits and `_`, at most 63, starting with a letter)
        `from-version` is no name for a variable (write `from_version`: only such a name is one word in a template)
        `From` is no name for a variable (write `from`: only such a name is one word in a template)
        `1st` is no name for a variable (use lower-case letters, digits and `_`, at most 63, starting with a letter)
        `a.b` is no name for a variable (write `a_b`: only such a name is one word in a template)
        ");
    }
}

//! `pod`, `kustomizations.kustomize.toolkit.fluxcd.io`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A kind of Kubernetes object, singular or plural, in lower case, with its group where it is not unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(String);

impl Kind {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Kind {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String, hint: String| Err(TextError::new(format!("`{text}` is not a kind: {why}"), hint));
        let example = || "write a kind such as `pod`, or `kind.group` where several groups serve it".to_owned();
        match text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(*c))) {
            _ if text.is_empty() => wrong("it is empty".into(), example()),
            Some(c) if c.is_ascii_uppercase() => {
                wrong("kinds are written in lower case".into(), format!("write `{}`", text.to_lowercase()))
            }
            Some(c) => wrong(format!("it contains {c:?}"), example()),
            None => Ok(Kind(text.into())),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(Kind,
    what: "a kind of object such as `pod` or `deployment`",
    pattern: r"^[a-z0-9.-]+$",
    examples: ["pod", "deployment", "helmrelease"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        assert_eq!("kustomizations.kustomize.toolkit.fluxcd.io".parse::<Kind>().unwrap().as_str().len(), 42);
        insta::assert_snapshot!(["", "Pod", "pod/web"].map(error::<Kind>).join("\n"), @r"
        `` is not a kind: it is empty (write a kind such as `pod`, or `kind.group` where several groups serve it)
        `Pod` is not a kind: kinds are written in lower case (write `pod`)
        `pod/web` is not a kind: it contains '/' (write a kind such as `pod`, or `kind.group` where several groups serve it)
        ");
    }
}

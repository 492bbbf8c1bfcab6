//! A path that stays inside its folder.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::{TextError, text_type};

/// A path inside a folder, with `/` between its parts; it can neither be absolute nor leave the folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(String);

impl RelPath {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for RelPath {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for RelPath {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: &str| {
            TextError::new(
                format!("`{text}` is not a path inside the folder: {why}"),
                "write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`",
            )
        };
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        if trimmed.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.starts_with('/') {
            return Err(wrong("it starts with `/`"));
        }
        if text.contains(['\\', '\0', '\n']) {
            return Err(wrong("it contains a backslash or a control character"));
        }
        for part in trimmed.split('/') {
            match part {
                ".." => return Err(wrong("`..` would leave it")),
                "" | "." => return Err(wrong("it has an empty part")),
                ".git" => return Err(wrong("`.git` belongs to git")),
                _ => {}
            }
        }
        Ok(RelPath(trimmed.into()))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(RelPath,
    what: "a relative path such as `clusters/test/apps.yaml`",
    pattern: r"^[^/\\][^\\]*$",
    examples: ["clusters/test", "apps/web/deployment.yaml"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;

    #[test]
    fn a_trailing_slash_does_not_matter() {
        assert_eq!("clusters/test/".parse::<RelPath>(), "clusters/test".parse());
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "/", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\\b", ".git/config"];
        insta::assert_snapshot!(texts.map(error::<RelPath>).join("\n"), @r"
        `` is not a path inside the folder: it is empty (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `/` is not a path inside the folder: it is empty (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `/etc/passwd` is not a path inside the folder: it starts with `/` (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `../x` is not a path inside the folder: `..` would leave it (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `a/../../x` is not a path inside the folder: `..` would leave it (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `a//b` is not a path inside the folder: it has an empty part (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `./a` is not a path inside the folder: it has an empty part (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `a\b` is not a path inside the folder: it contains a backslash or a control character (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        `.git/config` is not a path inside the folder: `.git` belongs to git (write a relative path with `/` between its parts, such as `clusters/test/apps.yaml`)
        ");
    }
}

//! `k8s(>=1.34)`: minor releases of Kubernetes and ranges of them.

use std::fmt;
use std::str::FromStr;

use crate::text::TextError;

/// How a release compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Less,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    Greater,
}

impl Comparison {
    /// Longer signs first, so that none hides behind its own beginning.
    const SIGNS: [(&'static str, Comparison); 7] = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        ("!=", Comparison::NotEqual),
        ("==", Comparison::Equal),
        (">", Comparison::Greater),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ];

    fn sign(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::AtLeast => ">=",
            Comparison::Greater => ">",
        }
    }
}

/// Releases on one side of a minor release, or that one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubernetesRange {
    /// Which side.
    pub comparison: Comparison,
    /// The release, as major and minor number.
    pub release: (u64, u64),
}

impl KubernetesRange {
    /// Whether a cell's release, such as `1.34`, is in the range. Text that is no release is in none.
    pub fn contains(self, release: &str) -> bool {
        let Some(release) = minor_release(release) else { return false };
        match self.comparison {
            Comparison::Less => release < self.release,
            Comparison::AtMost => release <= self.release,
            Comparison::Equal => release == self.release,
            Comparison::NotEqual => release != self.release,
            Comparison::AtLeast => release >= self.release,
            Comparison::Greater => release > self.release,
        }
    }
}

/// `1.34` as numbers.
pub(super) fn minor_release(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once('.')?;
    let number = |part: &str| {
        let plain = part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        if plain { part.parse().ok() } else { None }
    };
    Some((number(major)?, number(minor)?))
}

impl FromStr for KubernetesRange {
    type Err = TextError;

    fn from_str(text: &str) -> Result<KubernetesRange, TextError> {
        let signed =
            Comparison::SIGNS.iter().find_map(|(sign, comparison)| Some((text.strip_prefix(sign)?, *comparison)));
        let (release, comparison) = signed.unwrap_or((text, Comparison::Equal));
        let release = release.trim();
        let sign = if signed.is_some() { comparison.sign() } else { "" };
        if let Some(release) = minor_release(release) {
            return Ok(KubernetesRange { comparison, release });
        }
        let bare = release.trim_start_matches('v');
        let minor: String = bare.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let (why, hint) = match () {
            () if release.is_empty() => ("it has no version".to_owned(), "write `k8s(>=1.34)`".to_owned()),
            () if minor_release(bare).is_some() => ("it starts with `v`".to_owned(), format!("write `{sign}{bare}`")),
            () if minor_release(&minor).is_some() => {
                ("cells are of minor releases, not of patches".to_owned(), format!("write `{sign}{minor}`"))
            }
            () => (
                format!("{release:?} is no minor release"),
                "write a sign and a minor release, such as `>=1.34`; signs: `<`, `<=`, `=`, `!=`, `>=` and `>`"
                    .to_owned(),
            ),
        };
        Err(TextError::new(format!("`{text}` is not a range of Kubernetes releases: {why}"), hint))
    }
}

impl fmt::Display for KubernetesRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}.{}", self.comparison.sign(), self.release.0, self.release.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(">=1.34", "1.33 no, 1.34 yes, 1.36 yes, 2.0 yes")]
    #[case("> 1.34", "1.33 no, 1.34 no, 1.36 yes, 2.0 yes")]
    #[case("<=1.34", "1.33 yes, 1.34 yes, 1.36 no, 2.0 no")]
    #[case("<1.34", "1.33 yes, 1.34 no, 1.36 no, 2.0 no")]
    #[case("1.34", "1.33 no, 1.34 yes, 1.36 no, 2.0 no")]
    #[case("==1.34", "1.33 no, 1.34 yes, 1.36 no, 2.0 no")]
    #[case("!=1.34", "1.33 yes, 1.34 no, 1.36 yes, 2.0 yes")]
    #[case(">=1.4", "1.33 yes, 1.34 yes, 1.36 yes, 2.0 yes")]
    fn contains(#[case] range: &str, #[case] expected: &str) {
        let range: KubernetesRange = range.parse().unwrap();
        let said = ["1.33", "1.34", "1.36", "2.0"]
            .map(|release| format!("{release} {}", if range.contains(release) { "yes" } else { "no" }));
        assert_eq!(said.join(", "), expected);
        assert!(!range.contains("latest"));
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", ">=", "v1.34", ">=1.34.4", "=>1.34", "~1.34", "1", "1.x", "1.034", "1.99999999999999999999"];
        let said = texts.map(|text| {
            let error = text.parse::<KubernetesRange>().unwrap_err();
            format!("{} ({})", error.message, error.hint)
        });
        insta::assert_snapshot!(said.join("\n"), @r#"
        `` is not a range of Kubernetes releases: it has no version (write `k8s(>=1.34)`)
        `>=` is not a range of Kubernetes releases: it has no version (write `k8s(>=1.34)`)
        `v1.34` is not a range of Kubernetes releases: it starts with `v` (write `1.34`)
        `>=1.34.4` is not a range of Kubernetes releases: cells are of minor releases, not of patches (write `>=1.34`)
        `=>1.34` is not a range of Kubernetes releases: ">1.34" is no minor release (write a sign and a minor release, such as `>=1.34`; signs: `<`, `<=`, `=`, `!=`, `>=` and `>`)
        `~1.34` is not a range of Kubernetes releases: "~1.34" is no minor release (write a sign and a minor release, such as `>=1.34`; signs: `<`, `<=`, `=`, `!=`, `>=` and `>`)
        `1` is not a range of Kubernetes releases: "1" is no minor release (write a sign and a minor release, such as `>=1.34`; signs: `<`, `<=`, `=`, `!=`, `>=` and `>`)
        `1.x` is not a range of Kubernetes releases: "1.x" is no minor release (write a sign and a minor release, such as `>=1.34`; signs: `<`, `<=`, `=`, `!=`, `>=` and `>`)
        `1.034` is not a range of Kubernetes releases: "1.034" is no minor release (write a sign and a minor release, such as `>=1.34`; signs: `<`, `<=`, `=`, `!=`, `>=` and `>`)
        `1.99999999999999999999` is not a range of Kubernetes releases: "1.99999999999999999999" is no minor release (write a sign and a minor release, such as `>=1.34`; signs: `<`, `<=`, `=`, `!=`, `>=` and `>`)
        "#);
    }
}

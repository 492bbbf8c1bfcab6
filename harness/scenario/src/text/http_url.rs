//! `http://web.apps.svc/`.

use std::fmt;
use std::str::FromStr;

use super::{Address, TextError, text_type};

/// Where an HTTP server is, and what is asked of it: `http://host[:port][/path]`, or with `https`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpUrl {
    text: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Host and port; the scheme's own port where none is written.
    pub address: Address,
    /// Path and query, from its `/` on.
    pub path: String,
}

impl HttpUrl {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for HttpUrl {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String| {
            TextError::new(
                format!("`{text}` is not a URL to probe: {why}"),
                "write one such as `http://web.apps.svc.cluster.local/`",
            )
        };
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => return Err(wrong(format!("its scheme is `{scheme}`, not http or https"))),
            None => return Err(wrong("it does not begin with `http://` or `https://`".into())),
        };
        if let Some(c) = text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '#') {
            return Err(wrong(format!("it contains {c:?}")));
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('?') => return Err(wrong("its query has no path before it".into())),
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let address = Address::read(authority, Some(if tls { 443 } else { 80 })).map_err(wrong)?;
        Ok(HttpUrl { text: text.into(), tls, address, path: path.into() })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_type!(HttpUrl,
    what: "a URL such as `http://web.apps.svc/`",
    pattern: r"^https?://[a-z0-9.-]+(:\d+)?(/[^\s#]*)?$",
    examples: ["http://web.apps.svc.cluster.local/"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("http://web.apps.svc", false, "web.apps.svc:80", "/")]
    #[case("http://web.apps.svc:8080/a?b=c", false, "web.apps.svc:8080", "/a?b=c")]
    #[case("https://web/", true, "web:443", "/")]
    fn reads(#[case] text: &str, #[case] tls: bool, #[case] address: &str, #[case] path: &str) {
        let url: HttpUrl = text.parse().unwrap();
        let found = (url.tls, url.address.to_string(), url.path.as_str(), url.as_str());
        assert_eq!(found, (tls, address.to_owned(), path, text));
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = [
            "",
            "web.apps.svc/",
            "ftp://web/",
            "http://",
            "http://web:0/",
            "http://we b/",
            "http://user@web/",
            "http://web?a=b",
            "http://web/#a",
        ];
        insta::assert_snapshot!(texts.map(error::<HttpUrl>).join("\n"), @r"
        `` is not a URL to probe: it does not begin with `http://` or `https://` (write one such as `http://web.apps.svc.cluster.local/`)
        `web.apps.svc/` is not a URL to probe: it does not begin with `http://` or `https://` (write one such as `http://web.apps.svc.cluster.local/`)
        `ftp://web/` is not a URL to probe: its scheme is `ftp`, not http or https (write one such as `http://web.apps.svc.cluster.local/`)
        `http://` is not a URL to probe: it has no host (write one such as `http://web.apps.svc.cluster.local/`)
        `http://web:0/` is not a URL to probe: `0` is not a port: ports are 1 to 65535 (write one such as `http://web.apps.svc.cluster.local/`)
        `http://we b/` is not a URL to probe: it contains ' ' (write one such as `http://web.apps.svc.cluster.local/`)
        `http://user@web/` is not a URL to probe: its host contains '@' (write one such as `http://web.apps.svc.cluster.local/`)
        `http://web?a=b` is not a URL to probe: its query has no path before it (write one such as `http://web.apps.svc.cluster.local/`)
        `http://web/#a` is not a URL to probe: it contains '#' (write one such as `http://web.apps.svc.cluster.local/`)
        ");
    }
}

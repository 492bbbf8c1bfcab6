//! HTTP/1.1 GET requests.

use std::sync::Arc;
use std::time::Duration;

use ferry_record::event::Failure;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::client::{Client, Judge, Question};
use super::tls::TlsSpec;
use super::{Kind, Miss, blame};
use crate::spec::{Connection, SpecError};

/// How much of a body is searched for the text that it must contain.
const BODY_LIMIT: usize = 1 << 20;

/// A GET request, and the answer that counts as success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// `http://host[:port]/path`, or `https://…` with [`HttpSpec::tls`]. A host name is resolved for each connection.
    pub url: String,
    /// `Host` header, where it is to differ from the URL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whom to trust, and as whom to ask, by https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// The status expected.
    #[serde(default = "HttpSpec::ok")]
    pub status: u16,
    /// A header that the answer must have, and its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_header: Option<(String, String)>,
    /// A text that the body must contain, among its first MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
}

impl HttpSpec {
    /// Expects status 200 from `url`, whatever header and body.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let status = Self::ok();
        Self { url: url.into(), host: None, tls: None, status, expect_header: None, body_contains: None }
    }

    fn ok() -> u16 {
        200
    }
}

/// An HTTP question, ready to be asked.
#[derive(Debug)]
pub(crate) struct Http {
    target: String,
    client: Client,
    good: Good,
}

/// The answer that counts as success.
#[derive(Debug)]
struct Good {
    status: StatusCode,
    header: Option<(HeaderName, HeaderValue)>,
    body_contains: Option<String>,
}

impl Http {
    /// Makes an [`HttpSpec`] ready; `probe` is for the error message.
    ///
    /// # Errors
    /// A URL that cannot be asked, a status or header that does not exist, a host that cannot be sent, TLS that cannot be
    /// spoken.
    pub fn new(probe: &str, spec: &HttpSpec, connection: Connection, interval: Duration) -> Result<Self, SpecError> {
        let (host, tls) = (spec.host.as_deref(), spec.tls.as_ref());
        let header = spec.expect_header.as_ref().map(|(name, value)| {
            let wrong = || SpecError::Header { probe: probe.into(), header: format!("{name}: {value}") };
            Ok((name.parse().map_err(|_| wrong())?, value.parse().map_err(|_| wrong())?))
        });
        Ok(Self {
            target: format!("GET {}", spec.url),
            client: Client::new(Question { probe, url: &spec.url, host, tls, connection, interval })?,
            good: Good {
                status: StatusCode::from_u16(spec.status)
                    .map_err(|_| SpecError::Status { probe: probe.into(), status: spec.status })?,
                header: header.transpose()?,
                body_contains: spec.body_contains.clone(),
            },
        })
    }
}

impl Judge for Good {
    async fn judge(&self, response: Response<Incoming>) -> Result<(), Miss> {
        let status = response.status();
        let header = self.header.as_ref().map(|(name, _)| response.headers().get(name).cloned());
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| blame::http(&error))?;
            if let (Some(_), Some(data)) = (&self.body_contains, frame.data_ref()) {
                text.extend_from_slice(&data[..data.len().min(BODY_LIMIT - text.len())]);
            }
        }
        if status != self.status {
            return Err(Miss::Failed(Failure::Status(status.as_u16())));
        }
        if let (Some((name, expected)), Some(seen)) = (&self.header, header)
            && seen.as_ref() != Some(expected)
        {
            let seen = seen.map_or_else(|| "absent".into(), |seen| format!("{seen:?}"));
            return Err(Miss::Failed(Failure::Body(format!("header {name} is {seen}, not {expected:?}"))));
        }
        match &self.body_contains {
            Some(needle) if !String::from_utf8_lossy(&text).contains(needle.as_str()) => {
                Err(Miss::Failed(Failure::Body(format!("no {needle:?} in {} bytes", text.len()))))
            }
            _ => Ok(()),
        }
    }
}

impl Kind for Http {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move { self.client.ask(&self.good).await })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::TcpListener;

    use super::*;
    use crate::kind::testing::{Authority, OK, Reply, Server};
    use crate::kind::tls::{Auth, Pem};

    fn http(spec: HttpSpec, connection: Connection) -> Arc<Http> {
        Arc::new(Http::new("p", &spec, connection, Duration::from_millis(50)).unwrap())
    }

    async fn ask(server: &Server, connection: Connection) -> Result<(), Miss> {
        let mut spec = HttpSpec::new(format!("http://{}/", server.address));
        spec.body_contains = Some("hello".into());
        http(spec, connection).ask().await
    }

    #[rstest]
    #[case::good(&[Reply::Says(OK)], Ok(()))]
    #[case::chunked(&[Reply::Says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")], Ok(()))]
    #[case::until_closed(&[Reply::SaysAndCloses("HTTP/1.1 200 OK\r\n\r\nhello")], Ok(()))]
    #[case::other_status(&[Reply::Says("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n")], Err(Failure::Status(503)))]
    #[case::other_body(&[Reply::Says("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbye")], Err(Failure::Body("no \"hello\" in 3 bytes".into())))]
    #[case::no_answer(&[Reply::Closes], Err(Failure::Reset))]
    #[case::reset(&[Reply::Resets], Err(Failure::Reset))]
    #[case::half_a_head(&[Reply::SaysAndCloses("HTTP/1.1 200 OK\r\ncontent-")], Err(Failure::Reset))]
    #[case::half_a_body(&[Reply::SaysAndCloses("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")], Err(Failure::Reset))]
    #[case::not_http(&[Reply::Says("SSH-2.0-OpenSSH_9.2\r\n")], Err(Failure::Other("invalid HTTP version parsed".into())))]
    #[tokio::test]
    async fn answers_and_failures(
        #[case] script: &'static [Reply],
        #[case] expected: Result<(), Failure>,
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let server = Server::start(script).await;
        assert_eq!(ask(&server, connection).await, expected.map_err(Miss::Failed));
        assert_eq!(server.seen(), (1, 1));
    }

    #[rstest]
    #[case::as_expected("HTTP/1.1 200 OK\r\nx-version: 2.0\r\ncontent-length: 0\r\n\r\n", Ok(()))]
    #[case::other(
        "HTTP/1.1 200 OK\r\nx-version: 1.0\r\ncontent-length: 0\r\n\r\n",
        Err("header x-version is \"1.0\", not \"2.0\"")
    )]
    #[case::absent(OK, Err("header x-version is absent, not \"2.0\""))]
    #[tokio::test]
    async fn headers(#[case] reply: &'static str, #[case] expected: Result<(), &str>) {
        let server = Server::start(vec![Reply::Says(reply)].leak()).await;
        let mut spec = HttpSpec::new(format!("http://{}/", server.address));
        spec.expect_header = Some(("X-Version".into(), "2.0".into()));
        let expected = expected.map_err(|words| Miss::Failed(Failure::Body(words.into())));
        assert_eq!(http(spec, Connection::New).ask().await, expected);
    }

    #[rstest]
    #[tokio::test]
    async fn nobody_listens(#[values(Connection::New, Connection::Reused)] connection: Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = HttpSpec::new(format!("http://{}/", listener.local_addr().unwrap()));
        drop(listener);
        assert_eq!(http(spec, connection).ask().await, Err(Miss::Failed(Failure::Refused)));
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist() {
        // Longer than a label may be, so no server is asked.
        let spec = HttpSpec::new(format!("http://{}.test/", "x".repeat(64)));
        assert_eq!(http(spec, Connection::New).ask().await, Err(Miss::Failed(Failure::Dns)));
    }

    /// What is different from a server that is as it should be.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Odd {
        Nothing,
        OtherAuthority,
        OtherName,
        NoClientCertificate,
        NoTls,
    }

    #[rstest]
    #[case::trusted(Odd::Nothing, Ok(()))]
    #[case::signed_by_someone_else(Odd::OtherAuthority, Err(Failure::Tls))]
    #[case::for_another_name(Odd::OtherName, Err(Failure::Tls))]
    #[case::client_unknown(Odd::NoClientCertificate, Err(Failure::Tls))]
    #[case::no_tls_at_all(Odd::NoTls, Err(Failure::Tls))]
    #[tokio::test]
    async fn tls(
        #[case] odd: Odd,
        #[case] expected: Result<(), Failure>,
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let authority = Authority::new();
        let name = if odd == Odd::OtherName { "other.test" } else { "127.0.0.1" };
        let server = match odd {
            Odd::NoTls => Server::start(&[Reply::Says("HTTP/1.1 400 Bad Request\r\n\r\n")]).await,
            _ => Server::start_tls(&[Reply::Says(OK)], authority.acceptor(name, &[])).await,
        };
        let (certificate, key) = authority.sign("ferry");
        let spec = HttpSpec {
            tls: Some(TlsSpec {
                ca: if odd == Odd::OtherAuthority { Authority::new().pem() } else { authority.pem() },
                auth: match odd {
                    Odd::NoClientCertificate => Auth::None,
                    _ => Auth::Certificate { certificate, key },
                },
            }),
            ..HttpSpec::new(format!("https://{}/", server.address))
        };
        let http = http(spec, connection);
        for _ in 0..2 {
            assert_eq!(Arc::clone(&http).ask().await, expected.clone().map_err(Miss::Failed));
        }
    }

    #[test]
    fn needs_no_more_than_a_url() {
        let spec: HttpSpec = serde_json::from_str(r#"{"url": "http://web.apps.svc/"}"#).unwrap();
        assert_eq!(spec, HttpSpec::new("http://web.apps.svc/"));
    }

    #[rstest]
    #[case::status(HttpSpec { status: 99, ..HttpSpec::new("http://a/") }, "probe p: no answer has status 99")]
    #[case::header(HttpSpec { expect_header: Some(("a b".into(), "c".into())), ..HttpSpec::new("http://a/") }, "probe p: no answer has a header \"a b: c\"")]
    #[case::ca(HttpSpec { tls: Some(TlsSpec { ca: Pem::Inline(String::new()), auth: Auth::None }), ..HttpSpec::new("https://a/") }, "probe p: cannot speak TLS: there is no certificate in Inline(..)")]
    fn refuses(#[case] spec: HttpSpec, #[case] message: &str) {
        let error = Http::new("p", &spec, Connection::New, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

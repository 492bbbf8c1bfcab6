//! Downloads of a Flux source's artifact, as kustomize-controller and helm-controller do before each reconciliation.

use std::sync::Arc;
use std::time::Duration;

use ferry_record::event::Failure;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::client::{Client, Judge, Question};
use super::{Kind, Miss, blame};
use crate::spec::{Connection, SpecError};

/// What a gzip file begins with (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An artifact, which succeeds when it comes whole. Its URL changes with each revision, so whoever starts the probe follows
/// the source's `status.artifact` and aims the probe anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FluxSpec {
    /// `status.artifact.url`.
    pub url: String,
    /// `status.artifact.digest`: `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// An artifact's download, ready to be asked for.
#[derive(Debug)]
pub(crate) struct Flux {
    target: String,
    client: Client,
    artifact: Artifact,
}

/// What must come.
#[derive(Debug)]
struct Artifact {
    /// Hexadecimal.
    sha256: Option<String>,
}

impl Flux {
    /// Makes a [`FluxSpec`] ready; `probe` is for the error message.
    ///
    /// # Errors
    /// A URL that cannot be asked, a digest that is none.
    pub fn new(probe: &str, spec: &FluxSpec, connection: Connection, interval: Duration) -> Result<Self, SpecError> {
        let digest = |text: &String| {
            let hex = text.strip_prefix("sha256:").map(str::to_ascii_lowercase);
            hex.filter(|hex| hex.len() == 64 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .ok_or_else(|| SpecError::Digest { probe: probe.into(), digest: text.clone() })
        };
        Ok(Self {
            target: format!("download {}", spec.url),
            client: Client::new(Question { probe, url: &spec.url, host: None, tls: None, connection, interval })?,
            artifact: Artifact { sha256: spec.digest.as_ref().map(digest).transpose()? },
        })
    }
}

impl Judge for Artifact {
    async fn judge(&self, response: Response<Incoming>) -> Result<(), Miss> {
        let status = response.status();
        let mut body = response.into_body();
        let (mut hash, mut head, mut length) = (Sha256::new(), Vec::<u8>::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| blame::http(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            head.extend(data.iter().take(GZIP.len() - head.len()));
            length += data.len();
            if self.sha256.is_some() {
                hash.update(data);
            }
        }
        if status != StatusCode::OK {
            return Err(Miss::Failed(Failure::Status(status.as_u16())));
        }
        if head != GZIP {
            return Err(Miss::Failed(Failure::Body(format!("{length} bytes that are no gzip file"))));
        }
        let Some(expected) = &self.sha256 else { return Ok(()) };
        let seen: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if seen == *expected {
            return Ok(());
        }
        Err(Miss::Failed(Failure::Body(format!("{length} bytes with digest sha256:{seen}"))))
    }
}

impl Kind for Flux {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move { self.client.ask(&self.artifact).await })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Stands for a file: only its first two bytes and its digest are looked at.
    const FILE: &[u8] = &[0x1f, 0x8b, 8, 0, 1, 2, 3];
    const DIGEST: &str = "sha256:7df3f2be0e50b1ff32d3ac3ed4d2b9fdf0f0a1c9a2b5d6c4d3e2f1a0b9c8d7e6";

    /// Answers everyone the same and closes.
    async fn server(status: &'static str, body: &'static [u8], missing: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/gitrepository/apps/web/1.tar.gz", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len() + missing);
                stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
            }
        });
        url
    }

    fn digest_of(body: &[u8]) -> String {
        format!("sha256:{}", Sha256::digest(body).iter().map(|byte| format!("{byte:02X}")).collect::<String>())
    }

    #[rstest]
    #[case::whole("200 OK", FILE, 0, Some(digest_of(FILE)), Ok(()))]
    #[case::nothing_to_compare_with("200 OK", FILE, 0, None, Ok(()))]
    #[case::collected("404 Not Found", b"", 0, None, Err(Failure::Status(404)))]
    #[case::other_content("200 OK", FILE, 0, Some(DIGEST.into()), Err(Failure::Body(format!("7 bytes with digest {}", digest_of(FILE).to_lowercase()))))]
    #[case::a_page("200 OK", b"<html>", 0, None, Err(Failure::Body("6 bytes that are no gzip file".into())))]
    #[case::empty("200 OK", b"", 0, None, Err(Failure::Body("0 bytes that are no gzip file".into())))]
    #[case::cut_off("200 OK", FILE, 1, None, Err(Failure::Reset))]
    #[tokio::test]
    async fn downloads(
        #[case] status: &'static str,
        #[case] body: &'static [u8],
        #[case] missing: usize,
        #[case] digest: Option<String>,
        #[case] expected: Result<(), Failure>,
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let spec = FluxSpec { url: server(status, body, missing).await, digest };
        let flux = Arc::new(Flux::new("p", &spec, connection, Duration::from_secs(1)).unwrap());
        assert_eq!(flux.ask().await, expected.map_err(Miss::Failed));
    }

    #[rstest]
    #[case::other_hash("sha512:00")]
    #[case::too_short("sha256:00")]
    #[case::no_hash("latest")]
    fn refuses_digests(#[case] digest: &str) {
        let spec = FluxSpec { url: "http://source-controller/".into(), digest: Some(digest.into()) };
        let error = Flux::new("p", &spec, Connection::New, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), format!("probe p: cannot check digest {digest:?}"));
    }
}

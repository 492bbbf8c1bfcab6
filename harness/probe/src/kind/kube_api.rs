//! Requests to the Kubernetes API server, as any client makes them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::http::{Http, HttpSpec};
use super::tls::TlsSpec;
use crate::spec::{Connection, SpecError};

/// A request to the Kubernetes API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubeApiSpec {
    /// `https://host[:port]`, as in a kubeconfig.
    pub server: String,
    /// Whom to trust, and as whom to ask.
    pub tls: TlsSpec,
    /// Lists one namespace, which takes authorisation and etcd. Otherwise only asks whether the server is ready.
    #[serde(default)]
    pub list: bool,
}

/// Makes a [`KubeApiSpec`] ready; `probe` is for the error message.
///
/// # Errors
/// As [`Http::new`].
pub(crate) fn new(
    probe: &str,
    spec: &KubeApiSpec,
    connection: Connection,
    interval: Duration,
) -> Result<Http, SpecError> {
    let server = spec.server.trim_end_matches('/');
    let (path, body) = if spec.list { ("/api/v1/namespaces?limit=1", "NamespaceList") } else { ("/readyz", "ok") };
    let http = HttpSpec {
        tls: Some(spec.tls.clone()),
        body_contains: Some(body.into()),
        ..HttpSpec::new(format!("{server}{path}"))
    };
    Http::new(probe, &http, connection, interval)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferry_record::event::Failure;
    use rstest::rstest;

    use super::*;
    use crate::kind::testing::{Authority, Reply, Server};
    use crate::kind::tls::Auth;
    use crate::kind::{Kind, Miss};

    const READY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const NAMESPACES: &str = "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{\"kind\":\"NamespaceList\"}";
    const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";

    #[rstest]
    #[case::ready(false, READY, Ok(()))]
    #[case::list(true, NAMESPACES, Ok(()))]
    #[case::forbidden(true, FORBIDDEN, Err(Failure::Status(403)))]
    #[case::something_else_listens(true, READY, Err(Failure::Body("no \"NamespaceList\" in 2 bytes".into())))]
    #[tokio::test]
    async fn asks(
        #[case] list: bool,
        #[case] reply: &'static str,
        #[case] expected: Result<(), Failure>,
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let authority = Authority::new();
        let acceptor = authority.acceptor("127.0.0.1", &[b"h2", b"http/1.1"]);
        let server = Server::start_tls(vec![Reply::Says(reply)].leak(), acceptor).await;
        let (certificate, key) = authority.sign("kubernetes-admin");
        let spec = KubeApiSpec {
            server: format!("https://{}/", server.address),
            tls: TlsSpec { ca: authority.pem(), auth: Auth::Certificate { certificate, key } },
            list,
        };
        let kind = Arc::new(new("p", &spec, connection, Duration::from_secs(1)).unwrap());
        assert_eq!(kind.ask().await, expected.map_err(Miss::Failed));
    }

    #[tokio::test]
    async fn without_its_token_it_is_this_machine_that_cannot_ask() {
        let authority = Authority::new();
        let server = Server::start_tls(&[], authority.acceptor("127.0.0.1", &[])).await;
        let auth = Auth::Token { file: "/nowhere/token".into() };
        let spec = KubeApiSpec {
            server: format!("https://{}", server.address),
            tls: TlsSpec { ca: authority.pem(), auth },
            list: false,
        };
        let kind = Arc::new(new("p", &spec, Connection::New, Duration::from_secs(1)).unwrap());
        assert_eq!(kind.target(), format!("GET https://{}/readyz", server.address));
        let miss = kind.ask().await.unwrap_err();
        assert!(matches!(&miss, Miss::Local(why) if why.contains("/nowhere/token")), "{miss:?}");
    }
}

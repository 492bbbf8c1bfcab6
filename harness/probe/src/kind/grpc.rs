//! Health checks by gRPC (`grpc.health.v1.Health/Check`), as any gRPC client makes a call.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use ferry_record::event::Failure;
use futures::future::{BoxFuture, Either, select};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::client::never_sent;
use super::dial::{Dialer, Stream};
use super::tcp::address;
use super::tls::{self, Auth, TlsSpec};
use super::{Kind, Miss, blame};
use crate::spec::{Connection, SpecError};

/// A health check, which succeeds when the answer is `SERVING`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcSpec {
    /// `host:port`.
    pub address: String,
    /// Whose health, by the name that the server gives it; the server's own when empty.
    #[serde(default)]
    pub service: String,
    /// Whom to trust, and as whom to ask. In the clear without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// Servers that a question may be sent away by, one after another.
const TRIES: usize = 3;

type Sender = http2::SendRequest<Body>;
type Driver = http2::Connection<TokioIo<Stream>, Body, TokioExecutor>;

/// A health check, ready to be made.
pub(crate) struct Grpc {
    target: String,
    dialer: Dialer,
    origin: Uri,
    service: String,
    connection: Connection,
    /// One connection carries any number of calls at the same time.
    kept: Mutex<Option<Sender>>,
}

impl Grpc {
    /// Makes a [`GrpcSpec`] ready; `probe` is for the error message.
    ///
    /// # Errors
    /// An address that is none, TLS that cannot be spoken.
    pub fn new(probe: &str, spec: &GrpcSpec, connection: Connection) -> Result<Self, SpecError> {
        let wrong = |reason| SpecError::Address { probe: probe.into(), address: spec.address.clone(), reason };
        let scheme = if spec.tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", spec.address).parse().map_err(|error| wrong(format!("{error}")))?;
        let tls = spec.tls.as_ref().map(|tls| match tls.auth {
            Auth::Token { .. } => Err("a token is not sent with gRPC calls".into()),
            _ => tls::config(tls, b"h2"),
        });
        let tls = tls.transpose().map_err(|reason| SpecError::Tls { probe: probe.into(), reason })?;
        let whose = if spec.service.is_empty() { "" } else { " of " };
        Ok(Self {
            target: format!("gRPC health{whose}{} at {}", spec.service, spec.address),
            dialer: Dialer::new(address(probe, &spec.address)?, tls).map_err(wrong)?,
            origin,
            service: spec.service.clone(),
            connection,
            kept: Mutex::default(),
        })
    }

    /// Asks until the server has had to do with the question, as every gRPC client does without telling its caller: a server
    /// that begins to drain sends away also those who have just come.
    async fn ask_until_processed(&self) -> Result<(), Miss> {
        let mut tries = 1;
        loop {
            let answer = match self.connection {
                Connection::New => self.ask_new().await,
                Connection::Reused => self.ask_kept().await,
            };
            match answer {
                Err(Missed::Unprocessed(_)) if tries < TRIES => tries += 1,
                answer => return answer.map_err(Missed::counted),
            }
        }
    }

    async fn ask_new(&self) -> Result<(), Missed> {
        let (sender, driver) = self.open().await.map_err(Missed::Counted)?;
        let answer = Box::pin(self.check(sender));
        // The connection lives no longer than the question, so one task does for both.
        match select(driver, answer).await {
            Either::Left((_ended, answer)) => answer.await,
            Either::Right((answer, _driver)) => answer,
        }
    }

    async fn ask_kept(&self) -> Result<(), Missed> {
        let mut kept = self.kept().clone();
        // One that was closed while idle, and noticed in time, is replaced: nothing was asked, so nothing is lost.
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let sender = match kept {
            Some(sender) => sender,
            None => {
                let (sender, driver) = self.open().await.map_err(Missed::Counted)?;
                // Errors of the connection reach whoever waits for its answer; an idle one that breaks is replaced.
                tokio::spawn(async { driver.await.ok() });
                self.kept().insert(sender).clone()
            }
        };
        let answer = self.check(sender).await;
        if matches!(answer, Err(Missed::Unprocessed(_))) {
            *self.kept() = None;
        }
        answer
    }

    async fn open(&self) -> Result<(Sender, Driver), Miss> {
        let stream = self.dialer.open().await?;
        stream.set_nodelay().map_err(|error| blame::io(&error))?;
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        handshake.map_err(|error| blame::http(&error))
    }

    async fn check(&self, sender: Sender) -> Result<(), Missed> {
        let mut client = HealthClient::with_origin(Channel(sender), self.origin.clone());
        let request = HealthCheckRequest { service: self.service.clone() };
        let status = match client.check(request).await {
            Ok(answer) => answer.into_inner().status(),
            Err(status) => return Err(missed(&status)),
        };
        match status {
            ServingStatus::Serving => Ok(()),
            other => Err(Missed::Counted(Miss::Failed(Failure::Other(other.as_str_name().into())))),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Sender>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call ran into.
#[derive(Debug, Clone)]
enum Missed {
    /// The server had nothing to do with it: it was not sent, or the server said so.
    Unprocessed(Miss),
    /// Anything else.
    Counted(Miss),
}

impl Missed {
    /// For a call that is not made again.
    fn counted(self) -> Miss {
        match self {
            Self::Unprocessed(miss) | Self::Counted(miss) => miss,
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection or the server failed the call")
    }
}

impl Error for Missed {}

/// What a status means that is not OK: the connection's trouble if that is its cause, the server's word otherwise.
fn missed(status: &tonic::Status) -> Missed {
    let cause = status.source().and_then(|cause| {
        let known = blame::root::<Missed>(cause).cloned();
        known.or_else(|| blame::root::<hyper::Error>(cause).map(|error| Missed::Counted(blame::http(error))))
    });
    cause.unwrap_or_else(|| {
        let words = format!("gRPC status {:?}: {}", status.code(), status.message());
        Missed::Counted(Miss::Failed(Failure::Other(words)))
    })
}

/// One connection, as tonic wants to see it.
struct Channel(Sender);

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = Missed;
    type Future = BoxFuture<'static, Result<Self::Response, Missed>>;

    /// The connection takes any number of calls; one that broke says so to the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Missed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sent = self.0.try_send_request(request);
        Box::pin(async {
            match sent.await {
                Ok(response) if response.status() == StatusCode::OK => Ok(response),
                // A proxy's word: gRPC itself always answers with 200.
                Ok(response) => Err(Missed::Counted(Miss::Failed(Failure::Status(response.status().as_u16())))),
                Err(error) => {
                    let miss = blame::http(error.error());
                    let unprocessed = never_sent(&error) || blame::unprocessed(error.error());
                    Err(if unprocessed { Missed::Unprocessed(miss) } else { Missed::Counted(miss) })
                }
            }
        })
    }
}

impl Kind for Grpc {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move { self.ask_until_processed().await })
    }
}

impl fmt::Debug for Grpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grpc")
            .field("target", &self.target)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use hyper::service::service_fn;
    use rstest::rstest;
    use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;
    use tonic_health::pb::health_server::{Health, HealthServer};
    use tonic_health::server::health_reporter;

    use super::*;
    use crate::kind::testing::{Authority, Reply, Server};

    /// What becomes of a connection after so many calls on it.
    #[derive(Debug, Clone, Copy)]
    enum Then {
        Stays,
        /// It is closed as a server does that drains.
        Drains,
        /// Every second one is closed in that way before it has carried a call.
        SendsAway,
        /// It is cut while a call is under way.
        Breaks,
    }

    struct Healthy {
        address: SocketAddr,
        connections: Arc<AtomicUsize>,
    }

    /// A server whose own health is good, which does not serve `closed`, and knows nothing else.
    async fn healthy(then: Then, acceptor: Option<TlsAcceptor>) -> Healthy {
        let (reporter, health) = health_reporter();
        reporter.set_service_status("closed", tonic_health::ServingStatus::NotServing).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Healthy { address: listener.local_addr().unwrap(), connections: Arc::default() };
        let connections = Arc::clone(&server.connections);
        tokio::spawn(async move {
            // The statuses live as long as their reporter.
            let _reporter = reporter;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (health, acceptor) = (health.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None if matches!(then, Then::SendsAway) && number.is_multiple_of(2) => send_away(stream).await,
                        None => serve(stream, health, then).await,
                        Some(acceptor) => serve(acceptor.accept(stream).await.unwrap(), health, then).await,
                    }
                });
            }
        });
        server
    }

    /// Two calls on each connection, unless it stays.
    async fn serve<T: Health>(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        health: HealthServer<T>,
        then: Then,
    ) {
        let calls = Arc::new(AtomicUsize::new(0));
        let (done, mut is_done) = tokio::sync::mpsc::channel::<()>(1);
        let service = service_fn(|request: Request<Incoming>| {
            let (mut health, done) = (health.clone(), done.clone());
            let number = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if number >= 1 && matches!(then, Then::Drains | Then::Breaks) {
                    done.try_send(()).ok();
                }
                if number >= 1 && matches!(then, Then::Breaks) {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(health.call(request).await.unwrap())
            }
        });
        let mut connection = std::pin::pin!(
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
        );
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = is_done.recv() => {}
        }
        if matches!(then, Then::Drains) {
            connection.as_mut().graceful_shutdown();
            connection.await.ok();
        }
    }

    /// Takes no call: any stream is beyond the last that will be answered (RFC 9113, 6.8).
    async fn send_away(mut stream: TcpStream) {
        const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
        const GO_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        stream.write_all(&[SETTINGS, GO_AWAY].concat()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    fn grpc(address: SocketAddr, service: &str, tls: Option<TlsSpec>, connection: Connection) -> Arc<Grpc> {
        let spec = GrpcSpec { address: address.to_string(), service: service.into(), tls };
        Arc::new(Grpc::new("p", &spec, connection).unwrap())
    }

    #[rstest]
    #[case::serving("", Ok(()))]
    #[case::not_serving("closed", Err("NOT_SERVING"))]
    #[case::unknown("other", Err("gRPC status NotFound: service not registered"))]
    #[tokio::test]
    async fn answers(
        #[case] service: &str,
        #[case] expected: Result<(), &str>,
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let server = healthy(Then::Stays, None).await;
        let grpc = grpc(server.address, service, None, connection);
        for _ in 0..3 {
            let expected = expected.map_err(|words| Miss::Failed(Failure::Other(words.into())));
            assert_eq!(Arc::clone(&grpc).ask().await, expected);
        }
        let connections = if connection == Connection::New { 3 } else { 1 };
        assert_eq!(server.connections.load(Ordering::SeqCst), connections);
    }

    #[tokio::test]
    async fn a_server_that_drains_loses_no_call() {
        let server = healthy(Then::Drains, None).await;
        let grpc = grpc(server.address, "", None, Connection::Reused);
        for _ in 0..10 {
            assert_eq!(Arc::clone(&grpc).ask().await, Ok(()));
        }
        assert!(server.connections.load(Ordering::SeqCst) > 1);
    }

    #[rstest]
    #[case::new(Connection::New, 6)]
    #[case::reused(Connection::Reused, 2)]
    #[tokio::test]
    async fn a_call_that_is_sent_away_is_made_again(#[case] connection: Connection, #[case] connections: usize) {
        let server = healthy(Then::SendsAway, None).await;
        let grpc = grpc(server.address, "", None, connection);
        for _ in 0..3 {
            assert_eq!(Arc::clone(&grpc).ask().await, Ok(()));
        }
        assert_eq!(server.connections.load(Ordering::SeqCst), connections);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_under_a_call_loses_it() {
        let server = healthy(Then::Breaks, None).await;
        let grpc = grpc(server.address, "", None, Connection::Reused);
        assert_eq!(Arc::clone(&grpc).ask().await, Ok(()));
        assert_eq!(Arc::clone(&grpc).ask().await, Err(Miss::Failed(Failure::Reset)));
        assert_eq!(Arc::clone(&grpc).ask().await, Ok(()));
        assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    }

    #[rstest]
    #[case::trusted(true, Ok(()))]
    #[case::signed_by_someone_else(false, Err(Miss::Failed(Failure::Tls)))]
    #[tokio::test]
    async fn by_tls(#[case] trusted: bool, #[case] expected: Result<(), Miss>) {
        let authority = Authority::new();
        let server = healthy(Then::Stays, Some(authority.acceptor("127.0.0.1", &[b"h2"]))).await;
        let (certificate, key) = authority.sign("ferry");
        let ca = if trusted { authority.pem() } else { Authority::new().pem() };
        let tls = TlsSpec { ca, auth: Auth::Certificate { certificate, key } };
        assert_eq!(grpc(server.address, "", Some(tls), Connection::New).ask().await, expected);
    }

    #[rstest]
    #[case::closes(&[Reply::Closes])]
    #[case::resets(&[Reply::Resets])]
    #[tokio::test]
    async fn cut_off(
        #[case] script: &'static [Reply],
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let server = Server::start(script).await;
        let answer = grpc(server.address, "", None, connection).ask().await;
        assert_eq!(answer, Err(Miss::Failed(Failure::Reset)));
    }

    #[tokio::test]
    async fn no_grpc_at_all() {
        let server = Server::start(&[Reply::Says("HTTP/1.1 400 Bad Request\r\n\r\n")]).await;
        let asking = grpc(server.address, "", None, Connection::New).ask();
        let answer = tokio::time::timeout(Duration::from_secs(5), asking).await.unwrap();
        assert!(matches!(answer, Err(Miss::Failed(Failure::Other(_) | Failure::Reset))), "{answer:?}");
    }

    #[tokio::test]
    async fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let answer = grpc(address, "", None, Connection::New).ask().await;
        assert_eq!(answer, Err(Miss::Failed(Failure::Refused)));
    }
}

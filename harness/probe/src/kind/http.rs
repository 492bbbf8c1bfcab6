//! HTTP/1.1 GET requests.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferry_record::event::Failure;
use futures::future::{BoxFuture, Either, select};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};

use super::{Kind, Miss, blame};
use crate::spec::{Connection, HttpSpec, SpecError};

/// How much of a body is searched for the text that it must contain.
const BODY_LIMIT: usize = 1 << 20;

/// A probe keeps as many idle connections as its rate needs while answers take up to this long: one, up to 50 samples/s.
const STEADY: Duration = Duration::from_millis(20);

type Sender = SendRequest<Empty<Bytes>>;
type Driver = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;

/// An HTTP question, ready to be asked.
pub(crate) struct Http {
    target: String,
    address: Address,
    path: Uri,
    host: HeaderValue,
    status: StatusCode,
    body_contains: Option<String>,
    connection: Connection,
    /// Connections that wait for the next question, the last used on top.
    idle: Mutex<Vec<Sender>>,
    idle_limit: usize,
}

/// Where to connect.
#[derive(Debug)]
enum Address {
    Known(SocketAddr),
    Named(String, u16),
}

impl Http {
    /// Makes an [`HttpSpec`] ready; `probe` is for the error message.
    ///
    /// # Errors
    /// A URL that cannot be asked, a status that does not exist, a host that cannot be sent.
    pub fn new(probe: &str, spec: &HttpSpec, connection: Connection, interval: Duration) -> Result<Self, SpecError> {
        let wrong = |reason: String| SpecError::Url { probe: probe.into(), url: spec.url.clone(), reason };
        let uri: Uri = spec.url.parse().map_err(|error: hyper::http::uri::InvalidUri| wrong(error.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(other) => return Err(wrong(format!("the scheme is {other}, and only http is spoken"))),
            None => return Err(wrong("there is no scheme".into())),
        }
        let name = uri.host().filter(|name| !name.is_empty()).ok_or_else(|| wrong("there is no host".into()))?;
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(80);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let host = spec.host.clone().unwrap_or_else(|| match uri.port() {
            Some(port) => format!("{}:{port}", uri.host().unwrap_or(name)),
            None => uri.host().unwrap_or(name).into(),
        });
        Ok(Self {
            target: format!("GET {}", spec.url),
            address: match name.parse::<IpAddr>() {
                Ok(ip) => Address::Known(SocketAddr::new(ip, port)),
                Err(_) => Address::Named(name.into(), port),
            },
            path: path.parse().map_err(|error: hyper::http::uri::InvalidUri| wrong(error.to_string()))?,
            host: HeaderValue::from_str(&host)
                .map_err(|_| SpecError::Host { probe: probe.into(), host: host.clone() })?,
            status: StatusCode::from_u16(spec.status)
                .map_err(|_| SpecError::Status { probe: probe.into(), status: spec.status })?,
            body_contains: spec.body_contains.clone(),
            connection,
            idle: Mutex::default(),
            idle_limit: 1 + usize::try_from(STEADY.as_nanos() / interval.as_nanos().max(1)).unwrap_or(0),
        })
    }

    async fn ask_new(&self) -> Result<(), Miss> {
        let (mut sender, driver) = self.open().await?;
        let answer = Box::pin(async {
            match sender.try_send_request(self.request()).await {
                Ok(response) => self.judge(response).await,
                Err(error) => Err(blame::http(error.error())),
            }
        });
        // The connection lives no longer than the question, so one task does for both.
        match select(driver, answer).await {
            Either::Left((_ended, answer)) => answer.await,
            Either::Right((verdict, _driver)) => verdict,
        }
    }

    async fn ask_reused(&self) -> Result<(), Miss> {
        while let Some(mut sender) = self.take_idle() {
            // Closed while idle, and noticed in time: nothing was asked, so nothing is lost.
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(self.request()).await {
                Ok(response) => return self.judge_and_keep(sender, response).await,
                Err(error) if never_sent(&error) => {}
                // Perhaps on its way, perhaps answered by nobody: a client that does not ask twice has lost it.
                Err(error) => return Err(blame::http(error.error())),
            }
        }
        let (mut sender, driver) = self.open().await?;
        // Errors of the connection reach whoever waits for its answer; an idle one that breaks is replaced.
        tokio::spawn(async { driver.await.ok() });
        match sender.try_send_request(self.request()).await {
            Ok(response) => self.judge_and_keep(sender, response).await,
            Err(error) => Err(blame::http(error.error())),
        }
    }

    async fn open(&self) -> Result<(Sender, Driver), Miss> {
        let stream = match &self.address {
            Address::Known(address) => TcpStream::connect(address).await,
            Address::Named(name, port) => {
                let found = lookup_host((name.as_str(), *port)).await.map_err(|_| Miss::Failed(Failure::Dns))?;
                TcpStream::connect(&*found.collect::<Vec<_>>()).await
            }
        };
        let stream = stream.map_err(|error| blame::io(&error))?;
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| blame::http(&error))
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("ferry-probe/", env!("CARGO_PKG_VERSION")));
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(USER_AGENT, AGENT);
        if self.connection == Connection::New {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        request
    }

    /// Reads the answer to its end, which also makes the connection fit for the next question.
    async fn judge(&self, response: Response<Incoming>) -> Result<(), Miss> {
        let status = response.status();
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
        match &self.body_contains {
            Some(needle) if !String::from_utf8_lossy(&text).contains(needle.as_str()) => {
                Err(Miss::Failed(Failure::Body(format!("no {needle:?} in {} bytes", text.len()))))
            }
            _ => Ok(()),
        }
    }

    async fn judge_and_keep(&self, sender: Sender, response: Response<Incoming>) -> Result<(), Miss> {
        let verdict = self.judge(response).await;
        let mut idle = self.idle();
        if !sender.is_closed() && idle.len() < self.idle_limit {
            idle.push(sender);
        }
        verdict
    }

    fn take_idle(&self) -> Option<Sender> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the request came back untouched, which hyper says of those that it had not begun to write.
fn never_sent<T>(error: &TrySendError<T>) -> bool {
    error.message().is_some()
}

impl Kind for Http {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move {
            match self.connection {
                Connection::New => self.ask_new().await,
                Connection::Reused => self.ask_reused().await,
            }
        })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("target", &self.target)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

    /// What a server does with the n-th request on a connection.
    #[derive(Debug, Clone, Copy)]
    enum Reply {
        Says(&'static str),
        Closes,
        Resets,
        /// Answers, then closes the connection without having announced it.
        SaysAndCloses(&'static str),
    }

    struct Server {
        address: SocketAddr,
        connections: Arc<AtomicUsize>,
        requests: Arc<AtomicUsize>,
    }

    impl Server {
        /// Serves until the test ends; `script[n]` is for the n-th request overall, the last one for all further.
        async fn start(script: &'static [Reply]) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server =
                Self { address: listener.local_addr().unwrap(), connections: Arc::default(), requests: Arc::default() };
            let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, script, Arc::clone(&requests)));
                }
            });
            server
        }

        fn seen(&self) -> (usize, usize) {
            (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
        }
    }

    async fn serve(mut stream: TcpStream, script: &[Reply], requests: Arc<AtomicUsize>) {
        let mut buffer = [0; 1024];
        // A request of ours fits into one segment.
        while stream.read(&mut buffer).await.unwrap_or(0) > 0 {
            let number = requests.fetch_add(1, Ordering::SeqCst);
            match script.get(number).or(script.last()).copied() {
                Some(Reply::Says(text)) => stream.write_all(text.as_bytes()).await.unwrap(),
                Some(Reply::SaysAndCloses(text)) => return stream.write_all(text.as_bytes()).await.unwrap(),
                Some(Reply::Resets) => return stream.set_zero_linger().unwrap(),
                Some(Reply::Closes) | None => return,
            }
        }
    }

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

    #[rstest]
    #[case::new(Connection::New, 3)]
    #[case::reused(Connection::Reused, 1)]
    #[tokio::test]
    async fn connects_as_told(#[case] connection: Connection, #[case] connections: usize) {
        let server = Server::start(&[Reply::Says(OK)]).await;
        let http = http(HttpSpec::new(format!("http://{}/", server.address)), connection);
        for _ in 0..3 {
            assert_eq!(Arc::clone(&http).ask().await, Ok(()));
        }
        assert_eq!(server.seen(), (connections, 3));
    }

    #[tokio::test]
    async fn a_connection_closed_while_idle_loses_nothing() {
        let server = Server::start(&[Reply::SaysAndCloses(OK), Reply::Says(OK)]).await;
        let http = http(HttpSpec::new(format!("http://{}/", server.address)), Connection::Reused);
        assert_eq!(Arc::clone(&http).ask().await, Ok(()));
        while http.idle().iter().any(|sender| !sender.is_closed()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::clone(&http).ask().await, Ok(()));
        assert_eq!(server.seen(), (2, 2));
    }

    #[rstest]
    #[case::closed(&[Reply::Says(OK), Reply::Closes, Reply::Says(OK)])]
    #[case::reset(&[Reply::Says(OK), Reply::Resets, Reply::Says(OK)])]
    #[tokio::test]
    async fn a_kept_connection_that_breaks_under_a_question_loses_it(#[case] script: &'static [Reply]) {
        let server = Server::start(script).await;
        let http = http(HttpSpec::new(format!("http://{}/", server.address)), Connection::Reused);
        assert_eq!(Arc::clone(&http).ask().await, Ok(()));
        assert_eq!(Arc::clone(&http).ask().await, Err(Miss::Failed(Failure::Reset)));
        assert_eq!(server.seen(), (1, 2), "asked once only");
        assert_eq!(Arc::clone(&http).ask().await, Ok(()));
        assert_eq!(server.seen(), (2, 3));
    }

    #[tokio::test]
    async fn questions_at_the_same_time_do_not_wait_for_each_other() {
        let server = Server::start(&[Reply::Says(OK)]).await;
        let http = http(HttpSpec::new(format!("http://{}/", server.address)), Connection::Reused);
        let (first, second) = tokio::join!(Arc::clone(&http).ask(), Arc::clone(&http).ask());
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(server.seen(), (2, 2));
        assert_eq!(http.idle().len(), 1, "as many are kept as 20 samples/s need");
    }

    #[rstest]
    #[case::no_scheme("web.apps.svc/", "invalid format")]
    #[case::host_only("web", "there is no scheme")]
    #[case::https("https://web/", "the scheme is https, and only http is spoken")]
    #[case::no_host("http://:80/", "there is no host")]
    fn refuses_urls(#[case] url: &str, #[case] reason: &str) {
        let error = Http::new("p", &HttpSpec::new(url), Connection::New, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), format!("probe p: cannot ask {url:?}: {reason}"));
    }

    #[rstest]
    #[case::plain("http://web.apps.svc/", "web.apps.svc", "/")]
    #[case::no_path("http://127.0.0.1:8080", "127.0.0.1:8080", "/")]
    #[case::query("http://[::1]:80/a?b=c#d", "[::1]:80", "/a?b=c")]
    fn asks_for(#[case] url: &str, #[case] host: &str, #[case] path: &str) {
        let request = http(HttpSpec::new(url), Connection::New).request();
        assert_eq!((request.headers()[HOST].to_str().unwrap(), request.uri().to_string()), (host, path.into()));
    }
}

//! GET requests by HTTP/1.1, each on a connection that is chosen on purpose.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;

use super::dial::{Address, Dialer, Stream};
use super::tls::{self, Auth, TlsSpec, Token};
use super::{Miss, blame};
use crate::spec::{Connection, SpecError};

/// A probe keeps as many idle connections as its rate needs while answers take up to this long: one, up to 50 samples/s.
const STEADY: Duration = Duration::from_millis(20);

pub(super) type Sender = SendRequest<Empty<Bytes>>;
pub(super) type Driver = http1::Connection<TokioIo<Stream>, Empty<Bytes>>;

/// What is asked for, before anything is known of the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// The probe, for error messages.
    pub probe: &'a str,
    pub url: &'a str,
    /// `Host` header, where it is to differ from the URL's.
    pub host: Option<&'a str>,
    pub tls: Option<&'a TlsSpec>,
    pub connection: Connection,
    pub interval: Duration,
}

/// What makes an answer a good one.
pub(super) trait Judge: Sync {
    /// Reads the answer to its end, which also makes the connection fit for the next question.
    fn judge(&self, response: Response<Incoming>) -> impl Future<Output = Result<(), Miss>> + Send;
}

/// One question, ready to be asked again and again.
#[derive(Debug)]
pub(super) struct Client {
    dialer: Dialer,
    path: Uri,
    host: HeaderValue,
    token: Option<Token>,
    connection: Connection,
    /// Connections that wait for the next question, the last used on top.
    idle: Mutex<Vec<Sender>>,
    idle_limit: usize,
}

impl Client {
    /// # Errors
    /// A URL that cannot be asked, a host that cannot be sent, TLS that cannot be spoken.
    pub fn new(question: Question<'_>) -> Result<Self, SpecError> {
        let Question { probe, url, host, tls, connection, interval } = question;
        let wrong = |reason: String| SpecError::Url { probe: probe.into(), url: url.into(), reason };
        let wrong_uri = |error: hyper::http::uri::InvalidUri| wrong(error.to_string());
        let uri: Uri = url.parse().map_err(wrong_uri)?;
        let default_port = match (uri.scheme_str(), tls) {
            (Some("http"), None) => 80,
            (Some("https"), Some(_)) => 443,
            (Some("http"), Some(_)) => return Err(wrong("`tls` is for https".into())),
            (Some("https"), None) => return Err(wrong("https needs `tls` with the CA to trust".into())),
            (Some(other), _) => return Err(wrong(format!("the scheme is {other}, not http or https"))),
            (None, _) => return Err(wrong("there is no scheme".into())),
        };
        let name = uri.host().filter(|name| !name.is_empty()).ok_or_else(|| wrong("there is no host".into()))?;
        let address = Address::new(name, uri.port_u16().unwrap_or(default_port));
        let host = host.map_or_else(
            || match uri.port() {
                Some(port) => format!("{name}:{port}"),
                None => name.into(),
            },
            String::from,
        );
        let token = match tls.map(|tls| &tls.auth) {
            Some(Auth::Token { file }) => Some(Token::new(file.clone())),
            _ => None,
        };
        let tls = tls.map(|tls| tls::config(tls, b"http/1.1")).transpose();
        let tls = tls.map_err(|reason| SpecError::Tls { probe: probe.into(), reason })?;
        Ok(Self {
            dialer: Dialer::new(address, tls).map_err(wrong)?,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(wrong_uri)?,
            host: HeaderValue::from_str(&host).map_err(|_| SpecError::Host { probe: probe.into(), host })?,
            token,
            connection,
            idle: Mutex::default(),
            idle_limit: 1 + usize::try_from(STEADY.as_nanos() / interval.as_nanos().max(1)).unwrap_or(0),
        })
    }

    /// Asks once.
    pub async fn ask(&self, judge: &impl Judge) -> Result<(), Miss> {
        match self.connection {
            Connection::New => self.ask_new(judge).await,
            Connection::Reused => self.ask_reused(judge).await,
        }
    }

    async fn ask_new(&self, judge: &impl Judge) -> Result<(), Miss> {
        let (mut sender, driver) = self.open().await?;
        let request = self.request()?;
        let answer = Box::pin(async {
            match sender.try_send_request(request).await {
                Ok(response) => judge.judge(response).await,
                Err(error) => Err(blame::http(error.error())),
            }
        });
        // The connection lives no longer than the question, so one task does for both.
        match select(driver, answer).await {
            Either::Left((_ended, answer)) => answer.await,
            Either::Right((verdict, _driver)) => verdict,
        }
    }

    async fn ask_reused(&self, judge: &impl Judge) -> Result<(), Miss> {
        while let Some(mut sender) = self.take_idle() {
            // Closed while idle, and noticed in time: nothing was asked, so nothing is lost.
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(self.request()?).await {
                Ok(response) => return self.judge_and_keep(sender, response, judge).await,
                Err(error) if never_sent(&error) => {}
                // Perhaps on its way, perhaps answered by nobody: a client that does not ask twice has lost it.
                Err(error) => return Err(blame::http(error.error())),
            }
        }
        let (mut sender, driver) = self.open().await?;
        // Errors of the connection reach whoever waits for its answer; an idle one that breaks is replaced.
        tokio::spawn(async { driver.await.ok() });
        match sender.try_send_request(self.request()?).await {
            Ok(response) => self.judge_and_keep(sender, response, judge).await,
            Err(error) => Err(blame::http(error.error())),
        }
    }

    /// Opens a connection of its own.
    pub async fn open(&self) -> Result<(Sender, Driver), Miss> {
        let stream = self.dialer.open().await?;
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| blame::http(&error))
    }

    /// The request.
    ///
    /// # Errors
    /// When the token for it cannot be read.
    pub fn request(&self) -> Result<Request<Empty<Bytes>>, Miss> {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("ferry-probe/", env!("CARGO_PKG_VERSION")));
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(USER_AGENT, AGENT);
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.header()?);
        }
        if self.connection == Connection::New {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(request)
    }

    async fn judge_and_keep(
        &self,
        sender: Sender,
        response: Response<Incoming>,
        judge: &impl Judge,
    ) -> Result<(), Miss> {
        let verdict = judge.judge(response).await;
        let mut idle = self.idle();
        if !sender.is_closed() && idle.len() < self.idle_limit {
            idle.push(sender);
        }
        verdict
    }

    fn take_idle(&self) -> Option<Sender> {
        self.idle().pop()
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the request came back untouched, which hyper says of those that it had not begun to write.
pub(super) fn never_sent<T>(error: &TrySendError<T>) -> bool {
    error.message().is_some()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use rstest::rstest;

    use super::*;
    use crate::kind::testing::{OK, Reply, Server};

    /// Every complete answer.
    struct Complete;

    impl Judge for Complete {
        async fn judge(&self, response: Response<Incoming>) -> Result<(), Miss> {
            response.into_body().collect().await.map(drop).map_err(|error| blame::http(&error))
        }
    }

    fn question(url: &str, connection: Connection) -> Question<'_> {
        Question { probe: "p", url, host: None, tls: None, connection, interval: Duration::from_millis(50) }
    }

    fn client(server: &Server, connection: Connection) -> Client {
        Client::new(question(&format!("http://{}/", server.address), connection)).unwrap()
    }

    const RESET: Result<(), Miss> = Err(Miss::Failed(ferry_record::event::Failure::Reset));

    #[rstest]
    #[case::new(Connection::New, 3)]
    #[case::reused(Connection::Reused, 1)]
    #[tokio::test]
    async fn connects_as_told(#[case] connection: Connection, #[case] connections: usize) {
        let server = Server::start(&[Reply::Says(OK)]).await;
        let client = client(&server, connection);
        for _ in 0..3 {
            assert_eq!(client.ask(&Complete).await, Ok(()));
        }
        assert_eq!(server.seen(), (connections, 3));
    }

    #[tokio::test]
    async fn a_connection_closed_while_idle_loses_nothing() {
        let server = Server::start(&[Reply::SaysAndCloses(OK), Reply::Says(OK)]).await;
        let client = client(&server, Connection::Reused);
        assert_eq!(client.ask(&Complete).await, Ok(()));
        while client.idle().iter().any(|sender| !sender.is_closed()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.ask(&Complete).await, Ok(()));
        assert_eq!(server.seen(), (2, 2));
    }

    #[rstest]
    #[case::closed(&[Reply::Says(OK), Reply::Closes, Reply::Says(OK)])]
    #[case::reset(&[Reply::Says(OK), Reply::Resets, Reply::Says(OK)])]
    #[tokio::test]
    async fn a_kept_connection_that_breaks_under_a_question_loses_it(#[case] script: &'static [Reply]) {
        let server = Server::start(script).await;
        let client = client(&server, Connection::Reused);
        assert_eq!(client.ask(&Complete).await, Ok(()));
        assert_eq!(client.ask(&Complete).await, RESET);
        assert_eq!(server.seen(), (1, 2), "asked once only");
        assert_eq!(client.ask(&Complete).await, Ok(()));
        assert_eq!(server.seen(), (2, 3));
    }

    #[tokio::test]
    async fn questions_at_the_same_time_do_not_wait_for_each_other() {
        let server = Server::start(&[Reply::Says(OK)]).await;
        let client = client(&server, Connection::Reused);
        let (first, second) = tokio::join!(client.ask(&Complete), client.ask(&Complete));
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(server.seen(), (2, 2));
        assert_eq!(client.idle().len(), 1, "as many are kept as 20 samples/s need");
    }

    #[rstest]
    #[case::no_scheme("web.apps.svc/", "invalid format")]
    #[case::host_only("web", "there is no scheme")]
    #[case::other_scheme("ftp://web/", "the scheme is ftp, not http or https")]
    #[case::https("https://web/", "https needs `tls` with the CA to trust")]
    #[case::no_host("http://:80/", "there is no host")]
    fn refuses_urls(#[case] url: &str, #[case] reason: &str) {
        let error = Client::new(question(url, Connection::New)).unwrap_err();
        assert_eq!(error.to_string(), format!("probe p: cannot ask {url:?}: {reason}"));
    }

    #[rstest]
    #[case::plain("http://web.apps.svc/", "web.apps.svc", "/")]
    #[case::no_path("http://127.0.0.1:8080", "127.0.0.1:8080", "/")]
    #[case::query("http://[::1]:80/a?b=c#d", "[::1]:80", "/a?b=c")]
    fn asks_for(#[case] url: &str, #[case] host: &str, #[case] path: &str) {
        let request = Client::new(question(url, Connection::New)).unwrap().request().unwrap();
        assert_eq!((request.headers()[HOST].to_str().unwrap(), request.uri().to_string()), (host, path.into()));
    }
}

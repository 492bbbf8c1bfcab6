//! One long-lived HTTP answer: does the next piece of it come in time?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferry_record::event::Failure;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use super::client::{Client, Driver, Question, Sender};
use super::tls::TlsSpec;
use super::{Kind, Miss, blame};
use crate::spec::{Connection, SpecError};

/// A GET request whose answer never ends. A sample succeeds when the next piece of the answer comes; its latency is the
/// time until then, so half of the time between pieces on average. A stream that ends, in whatever way, fails the samples
/// that wait for it, or the next one; the one after that opens another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSpec {
    /// `http://host[:port]/path`, or `https://…` with [`StreamSpec::tls`].
    pub url: String,
    /// Whom to trust, and as whom to ask, by https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// A stream, ready to be waited for.
pub(crate) struct Stream {
    target: String,
    client: Client,
    /// Locked while it is opened, so that samples that wait for it open one and not many.
    line: Mutex<Option<watch::Receiver<Heard>>>,
}

/// What was heard on a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Heard {
    pieces: u64,
    /// How it ended.
    end: Option<Miss>,
}

impl Stream {
    /// Makes a [`StreamSpec`] ready; `probe` is for the error message.
    ///
    /// # Errors
    /// A URL that cannot be asked, TLS that cannot be spoken.
    pub fn new(probe: &str, spec: &StreamSpec, interval: Duration) -> Result<Self, SpecError> {
        let (tls, connection) = (spec.tls.as_ref(), Connection::Reused);
        let client = Client::new(Question { probe, url: &spec.url, host: None, tls, connection, interval })?;
        Ok(Self { target: format!("stream {}", spec.url), client, line: Mutex::default() })
    }

    async fn next_piece(&self) -> Result<(), Miss> {
        let mut line = self.line.lock().await;
        let mut heard = match &*line {
            Some(heard) => heard.clone(),
            None => line.insert(self.open().await?).clone(),
        };
        drop(line);
        // What came before this sample was due tells nothing about it, but for the end.
        let before = heard.borrow_and_update().pieces;
        // Its reader is gone only after it told the end.
        let now = heard.wait_for(|heard| heard.pieces > before || heard.end.is_some()).await;
        let now = now.map(|now| now.clone()).unwrap_or_default();
        if now.pieces > before {
            return Ok(());
        }
        self.forget(&heard).await;
        Err(now.end.unwrap_or(Miss::Failed(Failure::Reset)))
    }

    /// Opens another stream.
    async fn open(&self) -> Result<watch::Receiver<Heard>, Miss> {
        let (mut sender, driver): (Sender, Driver) = self.client.open().await?;
        let request = self.client.request()?;
        // Errors of the connection reach whoever waits for its answer.
        let driver = tokio::spawn(async { driver.await.ok() });
        let response = sender.try_send_request(request).await.map_err(|error| blame::http(error.error()))?;
        if response.status() != StatusCode::OK {
            return Err(Miss::Failed(Failure::Status(response.status().as_u16())));
        }
        let (tell, heard) = watch::channel(Heard::default());
        tokio::spawn(async move {
            listen(response.into_body(), &tell).await;
            drop(sender);
            driver.abort();
        });
        Ok(heard)
    }

    /// Lets the next sample open another stream, unless another sample did already.
    async fn forget(&self, ended: &watch::Receiver<Heard>) {
        let mut line = self.line.lock().await;
        if line.as_ref().is_some_and(|line| line.same_channel(ended)) {
            *line = None;
        }
    }
}

/// Counts the pieces until the stream ends, or nobody cares any more.
async fn listen(mut body: Incoming, tell: &watch::Sender<Heard>) {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = tell.closed() => return,
        };
        match frame {
            Some(Ok(_)) => tell.send_modify(|heard| heard.pieces += 1),
            Some(Err(error)) => return tell.send_modify(|heard| heard.end = Some(blame::http(&error))),
            // A complete answer, but nobody who holds a stream asked for its end.
            None => return tell.send_modify(|heard| heard.end = Some(Miss::Failed(Failure::Reset))),
        }
    }
}

impl Kind for Stream {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move { self.next_piece().await })
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("target", &self.target).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::kind::testing::{Reply, Server};

    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const PIECE: &str = "2\r\n0\n\r\n";
    const END: &str = "0\r\n\r\n";

    async fn stream(script: &'static [Reply]) -> (Server, Arc<Stream>) {
        let server = Server::start(script).await;
        let spec = StreamSpec { url: format!("http://{}/stream", server.address), tls: None };
        let stream = Arc::new(Stream::new("p", &spec, Duration::from_millis(50)).unwrap());
        (server, stream)
    }

    #[rstest]
    #[case::reset(&[Reply::SaysAndResets(&[HEAD, PIECE, PIECE])], Failure::Reset)]
    #[case::ended(&[Reply::SaysAndResets(&[HEAD, PIECE, PIECE, END])], Failure::Reset)]
    #[case::refused_by_status(&[Reply::Says("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n")], Failure::Status(503))]
    #[case::closed_at_once(&[Reply::Closes], Failure::Reset)]
    #[tokio::test]
    async fn pieces_then_an_end_then_another_stream(#[case] script: &'static [Reply], #[case] failure: Failure) {
        let (server, stream) = stream(script).await;
        let mut told = vec![];
        while server.seen().0 < 3 {
            told.push(Arc::clone(&stream).ask().await);
        }
        let (good, bad): (Vec<_>, Vec<_>) = told.iter().partition(|answer| answer.is_ok());
        assert!(bad.iter().all(|answer| **answer == Err(Miss::Failed(failure.clone()))), "{told:?}");
        let pieces = if matches!(script, [Reply::SaysAndResets(_)]) { 2..=6 } else { 0..=0 };
        assert!(pieces.contains(&good.len()) && bad.len() >= 2, "{told:?}");
    }

    #[tokio::test]
    async fn silence_is_waited_out_on_the_same_stream() {
        let (server, stream) = stream(&[Reply::Says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")]).await;
        for _ in 0..2 {
            let answer = timeout(Duration::from_millis(50), Arc::clone(&stream).ask()).await;
            assert!(answer.is_err(), "{answer:?}");
        }
        assert_eq!(server.seen(), (1, 1));
    }

    #[tokio::test]
    async fn an_end_between_two_samples_fails_the_next() {
        let (server, stream) = stream(&[Reply::SaysAndResets(&[HEAD, PIECE]), Reply::Hangs]).await;
        assert_eq!(Arc::clone(&stream).ask().await, Ok(()));
        sleep(Duration::from_millis(100)).await;
        assert_eq!(Arc::clone(&stream).ask().await, Err(Miss::Failed(Failure::Reset)));
        assert_eq!(server.seen(), (1, 1), "only the one after that asks again");
    }

    #[tokio::test]
    async fn samples_at_the_same_time_wait_for_the_same_piece() {
        let (server, stream) = stream(&[Reply::SaysAndResets(&[HEAD, PIECE])]).await;
        let (first, second) = tokio::join!(Arc::clone(&stream).ask(), Arc::clone(&stream).ask());
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(server.seen(), (1, 1));
    }

    #[tokio::test]
    async fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = StreamSpec { url: format!("http://{}/", listener.local_addr().unwrap()), tls: None };
        drop(listener);
        let stream = Arc::new(Stream::new("p", &spec, Duration::from_secs(1)).unwrap());
        assert_eq!(stream.ask().await, Err(Miss::Failed(Failure::Refused)));
    }
}

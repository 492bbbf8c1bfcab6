//! From request to answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, Stream};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;

use crate::page::Facts;

/// Time between the lines of `/stream`.
const LINE_INTERVAL: Duration = Duration::from_millis(100);

/// The header of every answer that names the version.
pub const VERSION: HeaderName = HeaderName::from_static("ferry-version");

/// A body that is there at once, or comes line by line.
pub type Body = Either<Full<Bytes>, StreamBody<Lines>>;

/// The lines of `/stream`.
pub type Lines = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

/// Where a workload is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ready.
    Serving,
    /// No longer ready, and still serving whoever comes.
    Draining,
    /// No longer listening: what is under way is finished, streams end.
    Closing,
}

/// One running workload.
#[derive(Debug)]
pub struct App {
    facts: Facts,
    /// Each connection and stream holds a receiver, so that the server knows when the last is gone.
    pub(crate) phase: watch::Sender<Phase>,
    served: [AtomicU64; Route::ALL.len()],
    in_flight: AtomicU64,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Page,
    Env,
    Version,
    Health,
    Ready,
    Stream,
    Metrics,
    Grpc,
    Unknown,
}

impl Route {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Page, "/"),
        (Self::Env, "/env.json"),
        (Self::Version, "/version"),
        (Self::Health, "/healthz"),
        (Self::Ready, "/readyz"),
        (Self::Stream, "/stream"),
        (Self::Metrics, "/metrics"),
        (Self::Grpc, "/grpc.health.v1.Health"),
        // No request has this path; it is the label in the metrics.
        (Self::Unknown, "other"),
    ];

    fn of(path: &str) -> Self {
        Self::ALL.into_iter().find(|(_, known)| *known == path).map_or(Self::Unknown, |(route, _)| route)
    }
}

/// Counts a request from its arrival to the end of its answer.
pub(crate) struct InFlight(Arc<App>);

impl InFlight {
    fn start(app: &Arc<App>) -> Self {
        app.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(app))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl App {
    /// A workload that is ready.
    #[must_use]
    pub fn new(facts: Facts) -> Arc<Self> {
        Arc::new(Self {
            facts,
            phase: watch::Sender::new(Phase::Serving),
            served: Default::default(),
            in_flight: AtomicU64::new(0),
        })
    }

    /// Where it is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Requests whose answers are not finished.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a call by gRPC until what it returns is dropped.
    pub(crate) fn grpc_call(self: &Arc<Self>) -> InFlight {
        self.served[Route::Grpc as usize].fetch_add(1, Ordering::Relaxed);
        InFlight::start(self)
    }

    /// Answers one request.
    #[must_use]
    pub fn answer<B>(self: &Arc<Self>, request: &Request<B>) -> Response<Body> {
        let in_flight = InFlight::start(self);
        let route = Route::of(request.uri().path());
        self.served[route as usize].fetch_add(1, Ordering::Relaxed);
        let mut response = if matches!(*request.method(), Method::GET | Method::HEAD) {
            self.get(route, in_flight)
        } else {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            refused
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // A version that cannot stand in a header is still on the page.
        if let Ok(version) = HeaderValue::from_str(&self.facts.version) {
            response.headers_mut().insert(VERSION, version);
        }
        if self.phase() > Phase::Serving {
            // Clients that keep connections move to another instance now rather than when this one is gone.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn get(self: &Arc<Self>, route: Route, in_flight: InFlight) -> Response<Body> {
        match route {
            Route::Page => typed("text/html; charset=utf-8", self.facts.html()),
            Route::Env => match serde_json::to_string_pretty(&self.facts) {
                Ok(json) => typed("application/json", json + "\n"),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
            Route::Version => text(StatusCode::OK, format!("{}\n", self.facts.version)),
            Route::Health => text(StatusCode::OK, "ok\n"),
            Route::Ready if self.phase() == Phase::Serving => text(StatusCode::OK, "ready\n"),
            Route::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            Route::Stream => {
                let mut response = Response::new(Either::Right(StreamBody::new(self.lines(in_flight))));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                response
            }
            Route::Metrics => typed("text/plain; version=0.0.4", self.metrics()),
            Route::Grpc => text(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC is spoken by HTTP/2\n"),
            Route::Unknown => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    /// Numbered lines, until the server closes.
    fn lines(&self, in_flight: InFlight) -> Lines {
        let state = (0_u64, tokio::time::interval(LINE_INTERVAL), self.phase.subscribe(), in_flight);
        Box::pin(stream::unfold(state, async |(number, mut interval, mut phase, in_flight)| {
            let ended = tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase == Phase::Closing) => true,
                _ = interval.tick() => false,
            };
            let line = Frame::data(Bytes::from(format!("{number}\n")));
            (!ended).then_some((Ok(line), (number + 1, interval, phase, in_flight)))
        }))
    }

    fn metrics(&self) -> String {
        let mut text = String::from(
            "# HELP ferry_workload_requests_total Requests received.\n\
             # TYPE ferry_workload_requests_total counter\n",
        );
        for ((_, path), served) in Route::ALL.iter().zip(&self.served) {
            let served = served.load(Ordering::Relaxed);
            text.push_str(&format!("ferry_workload_requests_total{{path=\"{path}\"}} {served}\n"));
        }
        text.push_str(&format!(
            "# HELP ferry_workload_in_flight Requests whose answers are not finished.\n\
             # TYPE ferry_workload_in_flight gauge\n\
             ferry_workload_in_flight {}\n\
             # HELP ferry_workload_draining 1 from SIGTERM on.\n\
             # TYPE ferry_workload_draining gauge\n\
             ferry_workload_draining {}\n",
            self.in_flight(),
            u8::from(self.phase() > Phase::Serving),
        ));
        text
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = typed("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

fn typed(content_type: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(content.into())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use rstest::rstest;

    use super::*;

    fn app() -> Arc<App> {
        App::new(Facts {
            version: "2.0".into(),
            hostname: "web-0".into(),
            env: [("DEMO_COLOUR".into(), "blue".into())].into(),
        })
    }

    async fn ask(app: &Arc<App>, method: Method, path: &str) -> String {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let response = app.answer(&request);
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert_eq!(headers[VERSION], "2.0");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let close = if headers.contains_key(CONNECTION) { " (last)" } else { "" };
        format!("{status}{close} {}", String::from_utf8_lossy(&body))
    }

    #[rstest]
    #[case::version("/version", "200 2.0\n", "200 (last) 2.0\n")]
    #[case::health("/healthz", "200 ok\n", "200 (last) ok\n")]
    #[case::ready("/readyz", "200 ready\n", "503 (last) draining\n")]
    #[case::unknown("/favicon.ico", "404 no such page\n", "404 (last) no such page\n")]
    #[case::label("/other", "404 no such page\n", "404 (last) no such page\n")]
    #[tokio::test]
    async fn answers(#[case] path: &str, #[case] serving: &str, #[case] draining: &str) {
        let app = app();
        assert_eq!(ask(&app, Method::GET, path).await, serving);
        app.phase.send_replace(Phase::Draining);
        assert_eq!(ask(&app, Method::GET, path).await, draining);
    }

    #[tokio::test]
    async fn shows_its_variables() {
        let app = app();
        assert!(ask(&app, Method::GET, "/").await.contains("<td>blue</td>"));
        assert!(ask(&app, Method::GET, "/env.json?pretty").await.contains(r#""DEMO_COLOUR": "blue""#));
    }

    #[tokio::test]
    async fn changes_nothing_for_anyone() {
        assert_eq!(ask(&app(), Method::POST, "/").await, "405 only GET and HEAD are served\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_counts_until_the_server_closes() {
        let app = app();
        let closing = async {
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert_eq!(app.in_flight(), 1);
            app.phase.send_replace(Phase::Draining);
            tokio::time::sleep(Duration::from_millis(100)).await;
            app.phase.send_replace(Phase::Closing);
        };
        let (streamed, ()) = tokio::join!(ask(&app, Method::GET, "/stream"), closing);
        assert_eq!(streamed, "200 0\n1\n2\n3\n");
        assert_eq!(app.in_flight(), 0);
    }

    #[tokio::test]
    async fn counts() {
        let app = app();
        ask(&app, Method::GET, "/").await;
        ask(&app, Method::HEAD, "/").await;
        ask(&app, Method::GET, "/nowhere").await;
        app.phase.send_replace(Phase::Draining);
        insta::assert_snapshot!(ask(&app, Method::GET, "/metrics").await, @r#"
        200 (last) # HELP ferry_workload_requests_total Requests received.
        # TYPE ferry_workload_requests_total counter
        ferry_workload_requests_total{path="/"} 2
        ferry_workload_requests_total{path="/env.json"} 0
        ferry_workload_requests_total{path="/version"} 0
        ferry_workload_requests_total{path="/healthz"} 0
        ferry_workload_requests_total{path="/readyz"} 0
        ferry_workload_requests_total{path="/stream"} 0
        ferry_workload_requests_total{path="/metrics"} 1
        ferry_workload_requests_total{path="/grpc.health.v1.Health"} 0
        ferry_workload_requests_total{path="other"} 1
        # HELP ferry_workload_in_flight Requests whose answers are not finished.
        # TYPE ferry_workload_in_flight gauge
        ferry_workload_in_flight 1
        # HELP ferry_workload_draining 1 from SIGTERM on.
        # TYPE ferry_workload_draining gauge
        ferry_workload_draining 1
        "#);
    }
}

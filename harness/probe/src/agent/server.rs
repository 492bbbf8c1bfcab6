//! An agent's requests by HTTP/1.1.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};

use super::service::{Agent, AgentError};
use crate::sampler::SamplerError;

/// The most that a request may say: thousands of specs with their certificates.
const MAX_BODY: usize = 16 << 20;

/// Time after an accept that failed, so that a lack of descriptors does not turn into a busy loop.
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers whoever asks until `end` completes.
pub async fn serve(listener: TcpListener, agent: Arc<Agent>, end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&agent)))),
                Err(_) => tokio::time::sleep(AFTER_ACCEPT_ERROR).await,
            },
            () = &mut end => return,
        }
    }
}

async fn connection(stream: TcpStream, agent: Arc<Agent>) {
    let service = service_fn(|request| {
        let agent = Arc::clone(&agent);
        async move { Ok::<_, Infallible>(answer(&agent, request).await) }
    });
    // Errors are the client's, which asks again.
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// Why a request is not answered as it wants.
enum Refusal {
    Agent(AgentError),
    Request(StatusCode, String),
}

impl<E: Into<AgentError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Agent(error.into())
    }
}

async fn answer(agent: &Agent, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match route(agent, request).await {
        Ok(response) => response,
        Err(Refusal::Request(status, why)) => respond(status, TEXT, why + "\n"),
        Err(Refusal::Agent(error)) => respond(status(&error), TEXT, words(&error) + "\n"),
    }
}

async fn route(agent: &Agent, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match (&method, path.as_str()) {
        (&Method::GET, "/healthz") => {
            agent.healthz().await?;
            Ok(respond(StatusCode::OK, TEXT, "ok\n"))
        }
        (&Method::GET, "/clock") => json(&agent.clock()),
        (&Method::GET, "/events") => {
            let query = Query::read(request.uri().query().unwrap_or_default())?;
            let lines = agent.events(query.from, query.wait, query.spool.as_deref()).await?;
            Ok(respond(StatusCode::OK, LINES, lines))
        }
        (&Method::PUT, "/specs") => {
            agent.specs(body(request).await?).await?;
            Ok(respond(StatusCode::NO_CONTENT, TEXT, ""))
        }
        (&Method::POST, "/aim") => {
            agent.aim(body(request).await?).await?;
            Ok(respond(StatusCode::NO_CONTENT, TEXT, ""))
        }
        (&Method::POST, "/stop") => json(&agent.stop().await?),
        (_, "/healthz" | "/clock" | "/events" | "/specs" | "/aim" | "/stop") => {
            Err(Refusal::Request(StatusCode::METHOD_NOT_ALLOWED, format!("{path} is not for {method}")))
        }
        _ => Err(Refusal::Request(StatusCode::NOT_FOUND, format!("there is no {path}"))),
    }
}

/// What `GET /events` is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    from: u64,
    wait: Duration,
    spool: Option<String>,
}

impl Query {
    fn read(text: &str) -> Result<Self, Refusal> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let odd = || Refusal::Request(StatusCode::BAD_REQUEST, format!("cannot read {pair:?}"));
            let (name, value) = pair.split_once('=').ok_or_else(odd)?;
            match name {
                "from" => query.from = value.parse().map_err(|_| odd())?,
                "wait" => query.wait = Duration::from_secs(value.parse().map_err(|_| odd())?),
                "spool" => query.spool = Some(value.into()),
                _ => return Err(odd()),
            }
        }
        Ok(query)
    }
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let odd = |why: String| Refusal::Request(StatusCode::BAD_REQUEST, format!("cannot read the request: {why}"));
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await.map_err(|error| odd(error.to_string()))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| odd(error.to_string()))
}

fn json(value: &impl Serialize) -> Result<Response<Full<Bytes>>, Refusal> {
    let text = serde_json::to_vec(value)
        .map_err(|error| Refusal::Request(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(respond(StatusCode::OK, JSON, text))
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn status(error: &AgentError) -> StatusCode {
    match error {
        AgentError::Sampler(SamplerError::Spec(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        AgentError::OtherSpool(_) | AgentError::Idle => StatusCode::CONFLICT,
        AgentError::Offset { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        AgentError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// An error with its causes and what to do about it.
fn words(error: &AgentError) -> String {
    let chain = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let mut words = chain.fold(error.to_string(), |words, cause| format!("{words}: {cause}"));
    if let AgentError::Sampler(error) = error {
        words.push_str(&format!(" (hint: {})", error.hint()));
    }
    words
}

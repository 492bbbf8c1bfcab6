//! For tests: a recorder whose events can be read back, and an API server that answers as a test tells it to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ferry_probe::Clock;
use ferry_record::codec::RecordWriter;
use ferry_record::redact::Redactor;
use ferry_record::{Event, EventKind, Nanos, RunState};
use futures::channel::mpsc as body;
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::run::recorder::{self, Dispatcher, Recorder};
use crate::view::View;

/// A recorder, and what it recorded.
pub struct Tape {
    recorder: Recorder,
    dispatcher: Dispatcher,
    heard: Arc<Mutex<Vec<EventKind>>>,
}

struct Ear(Arc<Mutex<Vec<EventKind>>>);

impl View for Ear {
    fn event(&mut self, event: &Event, _: &RunState) {
        self.0.lock().unwrap().push(event.kind.clone());
    }
    fn tick(&mut self, _: Nanos, _: &RunState) {}
    fn close(&mut self, _: &RunState) {}
}

impl Tape {
    pub fn start() -> Self {
        let heard = Arc::default();
        let redactor = Redactor::default();
        let record = RecordWriter::new(std::io::sink(), redactor.clone());
        let ear = Box::new(Ear(Arc::clone(&heard)));
        let (recorder, dispatcher) =
            recorder::start(Clock::start(), redactor, record, ear, CancellationToken::new()).unwrap();
        Self { recorder, dispatcher, heard }
    }

    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Everything that was recorded.
    pub fn events(self) -> Vec<EventKind> {
        self.dispatcher.close();
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

/// Events in few words.
pub fn words(events: &[EventKind]) -> String {
    let one = |event: &EventKind| match event {
        EventKind::Object(seen) => format!("{} at {}", seen.object, seen.resource_version),
        EventKind::ObjectGone { object, late: false, .. } => format!("{object} gone"),
        EventKind::ObjectGone { object, .. } => format!("{object} gone (late)"),
        EventKind::WatchStarted { resource } => format!("{resource} started"),
        EventKind::WatchGap { reason, .. } => format!("gap: {reason}"),
        EventKind::WatchEnded { resource, reason } => format!("{resource} ended: {reason}"),
        EventKind::ErrorLogged(line) => format!("{} logged: {}", line.controller, line.message),
        EventKind::LogRead { pod, lines, errors, broken, .. } => {
            let broken = broken.as_deref().unwrap_or("whole");
            format!("{pod}: {lines} lines, {errors} errors, {broken}")
        }
        other => format!("{other:?}"),
    };
    events.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The server's end of a connection to a fake API server.
pub struct Server(mpsc::UnboundedReceiver<Asked>);

/// A request that waits for its answer.
pub struct Asked {
    /// `/api/v1/pods`.
    pub path: String,
    /// Its parameters.
    pub query: BTreeMap<String, String>,
    answer: oneshot::Sender<Answer>,
}

type Answer = Response<StreamBody<body::UnboundedReceiver<Result<Frame<Bytes>, std::io::Error>>>>;

/// An answer that goes on.
pub struct Stream(body::UnboundedSender<Result<Frame<Bytes>, std::io::Error>>);

/// A client, and the server that it talks to.
pub fn api_server() -> (Client, Server) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (answer, answered) = oneshot::channel();
        let query = request.uri().query().unwrap_or_default();
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = query.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let asked = Asked { path: request.uri().path().to_owned(), query, answer };
        let _ = sender.send(asked);
        // A server that is gone never answers.
        async move {
            match answered.await {
                Ok(answer) => Ok::<_, Infallible>(answer),
                Err(_) => std::future::pending().await,
            }
        }
    });
    (Client::new(service, "default"), Server(receiver))
}

impl Server {
    /// The next request.
    pub async fn asked(&mut self) -> Asked {
        self.0.recv().await.unwrap()
    }
}

impl Asked {
    /// Answers and goes on.
    pub fn stream(self) -> Stream {
        self.respond(200)
    }

    /// Answers with a list.
    pub fn list(self, version: &str, items: Vec<Value>) {
        let list =
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items});
        self.json(200, &list);
    }

    /// Answers with JSON.
    pub fn json(self, status: u16, body: &Value) {
        self.respond(status).send(&body.to_string());
    }

    /// Answers that it will not.
    pub fn refuse(self, code: u16, reason: &str, message: &str) {
        let status = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
                            "message": message, "reason": reason, "code": code});
        self.json(code, &status);
    }

    fn respond(self, status: u16) -> Stream {
        let (sender, receiver) = body::unbounded();
        let response = Response::builder().status(status).body(StreamBody::new(receiver)).unwrap();
        assert!(self.answer.send(response).is_ok(), "nobody waits for the answer to {}", self.path);
        Stream(sender)
    }
}

impl Stream {
    pub fn send(&self, text: &str) {
        self.0.unbounded_send(Ok(Frame::data(Bytes::from(text.to_owned())))).unwrap();
    }

    /// A watch event.
    pub fn event(&self, kind: &str, object: &Value) {
        self.send(&format!("{}\n", json!({"type": kind, "object": object})));
    }

    /// Says how far the watch is.
    pub fn bookmark(&self, version: &str) {
        self.event("BOOKMARK", &json!({"apiVersion": "v1", "kind": "X", "metadata": {"resourceVersion": version}}));
    }

    /// The connection breaks.
    pub fn break_off(self) {
        let _ = self.0.unbounded_send(Err(std::io::Error::other("connection reset")));
    }
}

//! Accepting connections, and coming to a good end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::codegen::Service;

use crate::app::{App, Phase};
use crate::config::Config;
use crate::{grpc, log};

/// Time after an accept that failed, so that a lack of descriptors does not turn into a busy loop.
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(10);

/// What a connection begins with that speaks HTTP/2, and none that speaks HTTP/1.1 (RFC 9113, 3.4).
const PREFACE: [u8; 4] = *b"PRI ";

/// Serves until `terminate` completes, then drains:
///
/// 1. Readiness is gone at once; connections old and new are still served for [`Config::drain`], each answer being the last
///    on its connection.
/// 2. It stops listening. Idle connections are closed, requests under way are finished, for at most [`Config::finish`].
///
/// `terminate` gives the name of what asked for the end.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    config: &Config,
    terminate: impl Future<Output = &'static str>,
) {
    let signal = accept_until(&listener, &app, terminate).await;
    app.phase.send_replace(Phase::Draining);
    log::line(format_args!("{signal}: not ready any more, serving for {:?}", config.drain));
    accept_until(&listener, &app, sleep(config.drain)).await;

    // Clients in the queue are connected as far as they know.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        tokio::spawn(connection(stream, Arc::clone(&app), app.phase.subscribe()));
    }
    drop(listener);
    app.phase.send_replace(Phase::Closing);
    log::line(format_args!("not listening any more, {} requests under way", app.in_flight()));
    if timeout(config.finish, app.phase.closed()).await.is_err() {
        log::line(format_args!("{} requests unfinished after {:?}", app.in_flight(), config.finish));
    }
}

async fn accept_until<T>(listener: &TcpListener, app: &Arc<App>, end: impl Future<Output = T>) -> T {
    let mut end = pin!(end);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(app), app.phase.subscribe()))),
                Err(error) => {
                    log::line(format_args!("cannot accept a connection: {error}"));
                    sleep(AFTER_ACCEPT_ERROR).await;
                }
            },
            ended = &mut end => return ended,
        }
    }
}

async fn connection(stream: TcpStream, app: Arc<App>, mut phase: watch::Receiver<Phase>) {
    // Answers are small and complete: waiting for more to send only delays them. A refusal is no harm.
    stream.set_nodelay(true).ok();
    let mut head = PREFACE.map(|_| 0);
    let http2 = tokio::select! {
        peeked = stream.peek(&mut head) => peeked.is_ok() && head == PREFACE,
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => false,
    };
    if http2 { grpc(stream, app, phase).await } else { http(stream, app, phase).await }
}

async fn http(stream: TcpStream, app: Arc<App>, mut phase: watch::Receiver<Phase>) {
    let service = service_fn(|request| {
        let answer = app.answer(&request);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let mut connection = pin!(builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
    // Errors are the client's: it went away, or does not speak HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.ok();
}

async fn grpc(stream: TcpStream, app: Arc<App>, mut phase: watch::Receiver<Phase>) {
    let health = grpc::service(&app);
    let service = service_fn(|request: hyper::Request<Incoming>| health.clone().call(request));
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
    // Clients that keep connections move to another instance when this one begins to drain, as those of HTTP/1.1 do. Those
    // that still come are served until it closes.
    let came = *phase.borrow();
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|phase| *phase > came || *phase == Phase::Closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.ok();
}

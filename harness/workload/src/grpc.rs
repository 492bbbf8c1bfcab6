//! Health by gRPC (`grpc.health.v1.Health`), for those who begin their connection with HTTP/2.

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{self, Stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::app::{App, InFlight, Phase};

/// Names that health can be asked of, and until when it is good. The empty one is the server's, which kubelet asks for.
///
/// A client that counts lost calls asks for `liveness`, as `/` is what it asks for by HTTP: readiness ends while every call
/// is still answered.
const SERVICES: [(&str, Phase); 3] =
    [("", Phase::Serving), ("readiness", Phase::Serving), ("liveness", Phase::Closing)];

/// The service for one connection.
pub(crate) fn service(app: &Arc<App>) -> HealthServer<Checks> {
    HealthServer::new(Checks(Arc::clone(app)))
}

/// Health, from the phase that the workload is in.
#[derive(Debug)]
pub(crate) struct Checks(Arc<App>);

/// Until when the named health is good.
fn good_until(service: &str) -> Result<Phase, Status> {
    let known = SERVICES.iter().find(|(name, _)| *name == service);
    known.map(|(_, last)| *last).ok_or_else(|| Status::not_found(format!("there is no service {service:?}")))
}

fn status(phase: Phase, last: Phase) -> ServingStatus {
    if phase <= last { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for Checks {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let _in_flight = self.0.grpc_call();
        let last = good_until(&request.get_ref().service)?;
        Ok(Response::new(response(status(self.0.phase(), last))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let in_flight = self.0.grpc_call();
        let last = good_until(&request.get_ref().service)?;
        Ok(Response::new(Box::pin(changes(self.0.phase.subscribe(), last, in_flight))))
    }
}

/// The health now and whenever it changes, until the server closes.
fn changes(
    phase: watch::Receiver<Phase>,
    last: Phase,
    in_flight: InFlight,
) -> impl Stream<Item = Result<HealthCheckResponse, Status>> {
    stream::unfold((phase, None, in_flight), move |(mut phase, told, in_flight)| async move {
        let news = |now: &Phase| *now == Phase::Closing || Some(status(*now, last)) != told;
        let now = *phase.wait_for(news).await.ok()?;
        let status = status(now, last);
        (now != Phase::Closing).then_some((Ok(response(status)), (phase, Some(status), in_flight)))
    })
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use rstest::rstest;

    use super::*;
    use crate::page::Facts;

    fn app() -> Arc<App> {
        App::new(Facts { version: "2.0".into(), hostname: "web-0".into(), env: [].into() })
    }

    fn of(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest { service: service.into() })
    }

    #[rstest]
    #[case::server("", "SERVING NOT_SERVING NOT_SERVING")]
    #[case::readiness("readiness", "SERVING NOT_SERVING NOT_SERVING")]
    #[case::liveness("liveness", "SERVING SERVING SERVING")]
    #[case::unknown("web", "NotFound NotFound NotFound")]
    #[tokio::test]
    async fn health_by_phase(#[case] service: &str, #[case] expected: &str) {
        let app = app();
        let checks = Checks(Arc::clone(&app));
        let mut told = vec![];
        for phase in [Phase::Serving, Phase::Draining, Phase::Closing] {
            app.phase.send_replace(phase);
            told.push(match checks.check(of(service)).await {
                Ok(answer) => answer.get_ref().status().as_str_name().to_owned(),
                Err(status) => format!("{:?}", status.code()),
            });
        }
        assert_eq!(told.join(" "), expected);
        assert_eq!(app.in_flight(), 0);
    }

    #[tokio::test]
    async fn a_watch_tells_changes_and_ends_with_the_server() {
        let app = app();
        let checks = Checks(Arc::clone(&app));
        let mut readiness = checks.watch(of("")).await.unwrap().into_inner();
        let mut liveness = checks.watch(of("liveness")).await.unwrap().into_inner();
        let next = async |watch: &mut <Checks as Health>::WatchStream| {
            watch.next().await.map(|answer| answer.unwrap().status().as_str_name())
        };
        assert_eq!(next(&mut readiness).await, Some("SERVING"));
        assert_eq!(next(&mut liveness).await, Some("SERVING"));
        assert_eq!(app.in_flight(), 2);
        app.phase.send_replace(Phase::Draining);
        assert_eq!(next(&mut readiness).await, Some("NOT_SERVING"));
        app.phase.send_replace(Phase::Closing);
        assert_eq!((next(&mut readiness).await, next(&mut liveness).await), (None, None));
        drop((readiness, liveness));
        assert_eq!(app.in_flight(), 0);
    }
}

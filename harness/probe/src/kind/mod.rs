//! Kinds of questions: one file each, behind [`Kind`].

mod blame;
mod canary;
mod client;
mod dial;
mod dns;
mod flux;
mod grpc;
mod http;
mod kube_api;
mod stream;
mod tcp;
#[cfg(test)]
mod testing;
mod tls;

use std::fmt;
use std::sync::Arc;

use ferry_record::event::Failure;
use futures::future::BoxFuture;

pub use canary::CanarySpec;
pub use dns::DnsSpec;
pub use flux::FluxSpec;
pub use grpc::GrpcSpec;
pub use http::HttpSpec;
pub use kube_api::KubeApiSpec;
pub use stream::StreamSpec;
pub use tcp::TcpSpec;
pub use tls::{Auth, Pem, TlsSpec};

use crate::spec::{KindSpec, ProbeSpec, SpecError};

/// A kind of question, made ready for one probe. It lives on the sampler's thread and may keep connections between samples.
pub(crate) trait Kind: fmt::Debug + Send + Sync + 'static {
    /// What is asked, as a person would write it.
    fn target(&self) -> String;

    /// Asks once. Dropping the future (the sampler does so at the probe's timeout) must leave the kind fit to ask again.
    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>>;
}

/// Why a question got no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Miss {
    /// The workload, or the way to it, failed.
    Failed(Failure),
    /// This machine could not ask (no sockets, no ports): nothing is known about the workload.
    Local(String),
}

/// The kind of a spec made ready.
///
/// # Errors
/// When the spec names something that cannot be asked.
pub(crate) fn build(spec: &ProbeSpec) -> Result<Arc<dyn Kind>, SpecError> {
    let (id, connection, interval) = (spec.id(), spec.connection, spec.interval);
    if !spec.kind.connections().contains(&connection) {
        return Err(SpecError::Connection { probe: id, kind: spec.kind.name(), connection });
    }
    Ok(match &spec.kind {
        KindSpec::Http(http) => Arc::new(http::Http::new(&id, http, connection, interval)?),
        KindSpec::Tcp(tcp) => Arc::new(tcp::Tcp::new(&id, tcp)?),
        KindSpec::Dns(dns) => Arc::new(dns::Dns::new(&id, dns, connection)?),
        KindSpec::Grpc(grpc) => Arc::new(grpc::Grpc::new(&id, grpc, connection)?),
        KindSpec::Stream(stream) => Arc::new(stream::Stream::new(&id, stream, interval)?),
        KindSpec::Flux(flux) => Arc::new(flux::Flux::new(&id, flux, connection, interval)?),
        KindSpec::KubeApi(api) => Arc::new(kube_api::new(&id, api, connection, interval)?),
        KindSpec::Canary(canary) => Arc::new(canary::Canary::new(&id, canary, spec.timeout)?),
    })
}

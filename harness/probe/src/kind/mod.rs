//! Kinds of questions: one file each, behind [`Kind`].

mod blame;
mod http;

use std::fmt;
use std::sync::Arc;

use ferry_record::event::Failure;
use futures::future::BoxFuture;

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

/// The name of a kind in the record, and the kind made ready.
///
/// # Errors
/// When the spec names something that cannot be asked.
pub(crate) fn build(spec: &ProbeSpec) -> Result<(&'static str, Arc<dyn Kind>), SpecError> {
    Ok(match &spec.kind {
        KindSpec::Http(http) => ("http", Arc::new(http::Http::new(&spec.id(), http, spec.connection, spec.interval)?)),
    })
}

//! TCP connections that are opened and closed, nothing said.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::dial::Address;
use super::{Kind, Miss};
use crate::spec::SpecError;

/// A TCP connection, which succeeds when it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpSpec {
    /// `host:port`.
    pub address: String,
}

/// A TCP question, ready to be asked.
#[derive(Debug)]
pub(crate) struct Tcp {
    target: String,
    address: Address,
}

impl Tcp {
    /// Makes a [`TcpSpec`] ready; `probe` is for the error message.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(probe: &str, spec: &TcpSpec) -> Result<Self, SpecError> {
        Ok(Self { target: format!("connect to {}", spec.address), address: address(probe, &spec.address)? })
    }
}

/// Reads `host:port` from a spec.
pub(super) fn address(probe: &str, text: &str) -> Result<Address, SpecError> {
    let wrong = |reason| SpecError::Address { probe: probe.into(), address: text.into(), reason };
    Address::parse(text).map_err(wrong)
}

impl Kind for Tcp {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move { self.address.connect().await.map(drop) })
    }
}

#[cfg(test)]
mod tests {
    use ferry_record::event::Failure;
    use rstest::rstest;
    use tokio::net::TcpListener;

    use super::*;

    async fn ask(address: &str) -> Result<(), Miss> {
        Arc::new(Tcp::new("p", &TcpSpec { address: address.into() }).unwrap()).ask().await
    }

    #[tokio::test]
    async fn somebody_listens_then_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(ask(&address.to_string()).await, Ok(()));
        assert_eq!(ask(&format!("localhost:{}", address.port())).await, Ok(()));
        drop(listener);
        assert_eq!(ask(&address.to_string()).await, Err(Miss::Failed(Failure::Refused)));
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist() {
        assert_eq!(ask(&format!("{}.test:80", "x".repeat(64))).await, Err(Miss::Failed(Failure::Dns)));
    }

    #[rstest]
    #[case::no_port("web", "there is no port")]
    #[case::url("http://web/", "\"//web/\" is no port")]
    fn refuses(#[case] address: &str, #[case] reason: &str) {
        let error = Tcp::new("p", &TcpSpec { address: address.into() }).unwrap_err();
        assert_eq!(error.to_string(), format!("probe p: cannot connect to {address:?}: {reason}"));
    }
}

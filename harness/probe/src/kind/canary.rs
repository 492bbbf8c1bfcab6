//! One half of a pair that shows whether network policy is enforced: one may connect, the other may not.

use std::sync::Arc;
use std::time::Duration;

use ferry_record::event::Failure;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::dial::Address;
use super::tcp::address;
use super::{Kind, Miss};
use crate::spec::SpecError;

/// A TCP connection that policy allows, or denies.
///
/// Neither half says anything alone: what cannot be reached may be denied or be dead, and what can be reached may be
/// allowed or not be policed at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanarySpec {
    /// `host:port`.
    pub address: String,
    /// Whether policy denies it: then a connection is the failure, and none, for half of the probe's timeout, is success.
    pub denied: bool,
}

/// A canary, ready to be asked.
#[derive(Debug)]
pub(crate) struct Canary {
    target: String,
    address: Address,
    /// How long a connection that is denied may take to show that it is not.
    denied_for: Option<Duration>,
}

impl Canary {
    /// Makes a [`CanarySpec`] ready; `probe` is for the error message, `limit` the probe's timeout.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(probe: &str, spec: &CanarySpec, limit: Duration) -> Result<Self, SpecError> {
        let side = if spec.denied { "denied" } else { "allowed" };
        Ok(Self {
            target: format!("connect to {}, {side}", spec.address),
            address: address(probe, &spec.address)?,
            denied_for: spec.denied.then_some(limit / 2),
        })
    }

    async fn denied(&self, wait: Duration) -> Result<(), Miss> {
        match timeout(wait, self.address.connect()).await {
            Ok(Ok(_)) => Err(Miss::Failed(Failure::Other("connected, which policy denies".into()))),
            // Policy drops, rejects, or knows no way.
            Err(_) | Ok(Err(Miss::Failed(Failure::Timeout | Failure::Refused | Failure::Unreachable))) => Ok(()),
            // Nothing was tried: there was no address, or no socket.
            Ok(Err(miss)) => Err(miss),
        }
    }
}

impl Kind for Canary {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move {
            match self.denied_for {
                Some(wait) => self.denied(wait).await,
                None => self.address.connect().await.map(drop),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// What is at the address.
    #[derive(Debug, Clone, Copy)]
    enum There {
        Listener,
        Nobody,
        /// A listener whose queue is full, so that the kernel drops whoever comes, as policy does.
        Silence,
        NoName,
    }

    #[rstest]
    #[case::allowed(false, There::Listener, Ok(()))]
    #[case::allowed_but_rejected(false, There::Nobody, Err(Failure::Refused))]
    #[case::denied_but_open(true, There::Listener, Err(Failure::Other("connected, which policy denies".into())))]
    #[case::rejected(true, There::Nobody, Ok(()))]
    #[case::dropped(true, There::Silence, Ok(()))]
    #[case::nothing_tried(true, There::NoName, Err(Failure::Dns))]
    #[tokio::test]
    async fn each_half(#[case] denied: bool, #[case] there: There, #[case] expected: Result<(), Failure>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut address = socket.local_addr().unwrap().to_string();
        let mut queued = vec![];
        let listener: Option<TcpListener> = match there {
            There::Listener => Some(socket.listen(8).unwrap()),
            There::Silence => {
                let listener = socket.listen(0).unwrap();
                let connect = || timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(&address));
                while let Ok(Ok(stream)) = connect().await {
                    queued.push(stream);
                }
                Some(listener)
            }
            There::Nobody => None,
            There::NoName => {
                address = format!("{}.test:80", "x".repeat(64));
                None
            }
        };
        let spec = CanarySpec { address, denied };
        let canary = Arc::new(Canary::new("p", &spec, Duration::from_millis(400)).unwrap());
        assert_eq!(canary.ask().await, expected.map_err(Miss::Failed));
        drop((listener, queued));
    }
}

//! From an address as written to an open connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ferry_record::event::Failure;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Miss, blame};

/// Where to connect. A name is resolved for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Known(SocketAddr),
    Named(String, u16),
}

impl Address {
    /// `name` may be an address, an IPv6 one also in brackets.
    pub fn new(name: &str, port: u16) -> Self {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        match name.parse::<IpAddr>() {
            Ok(ip) => Self::Known(SocketAddr::new(ip, port)),
            Err(_) => Self::Named(name.into(), port),
        }
    }

    /// Reads `host:port`.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, port) = text.rsplit_once(':').ok_or("there is no port")?;
        let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
        if name.is_empty() {
            return Err("there is no host".into());
        }
        Ok(Self::new(name, port))
    }

    /// Opens a TCP connection to the first address that takes one.
    pub async fn connect(&self) -> Result<TcpStream, Miss> {
        let stream = match self {
            Self::Known(address) => TcpStream::connect(address).await,
            Self::Named(name, port) => {
                let found = lookup_host((name.as_str(), *port)).await.map_err(|_| Miss::Failed(Failure::Dns))?;
                TcpStream::connect(&*found.collect::<Vec<_>>()).await
            }
        };
        stream.map_err(|error| blame::io(&error))
    }

    /// The name that the server's certificate must bear.
    fn server_name(&self) -> Result<ServerName<'static>, String> {
        match self {
            Self::Known(address) => Ok(ServerName::from(address.ip())),
            // A trailing dot says that a name is complete; certificates do without.
            Self::Named(name, _) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| format!("no certificate can be for {name:?}")),
        }
    }
}

/// Where to connect, and how.
pub(super) struct Dialer {
    address: Address,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    /// # Errors
    /// A host that no certificate can be for.
    pub fn new(address: Address, tls: Option<Arc<ClientConfig>>) -> Result<Self, String> {
        let tls = match tls {
            Some(config) => Some((TlsConnector::from(config), address.server_name()?)),
            None => None,
        };
        Ok(Self { address, tls })
    }

    /// Opens a connection.
    pub async fn open(&self) -> Result<Stream, Miss> {
        let stream = self.address.connect().await?;
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(|error| blame::io(&error))?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("address", &self.address).field("tls", &self.tls.is_some()).finish()
    }
}

/// A connection, in the clear or not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Sends small writes at once, for protocols that make several before they wait for an answer.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_nodelay(true),
            Self::Tls(stream) => stream.get_ref().0.set_nodelay(true),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::ip("127.0.0.1:80", Ok(Address::Known("127.0.0.1:80".parse().unwrap())))]
    #[case::ipv6("[::1]:80", Ok(Address::Known("[::1]:80".parse().unwrap())))]
    #[case::name("web.apps.svc:8080", Ok(Address::Named("web.apps.svc".into(), 8080)))]
    #[case::no_port("web", Err("there is no port"))]
    #[case::odd_port("web:http", Err("\"http\" is no port"))]
    #[case::no_host(":80", Err("there is no host"))]
    fn reads_addresses(#[case] text: &str, #[case] expected: Result<Address, &str>) {
        assert_eq!(Address::parse(text), expected.map_err(String::from));
    }

    #[rstest]
    #[case::name("web.apps.svc.:443", Some("web.apps.svc"))]
    #[case::ip("10.96.0.1:443", Some("10.96.0.1"))]
    #[case::no_name("what is this:443", None)]
    fn knows_what_a_certificate_must_say(#[case] address: &str, #[case] expected: Option<&str>) {
        let name = Address::parse(address).unwrap().server_name();
        assert_eq!(name.ok().map(|name| name.to_str().into_owned()).as_deref(), expected);
    }
}

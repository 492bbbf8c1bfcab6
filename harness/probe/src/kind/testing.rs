//! Servers on loopback that do as they are told, for the tests of the kinds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::Pem;

/// A good answer.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// What a server does with the n-th request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Says(&'static str),
    Closes,
    Resets,
    /// Answers, then closes the connection without having announced it.
    SaysAndCloses(&'static str),
    /// Says these 20 ms apart, then resets the connection.
    SaysAndResets(&'static [&'static str]),
    /// Says nothing and keeps the connection.
    Hangs,
}

/// A server that works through a script.
pub(crate) struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Serves until the test ends; `script[n]` is for the n-th request overall, the last one for all further.
    pub async fn start(script: &'static [Reply]) -> Self {
        Self::accepting(script, None).await
    }

    /// The same by TLS.
    pub async fn start_tls(script: &'static [Reply], acceptor: TlsAcceptor) -> Self {
        Self::accepting(script, Some(acceptor)).await
    }

    async fn accepting(script: &'static [Reply], acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, requests) = (acceptor.clone(), Arc::clone(&requests));
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, TcpStream::set_zero_linger, script, requests).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            let reset = |stream: &TlsStream<TcpStream>| stream.get_ref().0.set_zero_linger();
                            serve(stream, reset, script, requests).await;
                        }
                    }
                });
            }
        });
        server
    }

    /// Connections and requests so far.
    pub fn seen(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    reset: impl Fn(&S) -> std::io::Result<()>,
    script: &[Reply],
    requests: Arc<AtomicUsize>,
) {
    let mut buffer = [0; 1024];
    // A request of ours fits into one segment.
    while stream.read(&mut buffer).await.unwrap_or(0) > 0 {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        match script.get(number).or(script.last()).copied() {
            Some(Reply::Says(text)) => stream.write_all(text.as_bytes()).await.unwrap(),
            Some(Reply::SaysAndCloses(text)) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                return stream.shutdown().await.unwrap_or_default();
            }
            Some(Reply::SaysAndResets(texts)) => {
                for text in texts {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                return reset(&stream).unwrap();
            }
            Some(Reply::Resets) => return reset(&stream).unwrap(),
            Some(Reply::Hangs) => {}
            Some(Reply::Closes) | None => return,
        }
    }
}

/// A certificate authority of a test's own.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { certificate: params.self_signed(&key).unwrap(), issuer: Issuer::new(params, key) }
    }

    pub fn pem(&self) -> Pem {
        Pem::Inline(self.certificate.pem())
    }

    /// A certificate for `name`, and its key.
    pub fn sign(&self, name: &str) -> (Pem, Pem) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (Pem::Inline(certificate.pem()), Pem::Inline(key.serialize_pem()))
    }

    /// Accepts clients that this authority knows, as a server called `name`.
    pub fn acceptor(&self, name: &str, protocols: &[&[u8]]) -> TlsAcceptor {
        let (Pem::Inline(certificate), Pem::Inline(key)) = self.sign(name) else { unreachable!() };
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

//! Connections by TLS: whom to trust, and as whom to ask.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hyper::header::HeaderValue;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

use super::Miss;

/// Whom to trust, and as whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSpec {
    /// Who signs the server's certificate; nobody else is trusted.
    pub ca: Pem,
    /// As whom to ask.
    #[serde(default)]
    pub auth: Auth,
}

/// As whom to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Auth {
    /// As nobody in particular.
    #[default]
    None,
    /// As whom the certificate names.
    Certificate {
        /// It, and what links it to its CA.
        certificate: Pem,
        /// Its private key.
        key: Pem,
    },
    /// With a bearer token from a file, which is read again when it changes: kubelet replaces a pod's before it expires.
    Token {
        /// The file.
        file: PathBuf,
    },
}

/// Certificates or a key in PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pem {
    /// In a file, read once.
    File(PathBuf),
    /// The text itself.
    Inline(String),
}

/// A text may be a private key, and what is shown ends up in logs.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inline(_) => f.write_str("Inline(..)"),
        }
    }
}

impl Pem {
    fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => fs_err::read(path).map_err(|error| error.to_string()),
            Self::Inline(text) => Ok(text.clone().into_bytes()),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&self.bytes()?).collect();
        match all {
            Ok(none) if none.is_empty() => Err(format!("there is no certificate in {self:?}")),
            Ok(all) => Ok(all),
            Err(error) => Err(format!("cannot read {self:?}: {error}")),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(&self.bytes()?).map_err(|error| format!("cannot read a key in {self:?}: {error}"))
    }
}

/// Makes a [`TlsSpec`] ready for connections that speak `protocol` (its ALPN name).
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn config(spec: &TlsSpec, protocol: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in spec.ca.certificates()? {
        roots.add(certificate).map_err(|error| format!("cannot trust {:?}: {error}", spec.ca))?;
    }
    // Named here, because a process may hold several providers and rustls then takes none of them.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match &spec.auth {
        Auth::Certificate { certificate, key } => builder
            .with_client_auth_cert(certificate.certificates()?, key.key()?)
            .map_err(|error| format!("certificate and key cannot be used: {error}"))?,
        Auth::None | Auth::Token { .. } => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// A bearer token that is replaced now and then.
#[derive(Debug)]
pub(super) struct Token {
    file: PathBuf,
    /// The header, and how old the file was that it came from.
    read: Mutex<Option<(SystemTime, HeaderValue)>>,
}

impl Token {
    pub fn new(file: PathBuf) -> Self {
        Self { file, read: Mutex::default() }
    }

    /// The `Authorization` header of now.
    ///
    /// # Errors
    /// A token that cannot be read is this machine's trouble and says nothing about who would be asked.
    pub fn header(&self) -> Result<HeaderValue, Miss> {
        let local = |error: std::io::Error| Miss::Local(error.to_string());
        let modified = fs_err::metadata(&self.file).and_then(|file| file.modified()).map_err(local)?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, header)) = &*read
            && *of == modified
        {
            return Ok(header.clone());
        }
        let text = fs_err::read_to_string(&self.file).map_err(local)?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| Miss::Local(format!("{} holds no token", self.file.display())))?;
        header.set_sensitive(true);
        *read = Some((modified, header.clone()));
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kind::testing::Authority;

    #[test]
    fn what_cannot_be_used_says_so_and_shows_no_secret() {
        let authority = Authority::new();
        let no_certificate = Pem::Inline("secret".into());
        let (certificate, key) = authority.sign("ferry");
        let spec = |ca: &Pem, certificate: &Pem, key: &Pem| TlsSpec {
            ca: ca.clone(),
            auth: Auth::Certificate { certificate: certificate.clone(), key: key.clone() },
        };
        let wrong = |spec: TlsSpec| config(&spec, b"http/1.1").err().unwrap_or_default();
        assert_eq!(wrong(spec(&authority.pem(), &certificate, &key)), "");
        let told = [
            wrong(spec(&no_certificate, &certificate, &key)),
            wrong(spec(&authority.pem(), &certificate, &no_certificate)),
            wrong(spec(&authority.pem(), &certificate, &authority.sign("other").1)),
            wrong(spec(&Pem::File("/nowhere/ca.crt".into()), &certificate, &key)),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        there is no certificate in Inline(..)
        cannot read a key in Inline(..): no items found
        certificate and key cannot be used: keys may not be consistent: KeyMismatch
        failed to open file `/nowhere/ca.crt`: No such file or directory (os error 2)
        ");
    }

    #[test]
    fn a_token_is_read_again_when_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token = Token::new(file.clone());
        assert!(matches!(token.header(), Err(Miss::Local(_))));
        fs_err::write(&file, "first\n").unwrap();
        assert_eq!(token.header().unwrap(), "Bearer first");
        fs_err::write(&file, "second\n").unwrap();
        // As if later: the clock of the file system may stand still between two writes.
        let later = SystemTime::now() + Duration::from_secs(5);
        fs_err::OpenOptions::new().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert_eq!(token.header().unwrap(), "Bearer second");
        assert_eq!(format!("{:?}", token.header().unwrap()), "Sensitive");
    }
}

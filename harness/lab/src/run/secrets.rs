//! Secrets of one run: made for it, known to nobody else, gone with it. None of them is ever shown by `Debug`.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::distr::{Alphanumeric, SampleString};
use ssh_key::{Algorithm, LineEnding, PrivateKey, rand_core::OsRng};

/// Why a secret could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The hash function refused.
    #[error("cannot hash a password for an htpasswd file: {0}")]
    Hash(#[from] bcrypt::BcryptError),
    /// The key could not be made or encoded.
    #[error("cannot make an ed25519 SSH key: {0}")]
    Key(#[from] ssh_key::Error),
}

/// A user name and a random password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Not secret.
    pub username: String,
    /// Secret: letters and digits only, so that it fits URLs and headers as it is.
    pub password: String,
}

impl Credentials {
    /// A password of 32 letters and digits (190 bits) for `username`.
    #[must_use]
    pub fn random(username: &str) -> Self {
        Self { username: username.into(), password: Alphanumeric.sample_string(&mut rand::rng(), 32) }
    }

    /// The line of an htpasswd file that admits these credentials.
    ///
    /// The cost is bcrypt's lowest: it is paid at every request, and guards a password that cannot be guessed anyway.
    ///
    /// # Errors
    /// When the hash function refuses.
    pub fn htpasswd(&self) -> Result<String, SecretError> {
        const LOWEST_COST: u32 = 4;
        let salted = bcrypt::hash_with_result(&self.password, LOWEST_COST)?;
        Ok(format!("{}:{}\n", self.username, salted.format_for_version(bcrypt::Version::TwoY)))
    }

    /// `user:password` in base64, as HTTP's basic authentication and Docker's `config.json` want it.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.username, self.password))
    }

    /// The value of an HTTP `Authorization` header.
    #[must_use]
    pub fn basic(&self) -> String {
        format!("Basic {}", self.base64())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// An ed25519 key pair in OpenSSH's formats.
#[derive(Clone)]
pub struct SshKeyPair {
    /// Secret: the content of an `id_ed25519` file, without a passphrase.
    pub private: String,
    /// A line of an `authorized_keys` file, without its end.
    pub public: String,
}

impl SshKeyPair {
    /// A new pair. `comment` ends the public line.
    ///
    /// # Errors
    /// When the key cannot be encoded.
    pub fn generate(comment: &str) -> Result<Self, SecretError> {
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
        key.set_comment(comment);
        Ok(Self { private: key.to_openssh(LineEnding::LF)?.to_string(), public: key.public_key().to_openssh()? })
    }
}

impl fmt::Debug for SshKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshKeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_stay_out_of_debug_output() {
        let (one, other) = (Credentials::random("flux"), Credentials::random("flux"));
        assert_ne!(one.password, other.password);
        assert_eq!(format!("{one:?}"), r#"Credentials { username: "flux", .. }"#);
    }

    #[test]
    fn an_htpasswd_line_admits_its_password_alone() {
        let credentials = Credentials::random("flux");
        let line = credentials.htpasswd().unwrap();
        let (user, hash) = line.trim_end().split_once(':').unwrap();
        assert_eq!(user, "flux");
        assert!(hash.starts_with("$2y$"), "{hash}");
        assert!(bcrypt::verify(&credentials.password, hash).unwrap());
        assert!(!bcrypt::verify("guess", hash).unwrap());
    }

    #[test]
    fn basic_authorization_is_user_colon_password_in_base64() {
        let credentials = Credentials { username: "flux".into(), password: "secret".into() };
        assert_eq!(credentials.basic(), "Basic Zmx1eDpzZWNyZXQ=");
    }

    #[test]
    fn a_key_pair_belongs_together_and_keeps_its_private_half_private() {
        let pair = SshKeyPair::generate("ferry-1").unwrap();
        let private = PrivateKey::from_openssh(&pair.private).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), pair.public);
        assert!(pair.public.starts_with("ssh-ed25519 ") && pair.public.ends_with(" ferry-1"), "{}", pair.public);
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }
}

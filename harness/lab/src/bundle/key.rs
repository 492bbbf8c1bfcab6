//! Content keys: what a component is made of, as one hash. Equal keys, equal component; so a key names its cache entry.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Changes when this crate makes something else of the same recipe, so that old entries are not taken for new ones.
const FORMAT: &str = "flux-ferry bundle 1";

/// The hash of everything that decides a component's content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// All 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits: enough for names, as a cache holds some hundred entries.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// Collects what a key depends on. Each part carries its name and length, so that no two lists of parts hash alike.
#[derive(Debug)]
pub(super) struct KeyMaker(Sha256);

impl KeyMaker {
    pub(super) fn new() -> Self {
        let mut maker = Self(Sha256::new());
        maker.part("format", FORMAT);
        maker
    }

    pub(super) fn part(&mut self, name: &str, content: impl AsRef<[u8]>) {
        for bytes in [name.as_bytes(), content.as_ref()] {
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Key {
        Key(hex(&self.0.finalize()))
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(parts: &[(String, String)]) -> Key {
        let mut maker = KeyMaker::new();
        parts.iter().for_each(|(name, content)| maker.part(name, content));
        maker.finish()
    }

    proptest! {
        #[test]
        fn different_parts_make_different_keys(
            a in prop::collection::vec(("[ab]{0,2}", "[ab]{0,2}"), 0..4),
            b in prop::collection::vec(("[ab]{0,2}", "[ab]{0,2}"), 0..4),
        ) {
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }
    }
}

//! Which digest an image reference stands for: from the bundle, from a mirror's own list, or from the first pull.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::error::BundleError;
use super::graph::is_digest;
use super::model::Registry;

/// Digests by reference (`host/path:tag`).
pub type Digests = BTreeMap<String, String>;

/// What is known about digests, the strongest first.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    /// Of a mirror's content (`--lock FILE`). A mirror of source-built images differs from upstream.
    pub given: Digests,
    /// Of earlier pulls by tag.
    pub remembered: Digests,
}

impl Pins {
    /// The digest that the data fixes: a mirror's list, or the bundle's.
    pub fn fixed<'a>(&'a self, registry: &'a Registry) -> Option<&'a str> {
        self.given.get(&registry.reference).or(registry.digest.as_ref()).map(String::as_str)
    }

    /// The digest to pull: a fixed one, or the one of the first pull.
    pub fn digest<'a>(&'a self, registry: &'a Registry) -> Option<&'a str> {
        self.fixed(registry).or_else(|| self.remembered.get(&registry.reference).map(String::as_str))
    }
}

/// Reads a file of digests. Absent is empty only where `optional`.
pub fn read(path: &Path, optional: bool) -> Result<Digests, BundleError> {
    let wrong = |reason: String| BundleError::Pins { path: path.to_owned(), reason };
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if optional && error.kind() == io::ErrorKind::NotFound => return Ok(Digests::new()),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let digests: Digests = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    match digests.iter().find(|(_, digest)| !is_digest(digest)) {
        Some((reference, digest)) => Err(wrong(format!("{reference} has the digest `{digest}`"))),
        None => Ok(digests),
    }
}

/// Writes a file of digests, whole or not at all.
pub fn write(path: &Path, digests: &Digests) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, digests)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn a_given_digest_beats_the_bundles_and_that_a_remembered_one() {
        let digests = |digit| Digests::from([("ghcr.io/a/b:1".to_owned(), digest(digit))]);
        let mut registry =
            Registry { reference: "ghcr.io/a/b:1".into(), digest: Some(digest('b')), files: BTreeMap::new() };
        let mut pins = Pins { given: digests('a'), remembered: digests('c') };
        assert_eq!(pins.digest(&registry), Some(digest('a').as_str()));
        pins.given.clear();
        assert_eq!(pins.digest(&registry), Some(digest('b').as_str()));
        registry.digest = None;
        assert_eq!((pins.fixed(&registry), pins.digest(&registry)), (None, Some(digest('c').as_str())));
    }

    #[test]
    fn digests_survive_a_round_trip_and_nonsense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/lock.json");
        assert_eq!(read(&path, true).unwrap(), Digests::new());
        assert!(read(&path, false).is_err());
        let digests = Digests::from([("ghcr.io/a/b:1".to_owned(), digest('a'))]);
        write(&path, &digests).unwrap();
        assert_eq!(read(&path, false).unwrap(), digests);
        fs_err::write(&path, r#"{"ghcr.io/a/b:1": "latest"}"#).unwrap();
        assert!(read(&path, true).unwrap_err().to_string().contains("`latest`"));
    }
}

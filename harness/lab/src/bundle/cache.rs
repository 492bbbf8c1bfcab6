//! The content-addressed cache: one folder per component and key, complete or absent.
//!
//! ```text
//! <root>/components/<name>-<key>/    meta.json and out/<output>…; an image's entry has only meta.json, as the engine holds it
//! <root>/components/.tmp-<name>-<key>/   a build under way, or what an interrupted one left
//! <root>/locks  logs  toolchains  cargo-target  digests.json
//! ```

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lock::{Holder, Lock};
use super::plan::Way;

const TMP: &str = ".tmp-";

/// Where prepared components live on this machine.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// What the cache knows about an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The component.
    pub name: String,
    /// Its upstream version.
    pub version: String,
    /// Its whole content key.
    pub key: String,
    /// How it was got.
    pub way: Way,
    /// When.
    pub made: Timestamp,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Bytes of its files, or of its image in the engine.
    pub bytes: u64,
    /// The image's id in the engine that made it.
    pub image_id: Option<String>,
    /// The digest it was pulled by.
    pub digest: Option<String>,
    /// Images without a name that the engine keeps of its build, to build the next version faster.
    #[serde(default)]
    pub stages: Vec<String>,
}

/// A complete entry.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is known about it.
    pub meta: Meta,
    folder: PathBuf,
}

impl Entry {
    /// The name of its folder.
    pub fn slug(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The path of one of its outputs.
    pub fn output(&self, output: &str) -> PathBuf {
        self.folder.join("out").join(output)
    }
}

/// An entry being made. Without [`commit`](Self::commit) it never becomes one.
#[derive(Debug)]
pub struct Draft {
    folder: PathBuf,
    target: PathBuf,
}

impl Cache {
    /// The cache at `root`; else at [`default_root`].
    pub fn open(root: Option<&Path>) -> io::Result<Self> {
        let cache = Self { root: root.map(Path::to_owned).unwrap_or_else(default_root) };
        for folder in ["components", "locks", "logs", "toolchains"] {
            fs_err::create_dir_all(cache.root.join(folder))?;
        }
        // Go and cargo want to know where things really are.
        Ok(Self { root: fs_err::canonicalize(&cache.root)? })
    }

    /// Its root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The log of the component with this slug.
    pub fn log(&self, slug: &str) -> PathBuf {
        self.root.join("logs").join(format!("{slug}.log"))
    }

    /// A folder of its own for something that is shared between components.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The file of digests that first pulls found.
    pub fn digests(&self) -> PathBuf {
        self.root.join("digests.json")
    }

    /// Locks the component with this slug.
    pub async fn lock(&self, slug: &str, waiting: impl FnMut(&Holder)) -> io::Result<Lock> {
        Lock::acquire(&self.lock_path(slug), waiting).await
    }

    /// Locks the component with this slug if nobody has it.
    pub fn try_lock(&self, slug: &str) -> io::Result<Option<Lock>> {
        Lock::try_acquire(&self.lock_path(slug))
    }

    fn lock_path(&self, slug: &str) -> PathBuf {
        self.root.join("locks").join(format!("{slug}.lock"))
    }

    /// The entry with this slug, if it is complete.
    pub fn get(&self, slug: &str) -> io::Result<Option<Entry>> {
        let folder = self.root.join("components").join(slug);
        match fs_err::read(folder.join("meta.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok().map(|meta| Entry { meta, folder })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All complete entries.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for item in fs_err::read_dir(self.root.join("components"))? {
            let name = item?.file_name().to_string_lossy().into_owned();
            if !name.starts_with(TMP) {
                entries.extend(self.get(&name)?);
            }
        }
        entries.sort_by(|a, b| (&a.meta.name, a.meta.made).cmp(&(&b.meta.name, b.meta.made)));
        Ok(entries)
    }

    /// Begins an entry, in place of whatever an interrupted build left. The caller holds the slug's lock.
    pub fn begin(&self, slug: &str) -> io::Result<Draft> {
        let folder = self.draft_folder(slug);
        remove(&folder)?;
        fs_err::create_dir_all(folder.join("out"))?;
        Ok(Draft { folder, target: self.root.join("components").join(slug) })
    }

    /// Removes the entry with this slug, and its log. Does nothing while somebody holds the lock. The lock's file stays: others
    /// may be waiting for it, and would then hold one lock and newcomers another.
    pub fn remove(&self, slug: &str) -> io::Result<bool> {
        let Some(_lock) = self.try_lock(slug)? else { return Ok(false) };
        remove(&self.root.join("components").join(slug))?;
        remove(&self.draft_folder(slug))?;
        match fs_err::remove_file(self.log(slug)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(true),
        }
    }

    /// Removes what an interrupted build left. Does nothing while a build is at it.
    pub fn remove_draft(&self, slug: &str) -> io::Result<bool> {
        let Some(_lock) = self.try_lock(slug)? else { return Ok(false) };
        remove(&self.draft_folder(slug))?;
        Ok(true)
    }

    /// Removes what interrupted builds left; what builds are at stays.
    pub fn remove_drafts(&self) -> io::Result<()> {
        for slug in self.drafts()? {
            self.remove_draft(&slug)?;
        }
        Ok(())
    }

    /// Bytes of a draft.
    pub fn draft_bytes(&self, slug: &str) -> io::Result<u64> {
        size(&self.draft_folder(slug))
    }

    fn draft_folder(&self, slug: &str) -> PathBuf {
        self.root.join("components").join(format!("{TMP}{slug}"))
    }

    /// The slugs of builds that were interrupted (or are under way: their locks tell).
    pub fn drafts(&self) -> io::Result<Vec<String>> {
        let mut slugs = Vec::new();
        for item in fs_err::read_dir(self.root.join("components"))? {
            let name = item?.file_name().to_string_lossy().into_owned();
            slugs.extend(name.strip_prefix(TMP).map(str::to_owned));
        }
        Ok(slugs)
    }
}

impl Draft {
    /// Where an output belongs.
    pub fn output(&self, output: &str) -> PathBuf {
        self.folder.join("out").join(output)
    }

    /// A folder for what is needed on the way; it does not become part of the entry.
    pub fn scratch(&self) -> io::Result<PathBuf> {
        let scratch = self.folder.join("scratch");
        fs_err::create_dir_all(&scratch)?;
        Ok(scratch)
    }

    /// Bytes of all outputs.
    pub fn bytes(&self) -> io::Result<u64> {
        size(&self.folder.join("out"))
    }

    /// Makes the entry complete: everything reaches the disk, then one rename.
    pub fn commit(self, meta: &Meta) -> io::Result<Entry> {
        remove(&self.folder.join("scratch"))?;
        fs_err::write(self.folder.join("meta.json"), serde_json::to_vec_pretty(meta)?)?;
        sync(&self.folder)?;
        // An older entry of the same key: an image that the engine lost and that was made again.
        remove(&self.target)?;
        fs_err::rename(&self.folder, &self.target)?;
        if let Some(parent) = self.target.parent() {
            fs_err::File::open(parent)?.sync_all()?;
        }
        Ok(Entry { meta: meta.clone(), folder: self.target })
    }

    /// Removes everything. Without it, the next build of the same key does.
    pub fn discard(self) -> io::Result<()> {
        remove(&self.folder)
    }
}

/// Where the cache is unless told otherwise: `FERRY_CACHE`, `$XDG_CACHE_HOME/flux-ferry` or `~/.cache/flux-ferry`.
pub fn default_root() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache_home = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    folder("FERRY_CACHE")
        .or_else(|| Some(cache_home()?.join("flux-ferry")))
        .unwrap_or_else(|| std::env::temp_dir().join("flux-ferry"))
}

/// Removes a folder, also one with read-only folders inside, as Go's module cache makes them.
fn remove(folder: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(folder)?;
            fs_err::remove_dir_all(folder)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_writable(folder: &Path) -> io::Result<()> {
    super::sources::set_mode(folder, 0o755)?;
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// Bytes of all regular files below.
pub(super) fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs_err::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut total = 0;
    for entry in fs_err::read_dir(path)? {
        total += size(&entry?.path())?;
    }
    Ok(total)
}

fn sync(path: &Path) -> io::Result<()> {
    let metadata = fs_err::symlink_metadata(path)?;
    if metadata.is_dir() {
        for entry in fs_err::read_dir(path)? {
            sync(&entry?.path())?;
        }
    }
    if metadata.is_symlink() {
        return Ok(());
    }
    fs_err::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str) -> Meta {
        Meta {
            name: name.into(),
            version: "1".into(),
            key: "k".repeat(64),
            way: Way::Source,
            made: Timestamp::UNIX_EPOCH,
            seconds: 1.0,
            bytes: 4,
            image_id: None,
            digest: None,
            stages: Vec::new(),
        }
    }

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        (folder, cache)
    }

    #[test]
    fn an_entry_is_there_once_committed_and_not_before() {
        let (_folder, cache) = cache();
        let draft = cache.begin("etcd-1").unwrap();
        fs_err::write(draft.output("etcd"), "etcd").unwrap();
        fs_err::write(draft.scratch().unwrap().join("object"), "o").unwrap();
        assert_eq!(draft.bytes().unwrap(), 4);
        assert!(cache.get("etcd-1").unwrap().is_none());
        let entry = draft.commit(&meta("etcd")).unwrap();
        assert_eq!(fs_err::read(entry.output("etcd")).unwrap(), b"etcd");
        assert_eq!(cache.get("etcd-1").unwrap().unwrap().meta, meta("etcd"));
        assert!(!cache.root().join("components/etcd-1/scratch").exists());
    }

    #[test]
    fn what_an_interrupted_build_left_is_no_entry_and_goes_with_the_next() {
        let (_folder, cache) = cache();
        let draft = cache.begin("etcd-1").unwrap();
        fs_err::write(draft.output("half"), "ha").unwrap();
        drop(draft);
        assert!(cache.get("etcd-1").unwrap().is_none());
        assert!(cache.entries().unwrap().is_empty());
        assert_eq!(cache.drafts().unwrap(), ["etcd-1"]);
        let draft = cache.begin("etcd-1").unwrap();
        assert!(!draft.output("half").exists());
        draft.commit(&meta("etcd")).unwrap();
        assert!(cache.drafts().unwrap().is_empty());
    }

    #[test]
    fn a_damaged_entry_counts_as_absent() {
        let (_folder, cache) = cache();
        cache.begin("etcd-1").unwrap().commit(&meta("etcd")).unwrap();
        fs_err::write(cache.root().join("components/etcd-1/meta.json"), "{").unwrap();
        assert!(cache.get("etcd-1").unwrap().is_none());
        cache.begin("etcd-1").unwrap().commit(&meta("etcd")).unwrap();
        assert!(cache.get("etcd-1").unwrap().is_some());
    }

    #[tokio::test]
    async fn drafts_that_nobody_is_at_go() {
        let (_folder, cache) = cache();
        let lock = cache.lock("etcd-1", |_| {}).await.unwrap();
        for slug in ["etcd-1", "etcd-2"] {
            drop(cache.begin(slug).unwrap());
        }
        cache.remove_drafts().unwrap();
        assert_eq!(cache.drafts().unwrap(), ["etcd-1"]);
        drop(lock);
        cache.remove_drafts().unwrap();
        assert!(cache.drafts().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_entry_in_use_is_not_removed() {
        let (_folder, cache) = cache();
        cache.begin("etcd-1").unwrap().commit(&meta("etcd")).unwrap();
        let lock = cache.lock("etcd-1", |_| {}).await.unwrap();
        assert!(!cache.remove("etcd-1").unwrap());
        drop(lock);
        assert!(cache.remove("etcd-1").unwrap());
        assert!(cache.entries().unwrap().is_empty());
    }
}

//! One process at a time per cache entry: an advisory file lock that tells waiters whom they wait for.

use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How often a waiter looks again. The engine below is a file lock, which cannot be awaited without a thread of its own.
const INTERVAL: Duration = Duration::from_millis(100);

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// A held lock. The system lets go of it when its process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, waiting for whoever has it; `waiting` is told once per holder. Dropping the future stops the wait.
    /// There is no deadline, as a build may take many minutes: the caller's cancellation ends it.
    pub async fn acquire(path: &Path, mut waiting: impl FnMut(&Holder)) -> io::Result<Self> {
        let (file, _) =
            fs_err::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?.into_parts();
        let mut told = None;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => {}
            }
            // A holder that has just begun may not have written its name yet: it will be there at the next look.
            let holder: Option<Holder> = serde_json::from_slice(&fs_err::read(path)?).ok();
            if let Some(holder) = holder.filter(|holder| told.as_ref() != Some(holder)) {
                waiting(&holder);
                told = Some(holder);
            }
            tokio::time::sleep(INTERVAL).await;
        }
        let mut file = file;
        file.set_len(0)?;
        file.rewind()?;
        let holder = Holder { pid: std::process::id(), since: Timestamp::now() };
        file.write_all(&serde_json::to_vec(&holder)?)?;
        Ok(Self { _file: file })
    }

    /// Takes the lock if nobody has it.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let (file, _) =
            fs_err::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?.into_parts();
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_second_waits_and_knows_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etcd.lock");
        let first = Lock::acquire(&path, |_| panic!("nobody has it")).await.unwrap();
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        let (told, waits_for) = tokio::sync::oneshot::channel();
        let mut told = Some(told);
        let second = tokio::spawn(async move {
            Lock::acquire(&path, |holder| told.take().unwrap().send(holder.clone()).unwrap()).await.unwrap();
        });
        assert_eq!(waits_for.await.unwrap().pid, std::process::id());
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap();
    }

    #[tokio::test]
    async fn only_one_is_inside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etcd.lock");
        let inside = AtomicU32::new(0);
        let visit = || async {
            let _lock = Lock::acquire(&path, |_| {}).await.unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        tokio::join!(visit(), visit(), visit());
    }
}

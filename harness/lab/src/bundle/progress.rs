//! What others see of a component being prepared: events for a display, lines in a log file.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::lock::Holder;
use super::plan::Way;

/// How many of a log's last lines an error shows.
pub const TAIL_LINES: usize = 20;

/// Told what happens while a bundle is prepared. Called from several tasks; must not block.
pub trait Progress: Send + Sync {
    /// Something happened, to the component named, or to all where none is named.
    fn event(&self, component: Option<&str>, event: Event<'_>);
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// It was decided how components are got, and why.
    Decided {
        /// The preferred way.
        way: Way,
        /// Why, in a phrase.
        reason: &'a str,
    },
    /// So many components are wanted or needed, and so many of them must be pulled or built.
    Planned {
        /// All of them.
        components: usize,
        /// Those that are not cached.
        missing: usize,
    },
    /// It is there already.
    Cached,
    /// Another process is at it.
    Waiting(&'a Holder),
    /// It is being pulled or built.
    Started(Way),
    /// A line of its log.
    Line(&'a str),
    /// It is there now.
    Finished(Duration),
    /// It could not be had.
    Failed,
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Option<&str>, _: Event<'_>) {}
}

/// The log of one component: a file, its last lines, and the display.
pub(super) struct Log<'a> {
    component: &'a str,
    progress: &'a dyn Progress,
    path: PathBuf,
    inner: Mutex<(std::fs::File, VecDeque<String>)>,
}

impl fmt::Debug for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("component", &self.component).field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'a> Log<'a> {
    /// Starts an empty log.
    pub(super) fn create(path: PathBuf, component: &'a str, progress: &'a dyn Progress) -> io::Result<Self> {
        let (file, _) = fs_err::File::create(&path)?.into_parts();
        Ok(Self { component, progress, path, inner: Mutex::new((file, VecDeque::new())) })
    }

    /// Adds a line. A log that cannot be written does not stop a build: its disk is full or gone, and the build will say so.
    pub(super) fn line(&self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if let Ok(mut inner) = self.inner.lock() {
            let (file, tail) = &mut *inner;
            if let Err(error) = writeln!(file, "{line}") {
                tracing::debug!(%error, log = %self.path.display(), "a log line was lost");
            }
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(line.to_owned());
        }
        self.progress.event(Some(self.component), Event::Line(line));
    }

    /// The last lines, at most [`TAIL_LINES`].
    pub(super) fn tail(&self) -> Vec<String> {
        self.inner.lock().map(|inner| inner.1.iter().cloned().collect()).unwrap_or_default()
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_all_lines_and_shows_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::create(folder.path().join("etcd.log"), "etcd", &Silent).unwrap();
        (0..30).for_each(|n| log.line(&format!("line {n}\n")));
        log.line("\n");
        let tail = log.tail();
        assert_eq!((tail.len(), tail[0].as_str(), tail[19].as_str()), (TAIL_LINES, "line 10", "line 29"));
        assert_eq!(fs_err::read_to_string(log.path()).unwrap().lines().count(), 30);
    }
}

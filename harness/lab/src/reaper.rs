//! The reaper: a process of its own that outlives its run's owner by a moment, to remove what a killed owner leaves.
//!
//! `ferry` starts itself again as `ferry reap …` ([`spawn`]); that process calls [`reap`]. It has a session of its own, so
//! that no signal to the owner's terminal or process group reaches it, and holds none of the owner's descriptors, so that
//! nobody who waits for the end of the owner's output waits for it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::engine::Engine;
use crate::gc::{self, GcError, Swept};
use crate::labels::Owner;
use crate::run::{RunId, RunScope};

/// How often the owner is looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// What the reaper says once it can no longer be taken down with its owner.
const WATCHING: &str = "watching";

/// Why a run has no reaper.
#[derive(Debug, thiserror::Error)]
pub enum ReaperError {
    /// The process could not be started.
    #[error("cannot start the reaper: {0}")]
    Spawn(#[from] std::io::Error),
    /// It ended before it watched.
    #[error("the reaper ended before it watched (its words are in {log})")]
    Ended {
        /// Where its words are.
        log: String,
    },
    /// It could not leave the owner's session.
    #[error("the reaper cannot leave its owner's session: {0}")]
    Detach(nix::Error),
    /// It could not clean up.
    #[error(transparent)]
    Gc(#[from] GcError),
}

/// A reaper at work. Dropped, it goes on watching.
#[derive(Debug)]
pub struct Reaper {
    process: Child,
}

impl Reaper {
    /// Ends the reaper: its run has cleaned up after itself.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn dismiss(mut self) -> std::io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }
}

/// Starts `program reap --run RUN --owner PID --owner-start TIME` and waits until it watches.
///
/// # Errors
/// When it cannot be started or ends at once.
pub fn spawn(program: &Path, run: &RunScope) -> Result<Reaper, ReaperError> {
    let log = run.dir.join("reaper.log");
    let mut process = Command::new(program)
        .args(["reap", "--run", run.id.as_str()])
        .args(["--owner", &run.owner.pid.to_string(), "--owner-start", &run.owner.start])
        // The owner's folder may be removed, and must not be held.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs_err::File::create(&log)?.into_file())
        .spawn()?;
    let mut said = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if said.trim_end() == WATCHING {
        Ok(Reaper { process })
    } else {
        process.wait()?;
        Err(ReaperError::Ended { log: log.display().to_string() })
    }
}

/// Leaves the caller's session and descriptors, and tells the owner so: the first thing that `ferry reap` does.
///
/// Must be called while the process has one thread and nothing open, before any runtime or engine connection is made.
///
/// # Errors
/// When the system refuses.
pub fn detach() -> Result<(), ReaperError> {
    // Fails in a process group's leader, which is what a shell makes of it when a person calls it: then it has its own.
    nix::unistd::setsid()
        .or_else(|error| if error == nix::Error::EPERM { Ok(nix::unistd::getpid()) } else { Err(error) })
        .map_err(ReaperError::Detach)?;
    close_inherited();
    // Not `println`: its buffer would be lost with the descriptor that is replaced below.
    nix::unistd::write(std::io::stdout(), format!("{WATCHING}\n").as_bytes()).map_err(ReaperError::Detach)?;
    let nowhere = fs_err::OpenOptions::new().write(true).open("/dev/null")?;
    nix::unistd::dup2_stdout(nowhere.file()).map_err(ReaperError::Detach)
}

/// Closes what the owner's own parent left open in both: a build's job server, a test runner's pipes.
fn close_inherited() {
    let Ok(entries) = fs_err::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The listing's own descriptor is closed already.
        nix::unistd::close(descriptor).ok();
    }
}

/// Waits for the owner's death, then removes all that its run has on the engine, unless it was told to stay. The body of
/// `ferry reap`.
///
/// # Errors
/// When the engine does not answer.
pub async fn reap(engine: &Engine, run: &RunId, pid: u32, start: &str) -> Result<Swept, ReaperError> {
    while alive(pid, start) {
        tokio::time::sleep(INTERVAL).await;
    }
    if gc::find(engine).await?.iter().any(|found| found.run == run.as_str() && found.kept) {
        return Ok(Swept::default());
    }
    tracing::info!(%run, "the owner is dead: removing what it left");
    Ok(gc::teardown(engine, run).await?)
}

fn alive(pid: u32, start: &str) -> bool {
    // As its child, a reaper shares kernel and process-id namespace with its owner.
    Owner::of(pid).is_some_and(|owner| owner.start == start)
}

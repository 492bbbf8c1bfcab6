//! Carries out the remedies of a [`Report`]: installs packages, starts an engine, raises limits. Only when it is asked to.
//!
//! What it may do is in the report, as [`Fix`]es; a finding has some only on Debian and its children, and for root. An engine that
//! runs is never restarted or reconfigured. All that is written for an engine is under [`STATE`], nothing of the user's is changed.

mod apt;
mod daemon;
mod runtime;

use std::{
    fs::TryLockError,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::time::sleep;

pub use self::{
    apt::AptError,
    daemon::{START_DEADLINE, STOP_DEADLINE, StartError, Started, StopError, Stopped},
    runtime::RuntimeError,
};
use crate::doctor::{Fix, Host, Machine, Needs, Report, doctor, inotify};

/// Where provisioning keeps logs, the engine's configuration and what it has started.
pub const STATE: &str = "/var/lib/flux-ferry";

/// How long to wait for another process that provisions this machine.
pub const LOCK_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// How many of a log's last lines an error shows.
const TAIL: usize = 15;

/// What provisioning is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Begins to do this, in words (`install docker.io, runc`).
    Begins(String),
    /// Has done it.
    Done {
        /// The same words.
        what: String,
        /// How long it took.
        took: Duration,
    },
    /// Something that the user should know, and that is no failure.
    Note(String),
}

/// Receives what provisioning is doing, as it goes.
pub type Progress<'a> = &'a (dyn Fn(Step) + Send + Sync);

/// What has been done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisioned {
    /// Packages that were installed.
    pub packages: Vec<String>,
    /// What starting the engine came to, where it was to be started.
    pub engine: Option<Started>,
}

/// Why the machine could not be provisioned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// It is not Debian or a child of it, or this user is not root.
    #[error("cannot provision this machine: {reason}; still in the way: {}", missing.join(", "))]
    NotHere {
        /// Which of the two.
        reason: &'static str,
        /// The checks that fail.
        missing: Vec<&'static str>,
    },
    /// Nothing that is in the way can be mended from here.
    #[error("cannot mend what is in the way: {}", missing.join(", "))]
    NotMendable {
        /// The checks that fail.
        missing: Vec<&'static str>,
    },
    /// Another process provisions this machine and does not end.
    #[error("another process still provisions this machine after {} s; it holds {}", LOCK_DEADLINE.as_secs(), lock.display())]
    Busy {
        /// The lock.
        lock: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot provision this machine: {0}")]
    Io(#[from] io::Error),
    /// Packages could not be installed.
    #[error(transparent)]
    Packages(#[from] AptError),
    /// The engine could not be started.
    #[error(transparent)]
    Engine(#[from] StartError),
}

impl ProvisionError {
    /// What to do next, in words.
    pub fn hint(&self) -> String {
        match self {
            Self::NotHere { .. } | Self::NotMendable { .. } => {
                "carry out the remedies that ferry doctor shows, and try again".into()
            }
            Self::Busy { .. } => "wait for it, or end it".into(),
            Self::Io(_) => "check that the disk is neither full nor read-only".into(),
            Self::Packages(_) => "install the packages by hand, or correct what the log names, and try again".into(),
            Self::Engine(error) => error.hint(),
        }
    }
}

/// Carries out the fixes of `report`. Does nothing when there are none and nothing is in the way.
///
/// Two at once wait for each other, for at most [`LOCK_DEADLINE`]. Afterwards the caller should look again, as findings may remain.
///
/// # Errors
/// When the machine is not one that may be changed, or a fix fails; logs are under [`STATE`].
pub async fn provision(report: &Report, progress: Progress<'_>) -> Result<Provisioned, ProvisionError> {
    permitted(report, &Host)?;
    let fixes = report.fixes();
    if fixes.is_empty() {
        return Ok(Provisioned::default());
    }
    let state = Path::new(STATE);
    fs_err::create_dir_all(state)?;
    let _lock = lock(&state.join("provision.lock"), progress).await?;

    let mut done = Provisioned::default();
    let packages: Vec<String> =
        fixes.iter().filter_map(|fix| if let Fix::Package(name) = fix { Some(name.clone()) } else { None }).collect();
    if !packages.is_empty() {
        let what = format!("install {}", packages.join(", "));
        timed(what, progress, apt::install(&packages, &state.join("apt.log"))).await?;
        done.packages = packages;
    }
    for fix in &fixes {
        match fix {
            Fix::Package(_) => {}
            Fix::StartEngine => {
                let folder = state.join("engine");
                fs_err::create_dir_all(&folder)?;
                done.engine = Some(timed("start Docker Engine".into(), progress, daemon::start(&folder)).await?);
            }
            Fix::ModulesFolder => fs_err::create_dir_all("/lib/modules")?,
            Fix::Sysctl(key, value) => {
                if let Err(error) = fs_err::write(inotify::path(key), value.to_string()) {
                    progress(Step::Note(format!("cannot raise {key} to {value}: {error}")));
                }
            }
        }
    }
    Ok(done)
}

/// Looks at this machine as [`doctor`](crate::doctor::doctor) does. If `mend` says so, carries out what can be and looks again.
///
/// # Errors
/// As [`provision`]. That something is still in the way is no error: the report says so.
pub async fn look(needs: &Needs, mend: bool, progress: Progress<'_>) -> Result<(Report, Provisioned), ProvisionError> {
    let report = doctor(needs).await;
    if !mend || report.fixes().is_empty() {
        return Ok((report, Provisioned::default()));
    }
    let done = provision(&report, progress).await?;
    Ok((doctor(needs).await, done))
}

/// Stops the engine that [`provision`] started by hand, and no other.
///
/// # Errors
/// When containers run in it, or it does not end within [`STOP_DEADLINE`].
pub async fn stop_engine() -> Result<Stopped, StopError> {
    daemon::stop(&Path::new(STATE).join("engine")).await
}

/// Refuses where something is in the way and nothing of it may be mended.
fn permitted(report: &Report, machine: &dyn Machine) -> Result<(), ProvisionError> {
    let missing: Vec<_> = report.blocking().map(|finding| finding.check).collect();
    if missing.is_empty() || report.blocking().any(|finding| finding.can_provision()) {
        return Ok(());
    }
    let not_here = |reason, missing| Err(ProvisionError::NotHere { reason, missing });
    if !machine.debian_like() {
        return not_here("it is neither Debian nor a child of it", missing);
    }
    if !machine.root() {
        return not_here("only root may, and this user is not", missing);
    }
    Err(ProvisionError::NotMendable { missing })
}

async fn timed<T, E>(what: String, progress: Progress<'_>, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    progress(Step::Begins(what.clone()));
    let since = Instant::now();
    let result = work.await?;
    progress(Step::Done { what, took: since.elapsed() });
    Ok(result)
}

/// Waits for the lock, which ends with the process that holds it.
async fn lock(path: &Path, progress: Progress<'_>) -> Result<fs_err::File, ProvisionError> {
    let file = fs_err::File::create(path)?;
    let since = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if since.elapsed() > LOCK_DEADLINE => {
                return Err(ProvisionError::Busy { lock: path.into() });
            }
            Err(TryLockError::WouldBlock) => {
                if !said {
                    progress(Step::Note("another process provisions this machine: waiting for it".into()));
                    said = true;
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// The last lines of a log, or why they cannot be shown.
fn tail(log: &Path) -> String {
    match fs_err::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL)..].join("\n")
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::doctor::{Finding, Status, machine::fake::FakeMachine};

    fn report(status: Status, fixes: Vec<Fix>) -> Report {
        Report {
            findings: vec![Finding { check: "engine", status, observed: String::new(), why: "", remedy: None, fixes }],
        }
    }

    #[rstest]
    #[case::fine(report(Status::Ok, vec![]), FakeMachine::debian().user(), None)]
    #[case::mendable(report(Status::Fail, vec![Fix::StartEngine]), FakeMachine::debian(), None)]
    #[case::user(
        report(Status::Fail, vec![]),
        FakeMachine::debian().user(),
        Some("cannot provision this machine: only root may, and this user is not; still in the way: engine")
    )]
    #[case::other_system(
        report(Status::Fail, vec![]),
        FakeMachine::debian().file("/etc/os-release", "ID=fedora\n"),
        Some("cannot provision this machine: it is neither Debian nor a child of it; still in the way: engine")
    )]
    #[case::hopeless(report(Status::Fail, vec![]), FakeMachine::debian(), Some("cannot mend what is in the way: engine"))]
    fn who_may_provision_what(#[case] report: Report, #[case] machine: FakeMachine, #[case] refusal: Option<&str>) {
        assert_eq!(permitted(&report, &machine).err().map(|error| error.to_string()).as_deref(), refusal);
    }

    #[test]
    fn the_end_of_a_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs_err::write(&log, (1..=20).map(|line| format!("line {line}\n")).collect::<String>()).unwrap();
        let shown = tail(&log);
        assert_eq!(
            (shown.lines().count(), shown.lines().next(), shown.lines().last()),
            (15, Some("line 6"), Some("line 20"))
        );
    }

    #[tokio::test]
    async fn a_held_lock_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = fs_err::File::create(&path).unwrap();
        held.lock().unwrap();
        let held = std::sync::Mutex::new(Some(held));
        // Whoever waits says so; only then is the lock let go.
        let progress = |step: Step| {
            assert!(matches!(step, Step::Note(_)), "{step:?}");
            held.lock().unwrap().take();
        };
        lock(&path, &progress).await.unwrap();
        assert!(held.lock().unwrap().is_none());
    }
}

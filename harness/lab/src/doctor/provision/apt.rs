//! Installing Debian packages.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use tokio::{process::Command, time::timeout};

use crate::doctor::provision::tail;

/// How long one apt-get may take. The packages of an engine take 20 s on a near mirror.
const APT_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// Package lists older than this are fetched anew before they are used.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why packages could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// apt-get could not be run, or its log not be written.
    #[error("cannot run {command}: {source}")]
    Run {
        /// The command.
        command: String,
        /// What came back.
        source: io::Error,
    },
    /// apt-get failed.
    #[error("{command} failed: {status}; the end of {}:\n{tail}", log.display())]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its output.
        log: PathBuf,
        /// The last lines of its output.
        tail: String,
    },
    /// apt-get did not end in time. It is left to itself, as packages break if it is killed.
    #[error("{command} did not end within {} s; the end of {}:\n{tail}", APT_DEADLINE.as_secs(), log.display())]
    Late {
        /// The command.
        command: String,
        /// Its output.
        log: PathBuf,
        /// The last lines of its output.
        tail: String,
    },
}

/// Installs `packages` and nothing that they only recommend; output goes to `log`.
///
/// Fetches the package lists first where they are stale, or once the installation has failed with those at hand.
pub async fn install(packages: &[String], log: &Path) -> Result<(), AptError> {
    let mut arguments = vec![
        "install",
        "--yes",
        "--no-install-recommends",
        "--option=Dpkg::Options::=--force-confold",
        "--option=DPkg::Lock::Timeout=120",
    ];
    arguments.extend(packages.iter().map(String::as_str));
    let fetched = lists_stale(Path::new("/var/lib/apt/lists"), SystemTime::now());
    if fetched {
        run(&["update"], log).await?;
    }
    match run(&arguments, log).await {
        Err(AptError::Failed { .. }) if !fetched => {
            run(&["update"], log).await?;
            run(&arguments, log).await
        }
        result => result,
    }
}

/// Whether there is no package list in `folder`, or the newest is too old.
fn lists_stale(folder: &Path, now: SystemTime) -> bool {
    let files = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let lists = files.filter(|file| file.file_name().to_string_lossy().ends_with("Release"));
    let newest = lists.filter_map(|file| file.metadata().ok()?.modified().ok()).max();
    newest.is_none_or(|newest| now.duration_since(newest).is_ok_and(|age| age > STALE))
}

async fn run(arguments: &[&str], log: &Path) -> Result<(), AptError> {
    let command = format!("apt-get {}", arguments.join(" "));
    let failed = |source| AptError::Run { command: command.clone(), source };
    let file = || fs_err::OpenOptions::new().create(true).append(true).open(log).map_err(failed);
    let (output, errors) = (file()?.into_parts().0, file()?.into_parts().0);
    // A process group of its own, so that Ctrl-C at the terminal does not interrupt dpkg.
    let mut child = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    match timeout(APT_DEADLINE, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(AptError::Failed { command, status, log: log.into(), tail: tail(log) }),
        Ok(Err(source)) => Err(failed(source)),
        Err(_) => Err(AptError::Late { command, log: log.into(), tail: tail(log) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_stale_when_there_are_none_or_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let hours = |hours: u64| SystemTime::now() + Duration::from_secs(hours * 3600);
        assert!(lists_stale(folder.path(), hours(0)));
        fs_err::write(folder.path().join("lock"), "").unwrap();
        assert!(lists_stale(folder.path(), hours(0)));
        fs_err::write(folder.path().join("mirror_debian_dists_bookworm_InRelease"), "").unwrap();
        assert!(!lists_stale(folder.path(), hours(23)));
        assert!(lists_stale(folder.path(), hours(25)));
    }
}

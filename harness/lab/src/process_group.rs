//! Processes of this machine together with their children.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Kills what is left of a process group when it is dropped: children outlive a killed parent, compilers a `go build`.
///
/// For processes that were started as the leader of a group of their own.
#[derive(Debug)]
pub struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    /// The group that a process leads; `None` when it has ended already.
    pub fn of(leader: Option<u32>) -> ProcessGroup {
        ProcessGroup(leader)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // The usual answer is that no such group exists any more.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use tokio::process::Command;

    #[tokio::test]
    async fn children_end_with_the_group() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 600 & echo $!; wait"]).process_group(0).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let mut line = String::new();
        let stdout = shell.stdout.take().unwrap();
        tokio::io::AsyncBufReadExt::read_line(&mut tokio::io::BufReader::new(stdout), &mut line).await.unwrap();
        drop(ProcessGroup::of(shell.id()));
        shell.wait().await.unwrap();
        // The kernel takes a moment to end it; a zombie has ended, and waits for whoever inherited it.
        let status = || fs_err::read_to_string(format!("/proc/{}/stat", line.trim())).unwrap_or_default();
        for _ in 0..200 {
            if status().is_empty() || status().contains(") Z ") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("it goes on after 10 s: {}", status());
    }
}

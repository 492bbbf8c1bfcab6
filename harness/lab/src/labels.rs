//! Who made what: the labels on every container, network and volume, and the process that they name as the owner.
//!
//! Docker keeps these labels whatever becomes of the process that set them, so they are the one source for clean-up:
//! [`crate::gc`] removes what carries a run's label once that run's owner is dead.

use std::collections::{BTreeMap, HashMap};

/// The run that made the thing. Everything with this label belongs to Flux Ferry.
pub const RUN: &str = "ferry.flux-ferry.dev/run";
/// What the thing is to the run (`git`, `registry`, `toolbox`, `kind`, `node`, `network`).
pub const ROLE: &str = "ferry.flux-ferry.dev/role";
/// The cluster of a node, by its name on the engine. kind has a label of its own for that.
pub const CLUSTER: &str = "ferry.flux-ferry.dev/cluster";
/// What a node is to its cluster (`control-plane`, `worker`).
pub const NODE_ROLE: &str = "ferry.flux-ferry.dev/node-role";
/// Process id of the owner, in the owner's own process-id namespace.
pub const OWNER_PID: &str = "ferry.flux-ferry.dev/owner-pid";
/// When the owner started, as its kernel tells it. Tells the owner apart from a later process with the same id.
pub const OWNER_START: &str = "ferry.flux-ferry.dev/owner-start";
/// The boot of the owner's kernel.
pub const BOOT_ID: &str = "ferry.flux-ferry.dev/boot-id";
/// The owner's host name and process-id namespace: a process id means something only there.
pub const HOST: &str = "ferry.flux-ferry.dev/host";

/// The process that answers for a run's things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// [`OWNER_PID`].
    pub pid: u32,
    /// [`OWNER_START`].
    pub start: String,
    /// [`BOOT_ID`].
    pub boot: String,
    /// [`HOST`].
    pub host: String,
}

/// Whether a run's owner still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs: its things are not to be touched.
    Alive,
    /// It ended: its things are left-overs.
    Dead,
    /// It belongs to another machine or process-id namespace that shares this engine: not for us to judge.
    Unknown,
}

/// From where an owner is judged: a process id means something only in the namespace that it was given in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewpoint {
    /// [`BOOT_ID`].
    pub boot: String,
    /// [`HOST`].
    pub host: String,
}

impl Viewpoint {
    /// The calling process's.
    #[must_use]
    pub fn here() -> Self {
        Self { boot: system::boot_id(), host: system::host() }
    }
}

/// Why the current process could not be named as an owner.
#[derive(Debug, thiserror::Error)]
#[error("cannot tell this process apart from later ones with the same id: the system does not say when {pid} started")]
pub struct OwnerError {
    /// The process that was asked about.
    pub pid: u32,
}

impl Owner {
    /// The calling process.
    ///
    /// # Errors
    /// When the system does not tell when the process started.
    pub fn current() -> Result<Self, OwnerError> {
        let pid = std::process::id();
        Self::of(pid).ok_or(OwnerError { pid })
    }

    /// Another process. `None` if it does not live, or the system does not tell when it started.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let Viewpoint { boot, host } = Viewpoint::here();
        Some(Self { pid, start: system::start_of(pid)?, boot, host })
    }

    /// Whether this owner still lives, as far as this process can tell.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life_seen_from(&Viewpoint::here())
    }

    /// As [`Owner::life`], as far as can be told from a viewpoint.
    #[must_use]
    pub fn life_seen_from(&self, from: &Viewpoint) -> Life {
        self.judge(from, system::start_of)
    }

    fn judge(&self, from: &Viewpoint, start_of: impl Fn(u32) -> Option<String>) -> Life {
        if self.host != from.host {
            return Life::Unknown;
        }
        if self.boot == from.boot && start_of(self.pid).as_deref() == Some(&self.start) {
            Life::Alive
        } else {
            Life::Dead
        }
    }

    /// The labels that name this owner.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (OWNER_PID.into(), self.pid.to_string()),
            (OWNER_START.into(), self.start.clone()),
            (BOOT_ID.into(), self.boot.clone()),
            (HOST.into(), self.host.clone()),
        ])
    }

    /// The owner that a thing's labels name, if they name one in full.
    #[must_use]
    pub fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        Some(Self {
            pid: labels.get(OWNER_PID)?.parse().ok()?,
            start: labels.get(OWNER_START)?.clone(),
            boot: labels.get(BOOT_ID)?.clone(),
            host: labels.get(HOST)?.clone(),
        })
    }
}

#[cfg(target_os = "linux")]
mod system {
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to the process's start. A zombie counts as gone.
    pub fn start_of(pid: u32) -> Option<String> {
        start_in_stat(&fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    pub fn start_in_stat(stat: &str) -> Option<String> {
        // The second field is the command's name in parentheses and may hold anything, parentheses and spaces included.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        if matches!(state, "Z" | "X") { None } else { fields.nth(18).map(str::to_owned) }
    }

    pub fn boot_id() -> String {
        fs_err::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().into()).unwrap_or_default()
    }

    pub fn host() -> String {
        let name = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let namespace = fs_err::read_link("/proc/self/ns/pid").unwrap_or_default();
        format!("{}/{}", name.trim(), namespace.display())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::process::Command;

    fn output(program: &str, arguments: &[&str]) -> Option<String> {
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let text = text.split_whitespace().collect::<Vec<_>>().join("-");
        (output.status.success() && !text.is_empty()).then_some(text)
    }

    pub fn start_of(pid: u32) -> Option<String> {
        output("ps", &["-o", "lstart=", "-p", &pid.to_string()])
    }

    pub fn boot_id() -> String {
        output("sysctl", &["-n", "kern.boottime"]).unwrap_or_default()
    }

    pub fn host() -> String {
        output("hostname", &[]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn owner() -> Owner {
        Owner { pid: 7, start: "100".into(), boot: "boot".into(), host: "host/pid:[1]".into() }
    }

    #[rstest]
    #[case::running("boot", "host/pid:[1]", Some("100"), Life::Alive)]
    #[case::ended("boot", "host/pid:[1]", None, Life::Dead)]
    #[case::id_reused("boot", "host/pid:[1]", Some("101"), Life::Dead)]
    #[case::rebooted("later", "host/pid:[1]", Some("100"), Life::Dead)]
    #[case::other_machine("boot", "elsewhere/pid:[1]", None, Life::Unknown)]
    #[case::other_namespace("boot", "host/pid:[2]", None, Life::Unknown)]
    fn an_owner_is_judged_by_more_than_its_process_id(
        #[case] boot: &str,
        #[case] host: &str,
        #[case] start: Option<&str>,
        #[case] expected: Life,
    ) {
        let from = Viewpoint { boot: boot.into(), host: host.into() };
        assert_eq!(owner().judge(&from, |_| start.map(str::to_owned)), expected);
    }

    #[test]
    fn labels_carry_the_owner_there_and_back() {
        let labels: HashMap<_, _> = owner().labels().into_iter().collect();
        assert_eq!(Owner::from_labels(&labels), Some(owner()));
    }

    #[test]
    fn a_missing_label_names_no_owner() {
        let mut labels: HashMap<_, _> = owner().labels().into_iter().collect();
        labels.remove(OWNER_START);
        assert_eq!(Owner::from_labels(&labels), None);
    }

    #[test]
    fn this_process_is_alive() {
        assert_eq!(Owner::current().unwrap().life(), Life::Alive);
    }

    #[cfg(target_os = "linux")]
    #[rstest]
    #[case::plain("7 (ferry) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1", Some("4711"))]
    #[case::odd_name("7 (a) b) R 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1", Some("4711"))]
    #[case::zombie("7 (ferry) Z 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1", None)]
    #[case::cut_short("7 (ferry) S 1", None)]
    fn start_time_is_read_from_stat(#[case] stat: &str, #[case] expected: Option<&str>) {
        assert_eq!(system::start_in_stat(stat).as_deref(), expected);
    }
}

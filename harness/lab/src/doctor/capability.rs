//! Linux capabilities: what a process here can have at most.

use serde::Serialize;

use crate::doctor::Machine;

/// Every capability, at the index of its bit (`linux/capability.h` of Linux 6.18; none was added since 5.9).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A set of capabilities, as the kernel writes it: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// The bounding set in the text of a `/proc/PID/status`.
    pub fn bounding(status: &str) -> Option<Self> {
        let hex = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
        u64::from_str_radix(hex.trim(), 16).ok().map(Self)
    }

    /// The bounding set of process `pid`, else of this one. `None` where there is no /proc.
    pub fn bounding_of(pid: Option<i32>) -> Option<Self> {
        let read = |path: String| fs_err::read_to_string(path).ok().and_then(|status| Self::bounding(&status));
        pid.and_then(|pid| read(format!("/proc/{pid}/status"))).or_else(|| read("/proc/self/status".into()))
    }

    /// What no process on this machine can have of what its kernel knows. Empty where that cannot be told.
    pub fn lacking_here(machine: &dyn Machine) -> Vec<&'static str> {
        let status = machine.read("/proc/self/status").unwrap_or_default();
        let last = machine.number("/proc/sys/kernel/cap_last_cap").and_then(|last| usize::try_from(last).ok());
        Self::bounding(&status).map(|set| set.lacking(last.unwrap_or(NAMES.len() - 1))).unwrap_or_default()
    }

    /// Whether the capability of this name is in the set. False for a name that does not exist.
    pub fn has(self, name: &str) -> bool {
        NAMES.iter().position(|known| *known == name).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    /// What the set lacks of the capabilities that a kernel knows whose `cap_last_cap` is `last`, in the order of their bits.
    pub fn lacking(self, last: usize) -> Vec<&'static str> {
        NAMES.into_iter().take(last + 1).filter(|name| !self.has(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all("CapBnd:\t000001ffffffffff\n", 40, &[])]
    #[case::no_sys_resource("CapEff:\t0\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n", 40, &["CAP_SYS_RESOURCE"])]
    #[case::older_kernel("CapBnd:\t0000003fffffffff\n", 37, &[])]
    #[case::older_bounding("CapBnd:\t0000003fffffffff\n", 40, &["CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"])]
    fn lacking_is_what_the_kernel_knows_and_the_set_has_not(
        #[case] status: &str,
        #[case] last: usize,
        #[case] expected: &[&str],
    ) {
        assert_eq!(CapabilitySet::bounding(status).map(|set| set.lacking(last)), Some(expected.to_vec()));
    }

    #[rstest]
    #[case::absent("Name:\tcat\n")]
    #[case::not_hex("CapBnd:\tzz\n")]
    fn no_bounding_set(#[case] status: &str) {
        assert_eq!(CapabilitySet::bounding(status), None);
    }
}

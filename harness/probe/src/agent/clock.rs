//! An agent's clock, which goes on while the agent does not.
//!
//! A spool has one clock: nanoseconds since it was made. Within one life of the agent that is the operating system's
//! monotonic clock, as everywhere. From one life to the next it is carried by `CLOCK_BOOTTIME`, which counts from the
//! machine's boot, time asleep included, and is the same for all containers of a machine. After a reboot nothing but the
//! calendar is left to say how much time has passed.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use ferry_record::Nanos;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Changes with each boot (proc_sys_kernel(5)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What the machine's clocks say at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Which boot of the machine.
    boot: String,
    /// Nanoseconds since that boot.
    since_boot: Nanos,
    /// Nanoseconds since the Unix epoch.
    wall: Nanos,
}

impl Moment {
    /// # Errors
    /// A machine that does not say which boot this is, or how long ago.
    pub fn now() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        let (clock, boot) = (ClockId::CLOCK_BOOTTIME, fs_err::read_to_string(BOOT_ID)?);
        // No agent runs elsewhere than in a cluster's nodes; this lets its tests run.
        #[cfg(not(target_os = "linux"))]
        let (clock, boot) = (ClockId::CLOCK_MONOTONIC, String::from(BOOT_ID));
        let since_boot = clock_gettime(clock).map_err(io::Error::from)?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            boot: boot.trim().into(),
            since_boot: crate::clock::nanos(since_boot.into()),
            wall: crate::clock::nanos(wall),
        })
    }

    /// Nanoseconds from an earlier moment to this one.
    pub fn since(&self, earlier: &Self) -> Nanos {
        if self.boot == earlier.boot {
            self.since_boot.saturating_sub(earlier.since_boot)
        } else {
            self.wall.saturating_sub(earlier.wall)
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn moment(boot: &str, since_boot: Nanos, wall: Nanos) -> Moment {
        Moment { boot: boot.into(), since_boot, wall }
    }

    #[rstest]
    #[case::same_boot(moment("a", 1_700, 5_000), 700)]
    #[case::calendar_set_back(moment("a", 1_700, 100), 700)]
    #[case::rebooted(moment("b", 20, 9_000), 4_000)]
    #[case::rebooted_and_set_back(moment("b", 20, 1_000), 0)]
    fn time_goes_on(#[case] now: Moment, #[case] expected: Nanos) {
        assert_eq!(now.since(&moment("a", 1_000, 5_000)), expected);
    }

    #[test]
    fn now_is_after_before() {
        let before = Moment::now().unwrap();
        assert!(Moment::now().unwrap().since(&before) < 1_000_000_000);
    }
}

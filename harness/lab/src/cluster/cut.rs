//! Cuts pods off from the network for a known time, on the node that they run on.
//!
//! One transaction of the node's packet filter imposes the cut for all addresses at once, another lifts it, and the node's
//! own clock is read around each. What goes to the pods by way of the node is refused: new connections as if nobody
//! listened, kept ones as if the other side had been killed. The kubelet's probes come from the node itself and still pass,
//! so a short cut makes no pod unready.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::container::{ContainerRef, ExecError, Stream};

/// How long the node may take to impose and lift a cut, beyond the time that it lasts: 20 s, where 0.1 s is usual.
pub const CUT_DEADLINE: Duration = Duration::from_secs(20);

/// Where the kernel says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The longest cut, so that one that is never lifted cannot be asked for.
pub const LONGEST_CUT: Duration = Duration::from_secs(60);

/// Why pods were not cut off.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The node refused.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The node said something else than when it did it.
    #[error("the node {node} cut the pods off, but did not say when: {said:?}")]
    Unreadable {
        /// The node.
        node: String,
        /// What it said.
        said: String,
    },
    /// Not what can be cut.
    #[error("a cut of {0:?} is not possible: at most {LONGEST_CUT:?}")]
    TooLong(Duration),
    /// Packet filters of two kinds would be needed.
    #[error("{0} is no IPv4 address")]
    Address(IpAddr),
}

/// When a cut was in effect, by this host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Between these it was imposed.
    pub imposed: (Instant, Instant),
    /// Between these it was lifted.
    pub lifted: (Instant, Instant),
    /// How wrong all of them can be, because the node's clock had to be compared with this host's.
    pub uncertainty: Duration,
}

impl Cut {
    /// How much longer it can have lasted, at either end, than from the end of its imposition to the beginning of its lifting.
    #[must_use]
    pub fn margin(&self) -> Duration {
        let at_either_end = (self.imposed.1 - self.imposed.0).max(self.lifted.1 - self.lifted.0);
        at_either_end + self.uncertainty
    }
}

/// Cuts the pods with these addresses off on `node`, for `time`, at the given TCP ports or altogether where none are given;
/// returns when the cut is lifted. If the node is asked to stop half-way, it still lifts it.
///
/// # Errors
/// When the node refuses. Then nothing is cut off any more.
pub async fn cut(node: &ContainerRef, addresses: &[IpAddr], ports: &[u16], time: Duration) -> Result<Cut, CutError> {
    if time > LONGEST_CUT {
        return Err(CutError::TooLong(time));
    }
    if let Some(address) = addresses.iter().find(|address| !address.is_ipv4()) {
        return Err(CutError::Address(*address));
    }
    let script = script(addresses, ports, time);
    let (asked, mut heard) = (Instant::now(), Vec::new());
    let run = node.exec(["sh", "-c", &script]).deadline(time + CUT_DEADLINE);
    let output = run.lines(|stream, line| {
        if stream == Stream::Out {
            heard.push((line.trim().to_owned(), Instant::now()));
        }
    });
    let output = output.succeed().await?;
    let this_boot = fs_err::read_to_string(BOOT_ID).unwrap_or_default();
    let unreadable = || CutError::Unreadable { node: node.name.clone(), said: output.stdout.clone() };
    read(asked, &heard, this_boot.trim(), (SystemTime::now(), Instant::now())).ok_or_else(unreadable)
}

/// For any POSIX shell: k3s' nodes have no bash. Says which boot it is, then the time before and after imposing the cut, and before and after lifting it.
fn script(addresses: &[IpAddr], ports: &[u16], time: Duration) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let rules = |verb: &str| -> String {
        let rule = |address: &IpAddr, of: &str, how: &str| {
            format!("{verb} FORWARD -d {address}/32 {of} -m comment --comment ferry-cut -j REJECT{how}\\n")
        };
        let one = |address: &IpAddr| {
            let reset = " --reject-with tcp-reset";
            if ports.is_empty() {
                rule(address, "-p tcp", reset) + &rule(address, "! -p tcp", "")
            } else {
                rule(address, &format!("-p tcp -m multiport --dports {}", ports.join(",")), reset)
            }
        };
        let lines: String = addresses.iter().map(one).collect();
        format!("printf '*filter\\n{lines}COMMIT\\n' | iptables-restore -w --noflush")
    };
    let (impose, lift, seconds) = (rules("-I"), rules("-D"), time.as_secs_f64());
    format!(
        "set -e; cat {BOOT_ID}\n\
         lift() {{ {lift}; }}\n\
         date +%s%N; {impose}; trap lift EXIT; trap 'exit 143' HUP INT TERM; date +%s%N\n\
         sleep {seconds}\n\
         date +%s%N; trap - EXIT; lift; date +%s%N\n"
    )
}

/// Brings what the node said to this host's clock. `now` is one moment on both of this host's clocks.
fn read(asked: Instant, heard: &[(String, Instant)], boot: &str, now: (SystemTime, Instant)) -> Option<Cut> {
    let [(said_boot, _), times @ ..] = heard else { return None };
    let nanos: Vec<u64> = times.iter().filter_map(|(text, _)| text.parse().ok()).collect();
    let [before, imposed, lifting, lifted] = nanos[..] else { return None };
    if said_boot == boot {
        // The same kernel has one clock.
        let at = |nanos: u64| {
            let ago = now.0.duration_since(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)).ok()?;
            now.1.checked_sub(ago)
        };
        return Some(Cut {
            imposed: (at(before)?, at(imposed)?),
            lifted: (at(lifting)?, at(lifted)?),
            uncertainty: Duration::ZERO,
        });
    }
    // A line is heard after it was said, but not long after: the one that came fastest shows the difference of the clocks.
    let first = *nanos.first()?;
    let since_first = |nanos: u64| Duration::from_nanos(nanos.saturating_sub(first));
    let starts = times.iter().zip(&nanos).filter_map(|((_, heard), said)| heard.checked_sub(since_first(*said)));
    let start = starts.min()?;
    let at = |nanos: u64| start + since_first(nanos);
    let uncertainty = start.saturating_duration_since(asked);
    Some(Cut { imposed: (at(before), at(imposed)), lifted: (at(lifting), at(lifted)), uncertainty })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_script_is_one_transaction_for_each_end() {
        let addresses: Vec<IpAddr> = vec!["10.244.0.7".parse().unwrap(), "10.244.0.8".parse().unwrap()];
        let script = script(&addresses, &[], Duration::from_millis(300));
        assert_eq!(script.matches("iptables-restore").count(), 2, "{script}");
        assert_eq!(script.matches("-I FORWARD").count(), 4, "{script}");
        assert_eq!(script.matches("-D FORWARD").count(), 4, "{script}");
        assert!(script.contains("sleep 0.3\n"), "{script}");
    }

    #[test]
    fn a_cut_of_some_ports_leaves_the_others() {
        let script = script(&["10.244.0.7".parse().unwrap()], &[8080, 8081], Duration::from_secs(1));
        assert_eq!(script.matches("-I FORWARD").count(), 1, "{script}");
        assert!(script.contains("-p tcp -m multiport --dports 8080,8081 "), "{script}");
    }

    fn heard(boot: &str, start: Instant, said_ms: [u64; 4], delays_ms: [u32; 4]) -> Vec<(String, Instant)> {
        let lines = said_ms.iter().zip(delays_ms).map(|(ms, delay)| {
            let nanos = 1_700_000_000_000_000_000 + ms * 1_000_000;
            (nanos.to_string(), start + *ms as u32 * MS + delay * MS)
        });
        std::iter::once((boot.to_owned(), start)).chain(lines).collect()
    }

    #[test]
    fn the_same_kernel_has_the_same_clock() {
        let start = Instant::now();
        let lines = heard("boot", start, [0, 10, 310, 325], [50, 50, 50, 50]);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_000) + 400 * MS;
        let cut = read(start, &lines, "boot", (wall, start + 400 * MS)).unwrap();
        assert_eq!((cut.imposed, cut.lifted), ((start, start + 10 * MS), (start + 310 * MS, start + 325 * MS)));
        assert_eq!(cut.margin(), 15 * MS);
    }

    #[test]
    fn another_kernels_clock_is_compared_by_the_line_that_came_fastest() {
        let asked = Instant::now();
        let start = asked + 20 * MS;
        let lines = heard("another", start, [0, 10, 310, 325], [9, 3, 1, 7]);
        let cut = read(asked, &lines, "boot", (SystemTime::now(), Instant::now())).unwrap();
        assert_eq!(cut.imposed, (start + MS, start + 11 * MS));
        assert_eq!(cut.uncertainty, 21 * MS);
        assert_eq!(cut.margin(), 15 * MS + 21 * MS);
    }

    #[test]
    fn half_an_answer_is_none() {
        let start = Instant::now();
        let lines = heard("boot", start, [0, 10, 310, 325], [0; 4]);
        let now = (SystemTime::now(), Instant::now());
        assert_eq!(read(start, &lines[..4], "boot", now), None);
        assert_eq!(read(start, &[], "boot", now), None);
    }
}

//! How many clusters the tests run side by side.

use std::num::NonZeroUsize;

/// The setting's name.
pub const SETTING: &str = "FERRY_AT_ONCE";

/// What a cluster keeps busy while it boots and while Flux is replaced. With fewer, the one would make the other's samples late,
/// and a run without samples on time is inconclusive.
const CORES: usize = 2;

/// What a second cluster with all controllers may take: 1.5 GiB.
const MEMORY: u64 = 3 << 29;

/// More than this would share one disk as well.
const MOST: usize = 2;

/// As the user set it, else as the machine allows.
///
/// # Errors
/// When the setting is no number of clusters.
pub fn clusters() -> Result<usize, String> {
    let set = std::env::var(SETTING).ok().filter(|text| !text.is_empty());
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let meminfo = fs_err::read_to_string("/proc/meminfo").unwrap_or_default();
    chosen(set.as_deref(), cores, available(&meminfo))
}

fn chosen(set: Option<&str>, cores: usize, memory: Option<u64>) -> Result<usize, String> {
    if let Some(text) = set {
        let number = text.parse::<NonZeroUsize>().map(NonZeroUsize::get);
        return number.map_err(|_| format!("{SETTING}={text} is no number of clusters: write 1, 2, …"));
    }
    // Where nobody says how much memory there is, one cluster has to do.
    let by_memory = usize::try_from(memory.unwrap_or(0) / MEMORY).unwrap_or(MOST);
    Ok((cores / CORES).min(by_memory).clamp(1, MOST))
}

/// The memory that processes can still have, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let field = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = field.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::two_cores(None, 2, Some(24 << 30), Ok(1))]
    #[case::four_cores(None, 4, Some(24 << 30), Ok(2))]
    #[case::many(None, 64, Some(512 << 30), Ok(2))]
    #[case::short_of_memory(None, 8, Some(2 << 30), Ok(1))]
    #[case::no_memory_told(None, 8, None, Ok(1))]
    #[case::one_core(None, 1, Some(24 << 30), Ok(1))]
    #[case::as_set(Some("3"), 2, Some(1 << 30), Ok(3))]
    #[case::nothing(Some("0"), 8, Some(24 << 30), Err("FERRY_AT_ONCE=0 is no number of clusters: write 1, 2, …"))]
    #[case::a_word(Some("many"), 8, None, Err("FERRY_AT_ONCE=many is no number of clusters: write 1, 2, …"))]
    fn as_many_as_fit(
        #[case] set: Option<&str>,
        #[case] cores: usize,
        #[case] memory: Option<u64>,
        #[case] expected: Result<usize, &str>,
    ) {
        assert_eq!(chosen(set, cores, memory), expected.map_err(str::to_owned));
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(available("MemTotal:       24684092 kB\nMemAvailable:   23768340 kB\n"), Some(23_768_340 << 10));
        assert_eq!(available("MemTotal: 5 kB\n"), None);
    }
}

//! How a run compares with those before it.
//!
//! A value stands out when it is further from the median of the earlier ones than chance explains: by more than three times
//! their scaled median absolute deviation (the conservative bound of Leys et al., *Journal of Experimental Social Psychology*
//! 49, 2013), and by more than what nobody would care about. Median and deviation stay what they are when one of the earlier
//! runs was an outlier itself.

use ferry_record::{Nanos, fmt};

use super::Entry;

/// Earlier runs that one is compared with, the latest.
pub const WINDOW: u32 = 20;

/// With fewer earlier runs than this nothing is said of a run: their spread is not known.
pub const ENOUGH: usize = 5;

/// Deviations from the median that a value must be away. The factor 1.4826 makes the median absolute deviation of normally
/// distributed values their standard deviation.
const DEVIATIONS: f64 = 3.0 * 1.4826;

/// Phases and probes named at most.
const MAX_PARTS: usize = 3;

/// What a value is, and what difference of it nobody would care about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds of a phase or a run: 5 % and half a second.
    Time,
    /// Microseconds of a probe's p99: 10 % and a millisecond.
    Latency,
}

impl Unit {
    fn share(self) -> f64 {
        match self {
            Self::Time => 0.05,
            Self::Latency => 0.10,
        }
    }

    fn floor(self) -> f64 {
        match self {
            Self::Time => 5e8,
            Self::Latency => 1e3,
        }
    }

    fn show(self, value: u64) -> String {
        match self {
            Self::Time => fmt::duration(value),
            Self::Latency => fmt::latency(value),
        }
    }
}

/// Where a value stands among the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Within what chance explains.
    Usual,
    /// Beyond it.
    Slower { than_each: bool },
    /// Below it.
    Faster { than_each: bool },
}

/// One value against the earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Measure {
    name: String,
    unit: Unit,
    value: u64,
    runs: usize,
    median: u64,
    standing: Standing,
}

/// How a run compares with those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trend {
    runs: usize,
    work: Option<Nanos>,
    whole: Option<Measure>,
    parts: Vec<Measure>,
}

/// Compares a run with earlier ones of the same scenario, cell and conditions, in any order.
pub fn trend(run: &Entry, earlier: &[Entry]) -> Trend {
    let whole = run.work_ns.and_then(|work| {
        let earlier = earlier.iter().filter_map(|e| e.work_ns).collect();
        measure("", Unit::Time, work, earlier)
    });
    let phases = run.phases.iter().filter(|phase| phase.done).filter_map(|phase| {
        let same = |e: &Entry| Some(e.phases.iter().find(|p| p.phase == phase.phase && p.done)?.took_ns);
        measure(&phase.phase, Unit::Time, phase.took_ns, earlier.iter().filter_map(same).collect())
    });
    let probes = run.probes.iter().filter_map(|probe| {
        let same = |e: &Entry| e.probes.iter().find(|p| p.probe == probe.probe)?.p99_us;
        let earlier = earlier.iter().filter_map(same).collect();
        measure(&format!("p99 of {}", probe.probe), Unit::Latency, probe.p99_us?, earlier)
    });
    let mut parts: Vec<_> =
        phases.chain(probes).filter(|part| matches!(part.standing, Standing::Slower { .. })).collect();
    parts.sort_by(|a, b| b.excess().total_cmp(&a.excess()));
    Trend { runs: earlier.len(), work: run.work_ns, whole, parts }
}

fn measure(name: &str, unit: Unit, value: u64, mut earlier: Vec<u64>) -> Option<Measure> {
    if earlier.len() < ENOUGH {
        return None;
    }
    let median = median(&mut earlier);
    let mut deviations: Vec<u64> = earlier.iter().map(|e| e.abs_diff(median)).collect();
    let spread = self::median(&mut deviations);
    let noise = (DEVIATIONS * spread as f64).max(unit.share() * median as f64).max(unit.floor());
    let standing = match value as f64 - median as f64 {
        away if away > noise => Standing::Slower { than_each: earlier.iter().all(|e| value > *e) },
        away if away < -noise => Standing::Faster { than_each: earlier.iter().all(|e| value < *e) },
        _ => Standing::Usual,
    };
    Some(Measure { name: name.to_owned(), unit, value, runs: earlier.len(), median, standing })
}

/// The middle of some values, 0 of none; the mean of the two middle ones where there is no single.
fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    let middle = values.len() / 2;
    match values {
        [] => 0,
        _ if values.len().is_multiple_of(2) => values[middle - 1].midpoint(values[middle]),
        _ => values[middle],
    }
}

impl Measure {
    /// How much more than the median it is, as a share of the median.
    fn excess(&self) -> f64 {
        (self.value as f64 - self.median as f64) / self.median.max(1) as f64
    }

    /// `slower than each of the last 20 runs, 12 % above their median (58.2 s)`.
    fn says(&self) -> String {
        let (runs, median) = (self.runs, self.unit.show(self.median));
        let percent = (self.excess().abs() * 100.0).round();
        let compared = |than_each: bool, word: &str, beyond: &str| match than_each {
            true => format!("{word} than each of the last {runs} runs, {percent} % {beyond} their median ({median})"),
            false => format!("{percent} % {word} than the median of {runs} runs ({median})"),
        };
        match self.standing {
            Standing::Usual => format!("as usual: the median of {runs} runs is {median}"),
            Standing::Slower { than_each } => compared(than_each, "slower", "above"),
            Standing::Faster { than_each } => compared(than_each, "faster", "below"),
        }
    }
}

impl Trend {
    /// What is to say of the run as a whole.
    pub fn whole(&self) -> String {
        let runs = fmt::count(self.runs as u64, "earlier run");
        match (&self.whole, self.work) {
            _ if self.runs == 0 => "no history yet".into(),
            _ if self.runs < ENOUGH => format!("{runs} so far, {ENOUGH} are needed to compare with"),
            (Some(whole), _) => {
                format!("{} without set-up, quiet and soak, {}", whole.unit.show(whole.value), whole.says())
            }
            (None, None) => format!("{runs}, not compared as a whole: not every phase was done"),
            (None, Some(_)) => format!("{runs}, too few of them with every phase done to compare with"),
        }
    }

    /// The phases and probes that were slower than usual, the worst first.
    pub fn parts(&self) -> Option<String> {
        let shown = self.parts.iter().take(MAX_PARTS);
        let mut says: Vec<_> = shown.map(|p| format!("{} {}, {}", p.name, p.unit.show(p.value), p.says())).collect();
        if let Some(more) = self.parts.len().checked_sub(MAX_PARTS).filter(|more| *more > 0) {
            says.push(format!("and {more} more"));
        }
        (!says.is_empty()).then(|| says.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::entry;
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const SECOND: Nanos = 1_000_000_000;

    fn runs(n: usize) -> Vec<Entry> {
        // Between 49 and 51 s of work; the phases and latencies scatter alike.
        (0..n as u64)
            .map(|i| {
                let mut run = entry(&format!("{i}"));
                run.work_ns = Some(49 * SECOND + i % 5 * SECOND / 2);
                run.phases[1].took_ns = 9 * SECOND + i % 5 * SECOND / 2;
                run.probes[0].p99_us = Some(3_800 + i % 5 * 100);
                run
            })
            .collect()
    }

    fn whole(seconds: f64, earlier: usize) -> String {
        let run = Entry { work_ns: Some((seconds * 1e9) as u64), ..entry("now") };
        trend(&run, &runs(earlier)).whole()
    }

    #[rstest]
    #[case::none(50.0, 0, "no history yet")]
    #[case::one(50.0, 1, "1 earlier run so far, 5 are needed to compare with")]
    #[case::few(90.0, 4, "4 earlier runs so far, 5 are needed to compare with")]
    #[case::usual(50.4, 20, "50.4 s without set-up, quiet and soak, as usual: the median of 20 runs is 50.0 s")]
    #[case::slowest_by_a_little(
        52.0,
        20,
        "52.0 s without set-up, quiet and soak, as usual: the median of 20 runs is 50.0 s"
    )]
    #[case::slower(
        56.0,
        20,
        "56.0 s without set-up, quiet and soak, slower than each of the last 20 runs, 12 % above their median (50.0 s)"
    )]
    #[case::faster(
        40.0,
        5,
        "40.0 s without set-up, quiet and soak, faster than each of the last 5 runs, 20 % below their median (50.0 s)"
    )]
    fn the_run_as_a_whole(#[case] seconds: f64, #[case] earlier: usize, #[case] says: &str) {
        assert_eq!(whole(seconds, earlier), says);
    }

    #[test]
    fn slower_than_the_median_but_not_than_each() {
        let mut earlier = runs(20);
        // One outlier moves neither the median nor the spread.
        earlier[7].work_ns = Some(300 * SECOND);
        let run = Entry { work_ns: Some(56 * SECOND), ..entry("now") };
        assert_eq!(
            trend(&run, &earlier).whole(),
            "56.0 s without set-up, quiet and soak, 12 % slower than the median of 20 runs (50.0 s)"
        );
    }

    #[test]
    fn a_run_that_stopped_half_way_is_not_compared_as_a_whole() {
        let mut run = Entry { work_ns: None, ..entry("now") };
        run.phases[1].done = false;
        run.phases[1].took_ns = 500 * SECOND;
        let trend = trend(&run, &runs(20));
        assert_eq!(trend.whole(), "20 earlier runs, not compared as a whole: not every phase was done");
        assert_eq!(trend.parts(), None);
    }

    #[test]
    fn parts_that_were_slower_are_named_the_worst_first() {
        let mut run = entry("now");
        run.phases[1].took_ns = 15 * SECOND;
        run.probes[0].p99_us = Some(40_000);
        assert_eq!(trend(&run, &runs(4)).parts(), None);
        let says = trend(&run, &runs(20)).parts().unwrap();
        insta::assert_snapshot!(says.replace("; ", "\n"), @r"
        p99 of web/outside/new 40 ms, slower than each of the last 20 runs, 900 % above their median (4.0 ms)
        take over 15.0 s, slower than each of the last 20 runs, 50 % above their median (10.0 s)
        ");
    }

    #[test]
    fn what_earlier_runs_did_not_have_is_not_compared() {
        let mut run = entry("now");
        run.phases[1].phase = "take over at once".into();
        run.phases[1].took_ns = 500 * SECOND;
        run.probes[0].p99_us = None;
        assert_eq!(trend(&run, &runs(20)).parts(), None);
    }

    #[rstest]
    // 5 % of 10 s is half a second, and so is the floor.
    #[case::time_below_the_floor(Unit::Time, 2 * SECOND, 2 * SECOND + SECOND / 2, Standing::Usual)]
    #[case::time(Unit::Time, 2 * SECOND, 3 * SECOND, Standing::Slower { than_each: true })]
    #[case::time_below_the_share(Unit::Time, 100 * SECOND, 105 * SECOND, Standing::Usual)]
    #[case::latency_below_the_floor(Unit::Latency, 500, 1_500, Standing::Usual)]
    #[case::latency(Unit::Latency, 500, 1_501, Standing::Slower { than_each: true })]
    #[case::latency_below_the_share(Unit::Latency, 100_000, 110_000, Standing::Usual)]
    fn differences_that_nobody_cares_about(
        #[case] unit: Unit,
        #[case] always: u64,
        #[case] now: u64,
        #[case] standing: Standing,
    ) {
        assert_eq!(measure("x", unit, now, vec![always; 20]).unwrap().standing, standing);
    }

    #[rstest]
    #[case(&[], 0)]
    #[case(&[3], 3)]
    #[case(&[9, 1], 5)]
    #[case(&[5, 1, 9], 5)]
    #[case(&[u64::MAX, u64::MAX], u64::MAX)]
    fn medians(#[case] values: &[u64], #[case] expected: u64) {
        assert_eq!(median(&mut values.to_vec()), expected);
    }

    proptest! {
        #[test]
        fn a_value_among_the_earlier_ones_is_never_beyond_each(mut earlier in prop::collection::vec(0u64..1 << 50, 5..20), pick in any::<prop::sample::Index>()) {
            let value = *pick.get(&earlier);
            earlier.rotate_left(1);
            let standing = measure("x", Unit::Time, value, earlier).unwrap().standing;
            let each = matches!(standing, Standing::Slower { than_each: true } | Standing::Faster { than_each: true });
            prop_assert!(!each);
        }

        #[test]
        fn the_same_time_again_is_usual(time in 0u64..1 << 50, n in 5usize..20) {
            prop_assert_eq!(measure("x", Unit::Time, time, vec![time; n]).unwrap().standing, Standing::Usual);
        }
    }
}

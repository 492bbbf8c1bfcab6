//! Times and amounts as people read them, the same in every report.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::Nanos;

const US: Nanos = 1_000;
const MS: Nanos = 1_000 * US;
const SECOND: Nanos = 1_000 * MS;

/// A length of time in three digits or so: `850 µs`, `150 ms`, `12.3 s`, `2m05s`, `1h02m`.
pub fn duration(ns: Nanos) -> String {
    match ns {
        0 => "0 s".into(),
        _ if ns < MS => format!("{} µs", ns / US),
        _ if ns < SECOND => format!("{} ms", ns / MS),
        _ if ns < 60 * SECOND => format!("{:.1} s", (ns / (100 * MS)) as f64 / 10.0),
        _ if ns < 3_600 * SECOND => format!("{}m{:02}s", ns / (60 * SECOND), ns / SECOND % 60),
        _ => format!("{}h{:02}m", ns / (3_600 * SECOND), ns / (60 * SECOND) % 60),
    }
}

/// A length of time to the millisecond: `150 ms`, `2.350 s`, `2m05.350s`.
pub fn precise(ns: Nanos) -> String {
    match ns {
        _ if ns < SECOND => format!("{} ms", ns / MS),
        _ if ns < 60 * SECOND => format!("{}.{:03} s", ns / SECOND, ns / MS % 1_000),
        _ => format!("{}m{:02}.{:03}s", ns / (60 * SECOND), ns / SECOND % 60, ns / MS % 1_000),
    }
}

/// Microseconds of a latency: `812 µs`, `4.2 ms`, `250 ms`, `1.0 s`.
pub fn latency(us: u64) -> String {
    match us {
        _ if us < 1_000 => format!("{us} µs"),
        _ if us < 10_000 => format!("{:.1} ms", us as f64 / 1_000.0),
        _ => duration(us.saturating_mul(US)),
    }
}

/// A moment since the start: `+1:04.250`.
pub fn since_start(t: Nanos) -> String {
    format!("+{}:{:02}.{:03}", t / (60 * SECOND), t / SECOND % 60, t / MS % 1_000)
}

/// A moment of the calendar, in UTC to the millisecond: `12:03:04.250`. `None` beyond the calendar.
pub fn clock(wall: Timestamp, t: Nanos) -> Option<String> {
    let moment = wall.checked_add(Duration::from_nanos(t)).ok()?;
    Some(moment.strftime("%H:%M:%S%.3f").to_string())
}

/// `1 sample`, `2 samples`, `1,200 samples`.
pub fn count(n: u64, one: &str) -> String {
    format!("{} {one}{}", number(n), if n == 1 { "" } else { "s" })
}

/// `1,234,567`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A share of a whole, rounded towards zero so that 99.96 % never reads 100: `99.9 %`, `100 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part >= whole {
        return "100 %".into();
    }
    let tenths = (u128::from(part) * 1_000 / u128::from(whole)) as u64;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, "0 s", "0 ms")]
    #[case(850 * US, "850 µs", "0 ms")]
    #[case(150 * MS, "150 ms", "150 ms")]
    #[case(2_350 * MS, "2.3 s", "2.350 s")]
    #[case(59_999 * MS, "59.9 s", "59.999 s")]
    #[case(125_350 * MS, "2m05s", "2m05.350s")]
    #[case(3_725 * SECOND, "1h02m", "62m05.000s")]
    fn lengths(#[case] ns: u64, #[case] short: &str, #[case] long: &str) {
        assert_eq!((duration(ns).as_str(), precise(ns).as_str()), (short, long));
    }

    #[rstest]
    #[case(812, "812 µs")]
    #[case(4_210, "4.2 ms")]
    #[case(250_000, "250 ms")]
    #[case(1_000_000, "1.0 s")]
    fn latencies(#[case] us: u64, #[case] expected: &str) {
        assert_eq!(latency(us), expected);
    }

    #[rstest]
    #[case(0, 0, "100 %")]
    #[case(9_996, 10_000, "99.9 %")]
    #[case(10_000, 10_000, "100 %")]
    #[case(0, 5, "0.0 %")]
    fn shares(#[case] part: u64, #[case] whole: u64, #[case] expected: &str) {
        assert_eq!(percent(part, whole), expected);
    }

    #[test]
    fn moments() {
        let wall: Timestamp = "2026-11-21T23:59:59.5Z".parse().unwrap();
        assert_eq!(clock(wall, 750 * MS).as_deref(), Some("00:00:00.250"));
        assert_eq!(clock(wall, u64::MAX).as_deref(), Some("23:34:33.209"));
        assert_eq!(since_start(64_250 * MS), "+1:04.250");
    }

    #[test]
    fn amounts() {
        assert_eq!((count(1, "sample"), count(1_200, "sample")), ("1 sample".into(), "1,200 samples".into()));
        assert_eq!((number(999), number(1_000_000)), ("999".into(), "1,000,000".into()));
    }
}

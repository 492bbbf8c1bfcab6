//! `5m`, `300ms`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{TextError, text_type};

/// A length of time with its unit: `300ms`, `5s`, `5m`, `1h30m`. Longest: 24 h.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

/// No wait of a scenario is longer than a day; a longer one is a slip of the keyboard.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

const HINT: &str = "write a number and its unit, such as `300ms`, `5s`, `5m` or `1h30m`";

impl HumanDuration {
    /// So many seconds.
    pub const fn from_secs(secs: u64) -> HumanDuration {
        HumanDuration(Duration::from_secs(secs))
    }

    /// The time itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> HumanDuration {
        HumanDuration(duration)
    }
}

impl FromStr for HumanDuration {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String| TextError::new(format!("`{text}` is not a duration: {why}"), HINT);
        let mut rest = text;
        let mut sum = Duration::ZERO;
        let mut last_unit = u64::MAX;
        if rest.is_empty() {
            return Err(wrong("it is empty".into()));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_len);
            if number.is_empty() {
                return Err(wrong(match rest.chars().next() {
                    Some('-') => "it is negative".into(),
                    Some('.') => "fractions are not supported".into(),
                    Some(' ') => "it contains a blank".into(),
                    _ => format!("expected a number before `{rest}`"),
                }));
            }
            let number: u64 = number.parse().map_err(|_| wrong(format!("`{number}` is too large")))?;
            let millis = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "" if after.starts_with('.') => return Err(wrong("fractions are not supported".into())),
                "" => return Err(wrong(format!("`{number}` has no unit"))),
                unit => return Err(wrong(format!("unknown unit `{unit}`; known: ms, s, m, h"))),
            };
            if millis >= last_unit {
                return Err(wrong("units go from large to small, each once".into()));
            }
            last_unit = millis;
            sum = number
                .checked_mul(millis)
                .and_then(|ms| sum.checked_add(Duration::from_millis(ms)))
                .filter(|sum| *sum <= LONGEST)
                .ok_or_else(|| wrong("it is longer than 24h".into()))?;
            rest = after;
        }
        Ok(HumanDuration(sum))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

text_type!(HumanDuration,
    what: "a duration such as `300ms`, `5s`, `5m` or `1h30m`",
    pattern: r"^(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$",
    examples: ["300ms", "5s", "5m", "1h30m"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("300ms", 300)]
    #[case("0s", 0)]
    #[case("90s", 90_000)]
    #[case("5m", 300_000)]
    #[case("1h30m", 5_400_000)]
    #[case("1s500ms", 1_500)]
    #[case("24h", 86_400_000)]
    fn reads(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(text.parse(), Ok(HumanDuration(Duration::from_millis(millis))));
    }

    #[rstest]
    #[case(90_000, "1m30s")]
    #[case(0, "0s")]
    #[case(1_500, "1s500ms")]
    #[case(86_400_000, "24h")]
    fn shows(#[case] millis: u64, #[case] text: &str) {
        assert_eq!(HumanDuration(Duration::from_millis(millis)).to_string(), text);
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "5", "5 m", "5min", "1.5s", "-1s", "m", "5m1h", "5m5m", "25h", "99999999999999999999s", "5.5"];
        insta::assert_snapshot!(texts.map(error::<HumanDuration>).join("\n").replace(HINT, "HINT"), @r"
        `` is not a duration: it is empty (HINT)
        `5` is not a duration: `5` has no unit (HINT)
        `5 m` is not a duration: `5` has no unit (HINT)
        `5min` is not a duration: unknown unit `min`; known: ms, s, m, h (HINT)
        `1.5s` is not a duration: fractions are not supported (HINT)
        `-1s` is not a duration: it is negative (HINT)
        `m` is not a duration: expected a number before `m` (HINT)
        `5m1h` is not a duration: units go from large to small, each once (HINT)
        `5m5m` is not a duration: units go from large to small, each once (HINT)
        `25h` is not a duration: it is longer than 24h (HINT)
        `99999999999999999999s` is not a duration: `99999999999999999999` is too large (HINT)
        `5.5` is not a duration: fractions are not supported (HINT)
        ");
    }

    proptest::proptest! {
        #[test]
        fn survives_the_round_trip(millis in 0u64..=86_400_000) {
            let duration = HumanDuration(Duration::from_millis(millis));
            assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}

//! `20/s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{TextError, text_type};

/// Samples for each unit of time: `20/s`, `30/m`. From `1/m` to `2000/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    per: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
}

impl Rate {
    /// The most that the sampler is built and measured for.
    const MAX_PER_SECOND: u32 = 2_000;

    /// So many samples each second.
    pub const fn per_second(count: u32) -> Rate {
        Rate { count, per: Unit::Second }
    }

    /// Time between the intended times of two samples.
    pub fn interval(self) -> Duration {
        let unit = match self.per {
            Unit::Second => Duration::from_secs(1),
            Unit::Minute => Duration::from_secs(60),
        };
        unit / self.count.max(1)
    }
}

impl FromStr for Rate {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String| {
            TextError::new(
                format!("`{text}` is not a rate: {why}"),
                "write samples per second or minute, such as `20/s` or `30/m`",
            )
        };
        let (count, unit) = text.split_once('/').ok_or_else(|| wrong("it has no `/s` or `/m`".into()))?;
        let per = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            unit => return Err(wrong(format!("unknown unit `{unit}`; known: s, m"))),
        };
        let count: u32 = count.parse().map_err(|_| wrong(format!("`{count}` is not a whole number")))?;
        if count == 0 {
            return Err(wrong("a probe that never samples proves nothing".into()));
        }
        let limit = Self::MAX_PER_SECOND * if per == Unit::Minute { 60 } else { 1 };
        if count > limit {
            return Err(wrong(format!(
                "more than {}/s is beyond what the sampler can keep up with",
                Self::MAX_PER_SECOND
            )));
        }
        Ok(Rate { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, if self.per == Unit::Second { "s" } else { "m" })
    }
}

text_type!(Rate,
    what: "a rate such as `20/s` or `30/m`",
    pattern: r"^\d+/[sm]$",
    examples: ["20/s", "30/m"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("20/s", 50_000)]
    #[case("2000/s", 500)]
    #[case("30/m", 2_000_000)]
    #[case("3/s", 333_333)]
    fn reads(#[case] text: &str, #[case] micros: u128) {
        let rate: Rate = text.parse().unwrap();
        assert_eq!((rate.interval().as_micros(), rate.to_string()), (micros, text.to_owned()));
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "20", "20/h", "0/s", "-1/s", "1.5/s", "2001/s", "many/s"];
        insta::assert_snapshot!(texts.map(error::<Rate>).join("\n"), @r"
        `` is not a rate: it has no `/s` or `/m` (write samples per second or minute, such as `20/s` or `30/m`)
        `20` is not a rate: it has no `/s` or `/m` (write samples per second or minute, such as `20/s` or `30/m`)
        `20/h` is not a rate: unknown unit `h`; known: s, m (write samples per second or minute, such as `20/s` or `30/m`)
        `0/s` is not a rate: a probe that never samples proves nothing (write samples per second or minute, such as `20/s` or `30/m`)
        `-1/s` is not a rate: `-1` is not a whole number (write samples per second or minute, such as `20/s` or `30/m`)
        `1.5/s` is not a rate: `1.5` is not a whole number (write samples per second or minute, such as `20/s` or `30/m`)
        `2001/s` is not a rate: more than 2000/s is beyond what the sampler can keep up with (write samples per second or minute, such as `20/s` or `30/m`)
        `many/s` is not a rate: `many` is not a whole number (write samples per second or minute, such as `20/s` or `30/m`)
        ");
    }
}

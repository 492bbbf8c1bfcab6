//! `is`, `at-least` and `at-most`: what a number must be.

use std::fmt;

use crate::span::Spanned;
use crate::text::HINT;

/// What a number must be: exactly something, or within limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds<T> {
    /// The least that it may be; none: anything.
    pub least: Option<T>,
    /// The most that it may be; none: anything.
    pub most: Option<T>,
}

impl<T: PartialOrd + Copy + fmt::Display> Bounds<T> {
    /// From the three keys.
    ///
    /// # Errors
    /// They bound nothing, contradict one another, or no number lies between them.
    pub(crate) fn new(
        what: &str,
        is: Option<Spanned<T>>,
        at_least: Option<Spanned<T>>,
        at_most: Option<Spanned<T>>,
    ) -> Result<Bounds<T>, String> {
        let hint = format!("{HINT}write `is: 2`, `at-least: 1`, `at-most: 3`, or the last two together");
        let (least, most) = (at_least.map(|n| n.value), at_most.map(|n| n.value));
        match (is.map(|n| n.value), least, most) {
            (None, None, None) => Err(format!("`{what}` does not say how many{hint}")),
            (Some(is), None, None) => Ok(Bounds { least: Some(is), most: Some(is) }),
            (Some(_), ..) => Err(format!("`{what}` has `is` and limits as well{hint}")),
            (None, Some(least), Some(most)) if least > most => {
                Err(format!("`{what}` can never be at least {least} and at most {most}{hint}"))
            }
            (None, ..) => Ok(Bounds { least, most }),
        }
    }

    /// Whether a number is as it must be.
    pub fn hold(&self, number: T) -> bool {
        self.least.is_none_or(|least| number >= least) && self.most.is_none_or(|most| number <= most)
    }
}

impl<T: PartialEq + fmt::Display> fmt::Display for Bounds<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.least, &self.most) {
            (Some(least), Some(most)) if least == most => write!(f, "{least}"),
            (Some(least), Some(most)) => write!(f, "{least} to {most}"),
            (Some(least), None) => write!(f, "at least {least}"),
            (None, Some(most)) => write!(f, "at most {most}"),
            (None, None) => f.write_str("any number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(value: Option<u64>) -> Option<Spanned<u64>> {
        value.map(|value| Spanned { value, span: Default::default() })
    }

    #[rstest]
    #[case(Some(2), None, None, "2", [false, true, false])]
    #[case(None, Some(2), None, "at least 2", [false, true, true])]
    #[case(None, None, Some(2), "at most 2", [true, true, false])]
    #[case(None, Some(1), Some(2), "1 to 2", [true, true, false])]
    fn hold_for_numbers_within(
        #[case] is: Option<u64>,
        #[case] least: Option<u64>,
        #[case] most: Option<u64>,
        #[case] shown: &str,
        #[case] hold_for_1_2_3: [bool; 3],
    ) {
        let bounds = Bounds::new("count", at(is), at(least), at(most)).unwrap();
        assert_eq!((bounds.to_string().as_str(), [1, 2, 3].map(|n| bounds.hold(n))), (shown, hold_for_1_2_3));
    }

    #[rstest]
    #[case(None, None, None, "does not say how many")]
    #[case(Some(1), None, Some(2), "has `is` and limits as well")]
    #[case(None, Some(3), Some(2), "can never be at least 3 and at most 2")]
    fn nonsense_is_rejected(
        #[case] is: Option<u64>,
        #[case] least: Option<u64>,
        #[case] most: Option<u64>,
        #[case] message: &str,
    ) {
        let error = Bounds::new("count", at(is), at(least), at(most)).unwrap_err();
        assert!(error.starts_with(&format!("`count` {message}\nhint: ")), "{error}");
    }
}

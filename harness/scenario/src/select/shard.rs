//! `--shard 2/3`: one of several equal parts, for machines that share the work.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::text::TextError;

/// The `index`-th of `count` parts, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: NonZeroUsize,
    count: NonZeroUsize,
}

impl Shard {
    /// Every `count`-th item from the `index`-th on. Together the parts are the whole, and no two have an item in common;
    /// items next to each other, which are of one area and take alike, go to different parts.
    pub fn part<T>(self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        items.into_iter().skip(self.index.get() - 1).step_by(self.count.get()).collect()
    }
}

impl FromStr for Shard {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Shard, TextError> {
        let wrong = |why: &str, hint: &str| TextError::new(format!("`{text}` is not a shard: {why}"), hint);
        let form = "write INDEX/COUNT, such as `1/3` for the first of three parts";
        let (index, count) = text.split_once('/').ok_or_else(|| wrong("there is no `/`", form))?;
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse::<usize>().ok() } else { None }
        };
        let index = number(index).ok_or_else(|| wrong("its index is not a number", form))?;
        let count = number(count).ok_or_else(|| wrong("its count is not a number", form))?;
        let count = NonZeroUsize::new(count).ok_or_else(|| wrong("nothing is cut into 0 parts", form))?;
        let index = NonZeroUsize::new(index).ok_or_else(|| wrong("parts are counted from 1", form))?;
        if index > count {
            let hint = format!("the last part is `{count}/{count}`");
            return Err(TextError::new(format!("`{text}` is not a shard: there are only {count} parts"), hint));
        }
        Ok(Shard { index, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn says_what_is_wrong() {
        let texts = ["", "1", "0/3", "4/3", "1/0", "a/3", "1/-3", "1/3/5", "+1/3", "1/99999999999999999999"];
        let said = texts.map(|text| {
            let error = text.parse::<Shard>().unwrap_err();
            format!("{} ({})", error.message, error.hint)
        });
        insta::assert_snapshot!(said.join("\n"), @"
        `` is not a shard: there is no `/` (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `1` is not a shard: there is no `/` (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `0/3` is not a shard: parts are counted from 1 (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `4/3` is not a shard: there are only 3 parts (the last part is `3/3`)
        `1/0` is not a shard: nothing is cut into 0 parts (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `a/3` is not a shard: its index is not a number (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `1/-3` is not a shard: its count is not a number (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `1/3/5` is not a shard: its count is not a number (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `+1/3` is not a shard: its index is not a number (write INDEX/COUNT, such as `1/3` for the first of three parts)
        `1/99999999999999999999` is not a shard: its count is not a number (write INDEX/COUNT, such as `1/3` for the first of three parts)
        ");
    }

    proptest! {
        #[test]
        fn parts_make_up_the_whole(items in 0_usize..200, count in 1_usize..20) {
            let parts: Vec<Vec<usize>> = (1..=count)
                .map(|index| format!("{index}/{count}").parse::<Shard>().unwrap().part(0..items))
                .collect();
            let mut whole = parts.concat();
            whole.sort_unstable();
            prop_assert_eq!(whole, (0..items).collect::<Vec<_>>());
            let sizes = parts.iter().map(Vec::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }
    }
}

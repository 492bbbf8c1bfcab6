//! Keys that exclude one another: exactly one of them says what a step does.

use serde_json::{Value, json};

use crate::names;
use crate::text::HINT;

/// The one thing that is given. `noun` is what the keys are called, `example` one of them as authors write it.
///
/// # Errors
/// None is given, or several are; with what could be written as a hint.
pub(crate) fn one_of<T, const N: usize>(
    what: &str,
    noun: &str,
    example: &str,
    choices: [(&'static str, Option<T>); N],
) -> Result<T, String> {
    let keys: Vec<&str> = choices.iter().map(|(key, _)| *key).collect();
    let hint = format!("{HINT}write one of {}, such as `{example}`", names::list(&keys));
    let mut given: Vec<(&str, T)> = choices.into_iter().filter_map(|(key, choice)| Some((key, choice?))).collect();
    match given.len() {
        0 => Err(format!("`{what}` has no {noun}{hint}")),
        1 => Ok(given.swap_remove(0).1),
        _ => {
            let keys: Vec<&str> = given.iter().map(|(key, _)| *key).collect();
            Err(format!("`{what}` takes one {noun}, this one has {}{hint}", names::list(&keys)))
        }
    }
}

/// The same for the schema: each of the keys alone.
pub(crate) fn required(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({ "required": [key] })).collect()
}

/// Rejects keys that mean nothing beside the chosen one: (key, whether it is given, the keys that it belongs to).
///
/// # Errors
/// The first such key, with what it belongs to as a hint.
pub(crate) fn no_strays(chosen: &str, keys: &[(&str, bool, &[&str])]) -> Result<(), String> {
    match keys.iter().find(|(_, given, belongs)| *given && !belongs.contains(&chosen)) {
        Some((key, _, belongs)) => Err(format!(
            "`{key}` means nothing beside `{chosen}`{HINT}it belongs to {}: remove it, or check by that instead",
            names::list(belongs)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one([None, Some(2)], Ok(2))]
    #[case::none([None, None], Err("`step` has no side\nhint: write one of `left` and `right`, such as `left: 1`"))]
    #[case::both([Some(1), Some(2)], Err("`step` takes one side, this one has `left` and `right`\nhint: write one of `left` and `right`, such as `left: 1`"))]
    fn takes_exactly_one(#[case] given: [Option<i32>; 2], #[case] expected: Result<i32, &str>) {
        let [left, right] = given;
        let taken = one_of("step", "side", "left: 1", [("left", left), ("right", right)]);
        assert_eq!(taken, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_stray_key_says_where_it_belongs() {
        let keys: [(&str, bool, &[&str]); 2] = [("equals", false, &["path"]), ("objects", true, &["cel"])];
        assert_eq!(no_strays("cel", &keys), Ok(()));
        assert_eq!(
            no_strays("path", &keys),
            Err(
                "`objects` means nothing beside `path`\nhint: it belongs to `cel`: remove it, or check by that instead"
                    .into()
            )
        );
    }
}

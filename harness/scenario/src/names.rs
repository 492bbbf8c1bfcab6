//! Lists of names in messages, and the nearest one to what was written.

use std::fmt;

/// The known name that was probably meant, if one is near enough.
pub fn nearest<'n>(written: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let written = written.to_lowercase().replace(['_', ' '], "-");
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, name), strsim::damerau_levenshtein(&written, name), name))
        // A third of the letters may be wrong; or one name starts with the other (`resource` for `resources`).
        .filter(|(similarity, edits, name)| *edits <= name.len().max(3) / 3 || *similarity > 0.9)
        .min_by(|a, b| a.1.cmp(&b.1).then(b.0.total_cmp(&a.0)))
        .map(|(_, _, name)| name)
}

/// `a`, `b` and `c`. Names that start with `$` are not for authors.
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    let names = names.iter().map(AsRef::as_ref).filter(|name| !name.starts_with('$'));
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none".into(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// `a`, `b and c`, `a, b and c`, for texts in which names stand without quotes.
pub fn and<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [most @ .., one, last] => {
            let before: String = most.iter().map(|item| format!("{item}, ")).collect();
            format!("{before}{one} and {last}")
        }
        [one] => one.clone(),
        [] => "nothing".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("bugdet", Some("budget"))]
    #[case("Phase", Some("phase"))]
    #[case("roll_back", Some("rollback"))]
    #[case("phases", Some("phase"))]
    #[case("xyzzy", None)]
    #[case("", None)]
    fn finds_what_was_meant(#[case] written: &str, #[case] meant: Option<&str>) {
        assert_eq!(nearest(written, ["phase", "budget", "steps", "rollback"]), meant);
    }
}

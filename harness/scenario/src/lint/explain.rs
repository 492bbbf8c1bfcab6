//! `ferry lint --explain F113`: a rule, why it is one, and an example of both sides.

use std::fmt::Write as _;

use super::{PARSE_RULES, Rule, all_rules, allow};

/// What there is to say of a rule, by its code or its name.
///
/// # Errors
/// If there is no such rule: what was asked for, and the nearest name.
pub fn explain(asked: &str) -> Result<String, String> {
    let rules: Vec<Rule> = PARSE_RULES.iter().copied().chain(all_rules()).collect();
    let Some(rule) = rules.iter().find(|r| r.code.eq_ignore_ascii_case(asked) || r.name.eq_ignore_ascii_case(asked))
    else {
        let meant = allow::nearest(asked, &rules).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("there is no rule `{asked}`{meant}"));
    };
    let mut text = format!("{} {} ({})\n\n{}\n", rule.code, rule.name, rule.severity, rule.explain);
    for (title, example, files) in
        [("breaks it", rule.failing, rule.failing_files), ("does not", rule.passing, rule.passing_files)]
    {
        if example.is_empty() && files.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{title}:\n{}", indented(example));
        for (path, content) in files {
            let _ = write!(text, "  with {path}:\n{}", indented(&indented(content)));
        }
    }
    Ok(text)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("  {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_code_or_name() {
        insta::assert_snapshot!(explain("sync-path").unwrap(), @"");
        assert_eq!(explain("f305"), explain("sync-path"));
        insta::assert_snapshot!(explain("E005").unwrap(), @"");
        insta::assert_snapshot!(explain("sync-paht").unwrap_err(), @"");
        insta::assert_snapshot!(explain("F999").unwrap_err(), @"");
    }
}

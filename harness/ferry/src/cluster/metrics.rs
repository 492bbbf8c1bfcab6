//! The Prometheus text format, read strictly: a page that is not understood must not look like one without the metric.

use std::collections::BTreeMap;

/// One line of a metrics page.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// A line that is no series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics page is not understood: {why}: {text:?}")]
pub struct MetricsError {
    /// Its number, from 1.
    line: usize,
    /// What is wrong with it.
    why: &'static str,
    /// Its beginning.
    text: String,
}

/// Every series of a page.
///
/// # Errors
/// The first line that is neither blank, nor a comment, nor `name{labels} value [timestamp]`.
pub fn parse(page: &str) -> Result<Vec<Series>, MetricsError> {
    let lines = page.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    let series = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    series
        .map(|(number, line)| {
            read(line).map_err(|why| MetricsError { line: number, why, text: line.chars().take(120).collect() })
        })
        .collect()
}

fn read(line: &str) -> Result<Series, &'static str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (name, mut rest) = line.split_at(line.find(|c| !word(c)).unwrap_or(line.len()));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("it does not begin with a name");
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.split_once('=').ok_or("a label has no `=`")?;
            if label.trim().is_empty() || !label.trim().chars().all(word) {
                return Err("a label has an odd name");
            }
            let (value, after) = quoted(after.trim_start())?;
            labels.insert(label.trim().to_owned(), value);
            rest = after.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(after) => after.trim_start(),
                None if rest.starts_with('}') => rest,
                None => return Err("labels are not separated by commas"),
            };
        }
    }
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("it has no value")?;
    // Rust reads `NaN`, `+Inf` and `-Inf` as Prometheus writes them.
    let value: f64 = value.parse().map_err(|_| "its value is no number")?;
    if words.next().is_some_and(|timestamp| timestamp.parse::<i64>().is_err()) || words.next().is_some() {
        return Err("something odd follows its value");
    }
    Ok(Series { name: name.to_owned(), labels, value })
}

/// A text in quotes, and what follows.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let inside = text.strip_prefix('"').ok_or("a label's value has no quotes")?;
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &inside[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                _ => return Err("a label's value has an odd escape"),
            },
            c => value.push(c),
        }
    }
    Err("a label's value does not end")
}

/// The sum over all series of a name that have these labels, and how many there are; none if there is no such series.
pub fn sum(series: &[Series], name: &str, labels: &BTreeMap<String, String>) -> Option<(f64, usize)> {
    let fits = |s: &&Series| s.name == name && labels.iter().all(|(key, value)| s.labels.get(key) == Some(value));
    let values: Vec<f64> = series.iter().filter(fits).map(|s| s.value).collect();
    (!values.is_empty()).then(|| (values.iter().sum(), values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const PAGE: &str = r#"
# HELP flux_instance_info The current status of a Flux instance
# TYPE flux_instance_info gauge
flux_instance_info{name="flux",ready="True",reason="ReconciliationSucceeded",revision="v2.9.4@sha256:ab\"c\\d\n"} 1
flux_resource_info{kind="Kustomization",ready="True"} 1
flux_resource_info{kind="Kustomization",ready="True", } 1 1700000000000
flux_resource_info{kind="GitRepository",ready="False"} 1
go_gc_duration_seconds{quantile="0.5"} 4.5e-05
rest_client_bucket{le="+Inf"} +Inf
empty{} NaN
up 1
"#;

    fn labels<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
        labels.map(|(key, value)| (key.into(), value.into())).into()
    }

    #[test]
    fn reads_a_page() {
        let series = parse(PAGE).unwrap();
        assert_eq!(series.len(), 8);
        assert_eq!(series[0].labels["revision"], "v2.9.4@sha256:ab\"c\\d\n");
        assert_eq!((series[4].value, series[5].value), (4.5e-5, f64::INFINITY));
        assert!(series[6].value.is_nan() && series[6].labels.is_empty());
    }

    #[rstest]
    #[case("flux_resource_info", labels([]), Some((3.0, 3)))]
    #[case("flux_resource_info", labels([("kind", "Kustomization"), ("ready", "True")]), Some((2.0, 2)))]
    #[case("flux_resource_info", labels([("kind", "Bucket")]), None)]
    #[case("flux_resource", labels([]), None)]
    #[case("up", labels([]), Some((1.0, 1)))]
    fn sums(#[case] name: &str, #[case] wanted: BTreeMap<String, String>, #[case] expected: Option<(f64, usize)>) {
        assert_eq!(sum(&parse(PAGE).unwrap(), name, &wanted), expected);
    }

    #[rstest]
    #[case("<html>", "it does not begin with a name")]
    #[case("1up 1", "it does not begin with a name")]
    #[case("up", "it has no value")]
    #[case("up one", "its value is no number")]
    #[case("up 1 2 3", "something odd follows its value")]
    #[case("up{a} 1", "a label has no `=`")]
    #[case("up{a=1} 1", "a label's value has no quotes")]
    #[case("up{a=\"1} 1", "a label's value does not end")]
    #[case("up{a=\"\\x\"} 1", "a label's value has an odd escape")]
    #[case("up{a=\"1\" b=\"2\"} 1", "labels are not separated by commas")]
    #[case("up{a b=\"1\"} 1", "a label has an odd name")]
    fn what_is_no_series_is_an_error(#[case] line: &str, #[case] why: &str) {
        let error = parse(&format!("up 1\n{line}")).unwrap_err();
        assert_eq!(error.to_string(), format!("line 2 of the metrics page is not understood: {why}: {line:?}"));
    }

    proptest! {
        #[test]
        fn never_panics(page in r#"([a-z_]{1,4}|[{}",=\\ \n#é]|[0-9.]{1,3}){0,40}"#) {
            let _ = parse(&page);
        }

        #[test]
        fn labels_survive_the_round_trip(value in ".{0,20}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            prop_assume!(!value.contains(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']));
            let series = parse(&format!("up{{a=\"{escaped}\"}} 1")).unwrap();
            prop_assert_eq!(&series[0].labels["a"], &value);
        }
    }
}

//! `--format sarif`: SARIF 2.1.0, for code scanning.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Severity};
use crate::lint::{PARSE_RULES, Rule, all_rules};

/// One run, with the rules that were broken and every finding.
pub fn sarif(found: &[Diagnostic]) -> String {
    let known: Vec<Rule> = PARSE_RULES.iter().copied().chain(all_rules()).collect();
    let broken: BTreeMap<&str, Option<&Rule>> =
        found.iter().map(|d| (d.code, known.iter().find(|rule| rule.code == d.code))).collect();
    let rules: Vec<Value> = broken.iter().map(|(code, rule)| described(code, *rule)).collect();
    let indices: Vec<&str> = broken.keys().copied().collect();
    let results: Vec<Value> = found
        .iter()
        .map(|d| {
            let place = d.place();
            let help = d.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            json!({
                "ruleId": d.code,
                "ruleIndex": indices.iter().position(|code| *code == d.code),
                "level": level(d.severity),
                "message": {"text": format!("{}{help}", d.message)},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(&place.file)},
                    "region": {"startLine": place.line, "startColumn": place.column},
                }}],
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "ferry", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn described(code: &str, rule: Option<&Rule>) -> Value {
    match rule {
        None => json!({"id": code}),
        Some(rule) => json!({
            "id": code,
            "name": rule.name,
            "shortDescription": {"text": rule.name.replace('-', " ")},
            "fullDescription": {"text": rule.explain},
            "defaultConfiguration": {"level": level(rule.severity)},
        }),
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A path as a relative URI: what is neither a letter nor plain punctuation is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_whole_output() {
        insta::assert_snapshot!(super::sarif(&crate::lint::format::tests::examples()), @"");
    }
}

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
        insta::assert_snapshot!(super::sarif(&crate::lint::format::tests::examples()), @r#"
        {
          "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
          "runs": [
            {
              "columnKind": "unicodeCodePoints",
              "results": [
                {
                  "level": "error",
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "a%20b/100%25%2Cx.yaml"
                        },
                        "region": {
                          "startColumn": 13,
                          "startLine": 15
                        }
                      }
                    }
                  ],
                  "message": {
                    "text": "a `:` where none can be (check the indentation, and put text that contains `: ` in quotes)"
                  },
                  "ruleId": "E003",
                  "ruleIndex": 0
                },
                {
                  "level": "error",
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "scenarios/example-area/example.yaml"
                        },
                        "region": {
                          "startColumn": 11,
                          "startLine": 1
                        }
                      }
                    }
                  ],
                  "message": {
                    "text": "the scenario has no probes (add one, such as `probes: [http: {name: web, node-port: 30080}]`)"
                  },
                  "ruleId": "F105",
                  "ruleIndex": 1
                },
                {
                  "level": "warning",
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "scenarios/example-area/example.yaml"
                        },
                        "region": {
                          "startColumn": 11,
                          "startLine": 15
                        }
                      }
                    }
                  ],
                  "message": {
                    "text": "`a` is in `tags` twice (remove one of the two)"
                  },
                  "ruleId": "F126",
                  "ruleIndex": 2
                }
              ],
              "tool": {
                "driver": {
                  "name": "ferry",
                  "rules": [
                    {
                      "defaultConfiguration": {
                        "level": "error"
                      },
                      "fullDescription": {
                        "text": "The text is not YAML; nothing after the first such mistake can be trusted, so only that one is reported."
                      },
                      "id": "E003",
                      "name": "yaml",
                      "shortDescription": {
                        "text": "yaml"
                      }
                    },
                    {
                      "defaultConfiguration": {
                        "level": "error"
                      },
                      "fullDescription": {
                        "text": "Without a probe no request is ever sent, and none can be lost."
                      },
                      "id": "F105",
                      "name": "no-probes",
                      "shortDescription": {
                        "text": "no probes"
                      }
                    },
                    {
                      "defaultConfiguration": {
                        "level": "warning"
                      },
                      "fullDescription": {
                        "text": "What is listed twice is either one too many, or was meant to be another."
                      },
                      "id": "F126",
                      "name": "repeated",
                      "shortDescription": {
                        "text": "repeated"
                      }
                    }
                  ],
                  "version": "0.1.0"
                }
              }
            }
          ],
          "version": "2.1.0"
        }
        "#);
    }
}

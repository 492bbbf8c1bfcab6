//! A scenario is called like its file.

use std::path::Path;

use crate::lint::{Rule, ScenarioRule};

pub const NAME_OF_FILE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F104",
        name: "name-of-file",
        explain: "Runs, reports and tests name a scenario by its file; a second name inside it would lead astray.",
        failing: "scenario: another",
        passing: "scenario: example",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let Some(stem) = Path::new(scenario.source.name()).file_stem().and_then(|s| s.to_str()) else { return };
        if findings.is_file() && stem != scenario.scenario.as_str() {
            findings.report(
                &NAME_OF_FILE.rule,
                scenario.scenario.span,
                format!("the scenario calls itself `{}`, its file `{stem}`", scenario.scenario),
                format!("write `scenario: {stem}`, or rename the file"),
            );
        }
    },
};

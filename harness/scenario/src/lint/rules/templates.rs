//! Files that are templates must render.

use crate::lint::{Findings, Rule, ScenarioRule};
use crate::span::{Source, Span};
use crate::vars::{TEMPLATE, TemplateError};

pub const TEMPLATE_FILE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F150",
        name: "template-file",
        explain: "Files of the fleet, and beside the scenario, that end in `.j2` are rendered with the scenario's variables, \
                  and lose that ending. One that cannot be rendered would end the run before it has begun.",
        failing: "vars: {greeting: hello}",
        failing_files: &[("fleets/web/apps/greeting.yaml.j2", "greeting: {{ greting }}\n")],
        passing: "vars: {greeting: hello}",
        passing_files: &[("fleets/web/apps/greeting.yaml.j2", "greeting: {{ greeting }}\n")],
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let area = crate::folders::area(scenario);
        let mut templates = findings.files().list(scenario.fleet.as_str());
        if !area.is_empty() {
            templates.extend(findings.files().list(area));
        }
        templates.retain(|path| path.ends_with(TEMPLATE));
        for path in templates {
            let Some(text) = findings.files().read(&path) else { continue };
            if let Err(error) = scenario.variables.render(&text) {
                report(findings, &path, &text, &error);
            }
        }
    },
};

/// The finding, in the template's own file.
fn report(findings: &mut Findings<'_>, path: &str, text: &str, error: &TemplateError) {
    let range = error.range().unwrap_or(0..0);
    let before = text.get(..range.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let span = Span {
        offset: range.start as u32,
        len: range.len() as u32,
        line: before.matches('\n').count() as u32 + 1,
        column: before[line_start..].chars().count() as u32 + 1,
    };
    let source = Source::new(&findings.files().shown(path), text);
    findings.report_in(&TEMPLATE_FILE.rule, &source, span, error.to_string(), error.hint());
}

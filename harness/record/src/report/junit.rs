//! The run as JUnit XML: a suite for the scenario in its cell, a case for each phase and each finding.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::sections::{self, Section};
use super::{ReportError, headline, next};
use crate::event::{Nanos, Outcome};
use crate::fmt;
use crate::fold::{Phase, RunState};
use crate::verdict::{Finding, Judgement, Verdict};

/// The report as XML text.
///
/// When the run ended as its scenario expects, no case fails: what the findings say is in their output.
///
/// # Errors
/// The XML cannot be written.
pub fn xml(run: &RunState, judgement: &Judgement) -> Result<String, ReportError> {
    report(run, judgement).to_string().map_err(ReportError::Junit)
}

fn report(run: &RunState, judgement: &Judgement) -> Report {
    let (scenario, cell) = run.started.as_ref().map_or(("unknown", "unknown"), |s| (&s.scenario, &s.cell));
    let mut suite = TestSuite::new(format!("{scenario} [{cell}]"));
    suite.set_time(Duration::from_nanos(run.now));
    suite.add_property(("verdict", judgement.verdict.as_str()));
    suite.add_property(("as-expected", if judgement.as_expected { "true" } else { "false" }));
    if let Some(started) = &run.started {
        let wall = started.wall.to_string();
        for (name, value) in [("run", &started.run), ("ferry", &started.ferry), ("started", &wall)] {
            suite.add_property(Property::new(name, value));
        }
        suite.add_properties(started.host.iter().map(|(k, v)| Property::new(format!("host.{k}"), v)));
    }
    suite.add_properties(run.facts.iter().map(|(k, v)| Property::new(k, v)));

    let class = scenario.replace('/', ".");
    for (index, phase) in run.phases.iter().enumerate() {
        let mut case = phase_case(run, index, phase, judgement.as_expected);
        case.set_classname(format!("{class}.phase"));
        suite.add_test_case(case);
    }
    for finding in &judgement.findings {
        let mut case = finding_case(finding, judgement.as_expected);
        case.set_classname(format!("{class}.rule"));
        suite.add_test_case(case);
    }
    let mut said = format!("{scenario} [{cell}]: {}", headline(judgement));
    next(run, judgement).iter().for_each(|todo| said += &format!("\nnext: {todo}"));
    sections::all(run).into_iter().for_each(|section| said += &told(section));
    suite.set_system_out(said);

    let mut report = Report::new("ferry");
    report.set_time(Duration::from_nanos(run.now));
    report.add_test_suite(suite);
    report
}

/// A section as lines of text.
fn told(section: Section) -> String {
    /// Rows written; the page and the record have more.
    const MAX_ROWS: usize = 100;
    let section = section.at_most(MAX_ROWS);
    let mut text = format!("\n\n{} ({})", section.title, section.about);
    for row in &section.rows {
        let cells: Vec<String> = row.cells.iter().map(|cell| cell.replace('\n', ", ")).collect();
        text += &format!("\n{} {}", if row.bad { "!" } else { "-" }, cells.join(" | ").trim_end_matches([' ', '|']));
    }
    section.more().into_iter().for_each(|more| text += &format!("\n{more}"));
    text
}

fn phase_case(run: &RunState, index: usize, phase: &Phase, as_expected: bool) -> TestCase {
    let name = format!("phase {}: {}", index + 1, phase.info.name);
    let not_good = |kind, message: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message);
        status
    };
    let status = match (&phase.outcome, phase.started) {
        (Some(Outcome::Done), _) => TestCaseStatus::success(),
        (Some(Outcome::Skipped), _) | (None, None) => TestCaseStatus::skipped(),
        _ if as_expected => TestCaseStatus::success(),
        (Some(Outcome::Failed { error, .. }), _) => not_good(NonSuccessKind::Failure, error),
        (Some(Outcome::Cancelled) | None, _) => not_good(NonSuccessKind::Error, "interrupted"),
    };
    let mut case = TestCase::new(name, status);
    if let Some(started) = phase.started {
        let ended: Nanos = phase.ended.unwrap_or(run.now);
        case.set_time(Duration::from_nanos(ended.saturating_sub(started)));
    }
    let steps: Vec<String> = run.steps.values().filter(|s| s.phase == index).map(|s| step_line(run, s)).collect();
    if !steps.is_empty() {
        case.set_system_out(steps.join("\n"));
    }
    case
}

fn step_line(run: &RunState, step: &crate::fold::Step) -> String {
    let indent = "  ".repeat(run.depth(step));
    let took = step.ended.map_or("unfinished".into(), |end| fmt::duration(end.saturating_sub(step.started)));
    let error = step.outcome.as_ref().and_then(Outcome::error).map_or(String::new(), |e| format!(" failed: {e}"));
    format!("{indent}{} {}: {} ({took}){error}", step.index + 1, step.kind, step.title)
}

fn finding_case(finding: &Finding, as_expected: bool) -> TestCase {
    let kind = match finding.verdict {
        Verdict::Pass => None,
        _ if as_expected => None,
        Verdict::Fail => Some(NonSuccessKind::Failure),
        Verdict::Inconclusive | Verdict::Infra | Verdict::Cancelled => Some(NonSuccessKind::Error),
    };
    let details = finding.details.join("\n");
    match kind {
        None => {
            let mut case = TestCase::new(&finding.rule, TestCaseStatus::success());
            case.set_system_out([format!("{}: {}", finding.verdict, finding.message), details].join("\n").trim_end());
            case
        }
        Some(kind) => {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(finding.verdict.as_str()).set_message(&finding.message);
            if !details.is_empty() {
                status.set_description(details);
            }
            TestCase::new(&finding.rule, status)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Expectation, Failure};
    use crate::testing::Record;
    use crate::verdict::judge;

    fn failing() -> Record {
        let error = "not ready: <none> & \"nothing\" \u{1b}[31mred\u{1b}[0m".to_owned();
        Record::good()
            .outcome(Outcome::Failed { error, hint: None })
            .fail(250, Failure::Refused)
            .with(1, EventKind::Fact { key: "image.flux-operator".into(), value: "sha256:0123".into() })
    }

    fn xml_of(record: Record) -> String {
        let run = record.fold();
        xml(&run, &judge(&run)).unwrap()
    }

    #[test]
    fn a_failing_run() {
        insta::assert_snapshot!(xml_of(failing()));
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for record in [Record::good(), failing(), failing().cancelled("SIGTERM"), Record::good().infra("engine")] {
            let run = record.fold();
            let text = xml(&run, &judge(&run)).unwrap();
            let back = Report::deserialize_from_str(&text).unwrap();
            assert_eq!(back.to_string().unwrap(), text);
            assert_eq!(back.tests, back.test_suites[0].test_cases.len());
        }
    }

    #[test]
    fn a_run_that_ends_as_expected_has_no_failing_case() {
        let expect = Expectation { verdict: Verdict::Fail, rule: None, holds: vec![] };
        let back = Report::deserialize_from_str(&xml_of(failing().expect(Some(expect)))).unwrap();
        assert_eq!((back.failures, back.errors), (0, 0));
        assert!(xml_of(failing()).contains("failures=\"3\""));
    }
}

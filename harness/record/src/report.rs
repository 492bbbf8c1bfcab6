//! What people and machines read: each report is a function of the folded run and its judgement.

pub mod compare;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod sections;
pub mod text;

use std::path::Path;

use serde::Serialize;

use crate::fold::{ProbeState, RunState};
use crate::stats::Percentiles;
use crate::verdict::{Finding, Judgement, Verdict};
use crate::{expectation, fmt};

/// Name of the page in a run's folder.
pub const HTML_FILE: &str = "index.html";
/// Name of the JUnit file in a run's folder.
pub const JUNIT_FILE: &str = "junit.xml";
/// Name of the summary in a run's folder.
pub const MARKDOWN_FILE: &str = "summary.md";
/// Key of the fact that says how a run compares with earlier ones, and first part of the keys of what it says in detail.
pub const HISTORY: &str = "history";

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The page's template refused the data.
    #[error("could not render the HTML report")]
    Html(#[source] minijinja::Error),
    /// The run has no XML form.
    #[error("could not write the JUnit report")]
    Junit(#[source] quick_junit::SerializeError),
    /// A file could not be written. Its path is in `source`.
    #[error("could not save a report")]
    Write(#[source] std::io::Error),
}

/// Writes the page, the JUnit file and the summary into a run's folder.
///
/// # Errors
/// A report cannot be made or saved.
pub fn write(folder: &Path, run: &RunState, judgement: &Judgement) -> Result<(), ReportError> {
    let page = html::page(run, judgement)?;
    let junit = junit::xml(run, judgement)?;
    fs_err::write(folder.join(HTML_FILE), page).map_err(ReportError::Write)?;
    fs_err::write(folder.join(JUNIT_FILE), junit).map_err(ReportError::Write)?;
    fs_err::write(folder.join(MARKDOWN_FILE), markdown::summary(run, judgement)).map_err(ReportError::Write)
}

/// One probe in numbers, as people read them. What is not known is a dash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeRow {
    /// `name/place/connection`.
    pub probe: String,
    /// Samples taken.
    pub samples: String,
    /// Samples failed.
    pub failed: String,
    /// Number of outages.
    pub outages: String,
    /// Longest outage.
    pub longest: String,
    /// Median latency.
    pub p50: String,
    /// 99th percentile of the latency.
    pub p99: String,
    /// Highest latency.
    pub max: String,
    /// 99th percentile of the slip.
    pub slip: String,
    /// Share of the planned samples that were taken on time.
    pub on_time: String,
}

const NONE: &str = "–";

/// The probes in numbers.
pub fn probe_rows(run: &RunState) -> Vec<ProbeRow> {
    run.probes.iter().map(|(name, probe)| probe_row(name, probe, run)).collect()
}

fn probe_row(name: &str, probe: &ProbeState, run: &RunState) -> ProbeRow {
    let latency = probe.total.latency.percentiles();
    let show = |percentiles: Option<Percentiles>, pick: fn(&Percentiles) -> u64| {
        percentiles.map_or(NONE.to_owned(), |p| fmt::latency(pick(&p)))
    };
    let outages = probe.outages().count() as u64 + probe.outages_dropped;
    let longest = probe.outages().map(|o| o.span.len()).max();
    ProbeRow {
        probe: name.to_owned(),
        samples: fmt::number(probe.total.taken),
        failed: fmt::number(probe.total.failed),
        outages: fmt::number(outages),
        longest: longest.map_or(NONE.to_owned(), fmt::precise),
        p50: show(latency, |p| p.p50),
        p99: show(latency, |p| p.p99),
        max: show(latency, |p| p.max),
        slip: show(probe.total.slip.percentiles(), |p| p.p99),
        on_time: fmt::percent(probe.total.on_time(), probe.planned(run.known_until()).max(probe.total.taken)),
    }
}

/// Where a piece of the time went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeRow {
    /// The activity or phase.
    pub name: String,
    /// When it began, since the start; empty for sums.
    pub at: String,
    /// How long it took.
    pub took: String,
    /// Its share of the whole.
    pub share: String,
}

/// Where the time went: activities and phases by start, then the harness's own share, then the whole.
pub fn time_rows(run: &RunState) -> Vec<TimeRow> {
    let times = run.times();
    let row = |name: &str, at: String, ns| TimeRow {
        name: name.to_owned(),
        at,
        took: fmt::duration(ns),
        share: if times.total == 0 { NONE.to_owned() } else { fmt::percent(ns, times.total) },
    };
    let mut rows: Vec<_> =
        times.rows.iter().map(|(name, span)| row(name, fmt::since_start(span.from), span.len())).collect();
    rows.push(row("harness's own", String::new(), times.own));
    rows.push(row("total", String::new(), times.total));
    rows
}

/// What the reader may want to do next, one sentence each.
pub fn next(run: &RunState, judgement: &Judgement) -> Vec<String> {
    let scenario = run.started.as_ref().map_or("SCENARIO", |s| s.scenario.as_str());
    let decided_by = |rule: &str| judgement.deciding().any(|f| f.rule == rule);
    let mut next = Vec::new();
    let expect = run.started.as_ref().and_then(|s| s.expect.as_ref());
    match judgement.verdict {
        _ if judgement.as_expected => {}
        verdict if expect.is_some_and(|expect| expect.verdict == verdict) => {
            next.extend(expect.iter().flat_map(|expect| expectation::unmet(expect, verdict, &judgement.findings)));
        }
        Verdict::Pass => next.push(
            "the run passed where its scenario expects otherwise: what it is meant to catch was not caught".to_owned(),
        ),
        Verdict::Fail => {
            let failed = run.own_steps().find(|s| s.outcome.as_ref().is_some_and(|o| o.error().is_some()));
            if let Some(place) = failed.and_then(|s| s.place.as_ref()) {
                next.push(format!("look at {place} and at what its wait saw last"));
            }
            if decided_by("no-lost-request") || decided_by("budget") {
                next.push(
                    "follow the outage up the time axis, and look at what changed around it below the outage"
                        .to_owned(),
                );
            }
        }
        Verdict::Infra => {
            next.extend(run.infra.iter().filter(|t| !t.after_verdict).filter_map(|trouble| trouble.hint.clone()));
            next.push(format!("check the machine with `ferry doctor`, then `ferry run {scenario}` again"));
        }
        Verdict::Inconclusive => {
            if decided_by("evidence") || decided_by("no-lost-request") || decided_by("budget") {
                next.push("give the machine fewer things to do at once: the sampler did not get its turn".to_owned());
            }
            next.push(format!("`ferry run {scenario}` again"));
        }
        Verdict::Cancelled => next.push(format!("`ferry run {scenario}` again")),
    }
    for trouble in run.infra.iter().filter(|t| t.after_verdict) {
        let hint = trouble.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        next.push(format!("after the verdict, {}: {}{hint}", trouble.what, trouble.error));
    }
    next
}

/// How the run ended, in a few words: `fail, as expected`.
pub fn headline(judgement: &Judgement) -> String {
    match (judgement.verdict, judgement.as_expected) {
        (Verdict::Pass, true) => "pass".into(),
        (Verdict::Pass, false) => "pass, but not as expected".into(),
        (verdict, true) => format!("{verdict}, as expected"),
        (verdict, false) => verdict.to_string(),
    }
}

/// Details of a finding that are told where there is little room.
const FEW_DETAILS: usize = 4;

/// What decided, and what was expected and did not come, for a place with little room.
pub fn why(run: &RunState, judgement: &Judgement) -> Vec<String> {
    let mut why = Vec::new();
    for finding in judgement.deciding() {
        why.push(format!("{} {}", sign(finding.verdict), line(finding)));
        why.extend(finding.details.iter().take(FEW_DETAILS).map(|detail| format!("    {detail}")));
    }
    why.extend(next(run, judgement));
    why
}

/// The sign before a finding.
fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Inconclusive => "?",
        Verdict::Infra => "!",
        Verdict::Cancelled => "∎",
    }
}

/// `rule — message`.
fn line(finding: &Finding) -> String {
    format!("{} — {}", finding.rule, finding.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Expectation, Failure};
    use crate::testing::Record;
    use crate::verdict::judge;

    #[test]
    fn what_was_expected_and_did_not_come_is_named() {
        let expect = Expectation {
            verdict: Verdict::Fail,
            rule: Some("steps".into()),
            holds: vec!["evidence".into(), "budget".into(), "faults-seen".into()],
        };
        let run = Record::good().fail(200, Failure::Refused).expect(Some(expect)).fold();
        let judgement = judge(&run);
        assert!(!judgement.as_expected);
        insta::assert_snapshot!(why(&run, &judgement).join("\n"), @r"
        ✗ no-lost-request — 1 of 400 samples failed
            web/outside/new out for 50 ms from 12:00:10.000 (+0:10.000) to 12:00:10.050 (+0:10.050): refused ×1; phase take over, step 2 (install-operator it)
        ✗ budget — over budget: take over
            take over: 1 failed (allowed: 0), longest outage 50 ms (allowed: 0 ms)
        the scenario expects fail by steps: another rule decided
        the scenario expects budget to hold nevertheless, and it does not
        the scenario expects faults-seen to hold nevertheless, and it does not
        ");
    }
}

//! What the page shows, as text ready to be placed.

use serde::Serialize;

use super::timeline::Timeline;
use crate::attribution::{CauseKind, Causes};
use crate::event::{Level, Outcome};
use crate::fmt;
use crate::fold::{RunState, Step};
use crate::invariants;
use crate::report::sections::{self, Section};
use crate::report::{ProbeRow, TimeRow, headline, next, probe_rows, sign, time_rows};
use crate::verdict::Judgement;

/// Outages listed in the table; the axis shows all.
const MAX_OUTAGES: usize = 200;

/// Causes named of one outage, the likeliest.
const MAX_CAUSES: usize = 8;

/// Log lines shown, the latest; the record has all.
const MAX_LOG: usize = 1_000;

/// Reasons shown of a step's wait, the latest.
const MAX_REASONS: usize = 30;

#[derive(Debug, Serialize)]
pub struct View {
    headline: String,
    sign: &'static str,
    verdict: &'static str,
    as_expected: bool,
    scenario: String,
    summary: String,
    cell: String,
    run: String,
    ferry: String,
    started: String,
    figures: Vec<Figure>,
    findings: Vec<FindingView>,
    next: Vec<String>,
    timeline: Timeline,
    steps: Vec<StepView>,
    outages: Vec<OutageView>,
    outages_hidden: u64,
    sections: Vec<SectionView>,
    probes: Vec<ProbeRow>,
    times: Vec<TimeRow>,
    facts: Vec<(String, String)>,
    log: Vec<LogView>,
    log_hidden: u64,
}

/// A number worth a glance.
#[derive(Debug, Serialize)]
struct Figure {
    value: String,
    label: &'static str,
    bad: bool,
}

#[derive(Debug, Serialize)]
struct FindingView {
    sign: &'static str,
    verdict: &'static str,
    rule: String,
    message: String,
    demands: &'static str,
    details: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StepView {
    number: usize,
    depth: usize,
    phase: String,
    title: String,
    kind: String,
    place: String,
    at: String,
    took: String,
    deadline: String,
    outcome: &'static str,
    error: String,
    hint: String,
    reasons: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct OutageView {
    probe: String,
    from: String,
    to: String,
    took: String,
    failed: String,
    kinds: String,
    during: String,
    causes: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct SectionView {
    #[serde(flatten)]
    section: Section,
    more: Option<String>,
}

#[derive(Debug, Serialize)]
struct LogView {
    at: String,
    level: &'static str,
    message: String,
}

impl View {
    pub fn new(run: &RunState, judgement: &Judgement) -> Self {
        let started = run.started.as_ref();
        let text = |pick: fn(&crate::event::RunStarted) -> &str| started.map_or("", pick).to_owned();
        let outages = run.outages();
        let causes = Causes::new(run);
        let dropped: u64 = run.probes.values().map(|p| p.outages_dropped).sum();
        let mut facts: Vec<_> = run.facts.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        if let Some(started) = started {
            facts.extend(started.host.iter().map(|(k, v)| (format!("host {k}"), v.clone())));
        }
        let shown: Vec<_> = run.log.iter().filter(|l| l.level > Level::Debug).collect();
        let log_from = shown.len().saturating_sub(MAX_LOG);
        Self {
            headline: headline(judgement),
            sign: sign(judgement.verdict),
            verdict: judgement.verdict.as_str(),
            as_expected: judgement.as_expected,
            scenario: text(|s| &s.scenario),
            summary: text(|s| &s.summary),
            cell: text(|s| &s.cell),
            run: text(|s| &s.run),
            ferry: text(|s| &s.ferry),
            started: started.map_or(String::new(), |s| s.wall.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
            figures: figures(run, &outages, dropped),
            findings: findings(judgement),
            next: next(run, judgement),
            timeline: Timeline::new(run),
            steps: run.steps.values().map(|s| step(run, s)).collect(),
            outages: outages.iter().take(MAX_OUTAGES).map(|(probe, o)| outage(run, &causes, probe, o)).collect(),
            outages_hidden: outages.len().saturating_sub(MAX_OUTAGES) as u64 + dropped,
            sections: sections::all(run).into_iter().map(|s| SectionView { more: s.more(), section: s }).collect(),
            probes: probe_rows(run),
            times: time_rows(run),
            facts,
            log: shown[log_from..].iter().map(|l| log(l)).collect(),
            log_hidden: log_from as u64,
        }
    }
}

fn figures(run: &RunState, outages: &[(&str, &crate::intervals::Outage)], dropped: u64) -> Vec<Figure> {
    let (taken, failed) = run.sample_totals();
    let longest = outages.iter().map(|(_, o)| o.span.len()).max();
    let done = run.own_steps().filter(|s| s.outcome == Some(Outcome::Done)).count();
    let planned: usize = run.phases.iter().map(|p| p.info.steps).sum();
    let count = outages.len() as u64 + dropped;
    vec![
        Figure { value: fmt::number(taken), label: "samples", bad: taken == 0 },
        Figure { value: fmt::number(failed), label: "failed", bad: failed > 0 },
        Figure { value: fmt::number(count), label: "outages", bad: count > 0 },
        Figure { value: longest.map_or("none".into(), fmt::precise), label: "longest outage", bad: longest.is_some() },
        Figure { value: format!("{done} / {}", planned.max(done)), label: "steps done", bad: done < planned },
        Figure { value: fmt::duration(run.known_until()), label: "from command to verdict", bad: false },
    ]
}

fn findings(judgement: &Judgement) -> Vec<FindingView> {
    let demands = |rule: &str| invariants::TABLE.iter().find(|r| r.name() == rule).map_or("", |r| r.demands());
    judgement
        .findings
        .iter()
        .map(|f| FindingView {
            sign: sign(f.verdict),
            verdict: f.verdict.as_str(),
            rule: f.rule.clone(),
            message: f.message.clone(),
            demands: demands(&f.rule),
            details: f.details.clone(),
        })
        .collect()
}

fn step(run: &RunState, step: &Step) -> StepView {
    let (outcome, error, hint) = match &step.outcome {
        Some(Outcome::Done) => ("done", "", ""),
        Some(Outcome::Failed { error, hint }) => ("failed", error.as_str(), hint.as_deref().unwrap_or_default()),
        Some(Outcome::Skipped) => ("skipped", "", ""),
        Some(Outcome::Cancelled) => ("cancelled", "", ""),
        None => ("unfinished", "", ""),
    };
    let from = step.not_yet.len().saturating_sub(MAX_REASONS);
    StepView {
        number: step.index + 1,
        depth: run.depth(step),
        phase: run.phases.get(step.phase).map_or(String::new(), |p| p.info.name.clone()),
        title: step.title.clone(),
        kind: step.kind.clone(),
        place: step.place.as_ref().map_or(String::new(), ToString::to_string),
        at: fmt::since_start(step.started),
        took: step.ended.map_or("–".into(), |end| fmt::duration(end.saturating_sub(step.started))),
        deadline: step.deadline.map_or(String::new(), fmt::duration),
        outcome,
        error: error.to_owned(),
        hint: hint.to_owned(),
        reasons: step.not_yet[from..].iter().map(|(at, reason)| (fmt::since_start(*at), reason.clone())).collect(),
    }
}

fn outage(run: &RunState, causes: &Causes, probe: &str, outage: &crate::intervals::Outage) -> OutageView {
    let during = [
        run.phase_at(outage.span.from).map(|p| p.info.name.clone()),
        run.step_at(outage.span.from).map(|s| format!("{} {}", s.index + 1, s.title)),
    ];
    OutageView {
        probe: probe.to_owned(),
        from: run.when(outage.span.from),
        to: if outage.open { "end of samples".into() } else { run.when(outage.span.to) },
        took: fmt::precise(outage.span.len()),
        failed: fmt::number(outage.failed),
        kinds: outage.kinds.iter().map(|(k, n)| format!("{k} ×{}", fmt::number(*n))).collect::<Vec<_>>().join(", "),
        during: during.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        // The step is told beside them.
        causes: causes
            .of(run, probe, outage)
            .iter()
            .filter(|cause| cause.kind != CauseKind::Step)
            .take(MAX_CAUSES)
            .map(|cause| (cause.kind.as_str(), cause.to_string()))
            .collect(),
    }
}

fn log(line: &crate::fold::LogLine) -> LogView {
    let level = match line.level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    LogView { at: fmt::since_start(line.at), level, message: line.message.clone() }
}

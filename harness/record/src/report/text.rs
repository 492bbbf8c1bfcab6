//! The summary in the terminal when a run has ended.

use std::fmt::Write;

use owo_colors::{OwoColorize, Style as Paint};

use super::sections::{self, Section};
use super::{ProbeRow, headline, line, next, probe_rows, sign, time_rows};
use crate::fmt;
use crate::fold::{ReadRun, RunState, is_history};
use crate::verdict::{Judgement, Verdict};

/// How the summary is written.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// The run's folder, to name what to open next.
    pub folder: Option<String>,
    /// Remarks about the record itself, before anything else.
    pub notes: Vec<String>,
}

impl Style {
    /// No colours, no folder.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Adds what reading the record left out.
    #[must_use]
    pub fn noting(mut self, read: &ReadRun) -> Self {
        if read.skipped > 0 {
            let skipped = fmt::count(read.skipped, "event");
            self.notes.push(format!("{skipped} of a newer ferry were left out: judged by what this one knows"));
        }
        if read.torn {
            self.notes.push("the record's last line is torn: judged up to the line before".into());
        }
        self
    }

    fn paint(&self, text: impl std::fmt::Display, paint: Paint) -> String {
        if self.color { text.style(paint).to_string() } else { text.to_string() }
    }
}

fn paint_of(verdict: Verdict) -> Paint {
    match verdict {
        Verdict::Pass => Paint::new().green(),
        Verdict::Fail => Paint::new().red(),
        Verdict::Inconclusive => Paint::new().yellow(),
        Verdict::Infra => Paint::new().magenta(),
        Verdict::Cancelled => Paint::new().bright_black(),
    }
}

/// Verdict first, then what decided it, the probes, where the time went, and the next thing to do.
pub fn summary(run: &RunState, judgement: &Judgement, style: &Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_summary(&mut out, run, judgement, style);
    out
}

fn write_summary(out: &mut String, run: &RunState, judgement: &Judgement, style: &Style) -> std::fmt::Result {
    let dim = Paint::new().dimmed();
    for note in &style.notes {
        writeln!(out, "{}", style.paint(format_args!("note: {note}"), Paint::new().yellow()))?;
    }
    let color = if judgement.as_expected { Paint::new().green() } else { paint_of(judgement.verdict) };
    write!(out, "{}", style.paint(headline(judgement).to_uppercase(), color.bold()))?;
    if let Some(started) = &run.started {
        write!(out, "  {} · {}", started.scenario, started.cell)?;
    }
    writeln!(out, "  {}", style.paint(format_args!("in {}", fmt::duration(run.known_until())), dim))?;

    writeln!(out)?;
    for finding in &judgement.findings {
        let mark = style.paint(sign(finding.verdict), paint_of(finding.verdict));
        writeln!(out, "  {mark} {}", line(finding))?;
        for detail in &finding.details {
            writeln!(out, "      {}", style.paint(detail, dim))?;
        }
    }

    let probes = probe_rows(run);
    if !probes.is_empty() {
        writeln!(out)?;
        table(out, style, &probe_table(&probes))?;
    }

    write_sections(out, judgement, style, sections::all(run))?;

    let times: Vec<_> = time_rows(run).into_iter().map(|r| vec![r.name, r.took, r.share]).collect();
    writeln!(out)?;
    let head = ["time", "took", "share"].map(str::to_owned).to_vec();
    table(out, style, &[vec![head], times].concat())?;

    write_history(out, run)?;

    let mut todo = next(run, judgement);
    if let Some(folder) = &style.folder {
        todo.push(format!("see it all on one time axis: {folder}/{}", super::HTML_FILE));
    }
    if !todo.is_empty() {
        writeln!(out)?;
    }
    for (i, todo) in todo.iter().enumerate() {
        writeln!(out, "  {} {todo}", if i == 0 { "next:" } else { "     " })?;
    }
    Ok(())
}

/// How the run compares with earlier ones, if it said so.
fn write_history(out: &mut String, run: &RunState) -> std::fmt::Result {
    for (i, (_, says)) in run.facts.iter().filter(|(key, _)| is_history(key)).enumerate() {
        if i == 0 {
            writeln!(out)?;
        }
        writeln!(out, "  {} {says}", if i == 0 { "history:" } else { "        " })?;
    }
    Ok(())
}

/// What deserves attention of each section that no finding has told, and how much more there is.
fn write_sections(
    out: &mut String,
    judgement: &Judgement,
    style: &Style,
    mut sections: Vec<Section>,
) -> std::fmt::Result {
    /// Rows shown of a section: the page has them all.
    const MAX_ROWS: usize = 5;
    /// Lines shown of a cell.
    const MAX_LINES: usize = 3;
    let is_told = |rule| judgement.findings.iter().any(|finding| finding.rule == rule);
    sections.retain(|section| !section.told_by.is_some_and(is_told));
    for section in &sections {
        let bad: Vec<_> = section.rows.iter().filter(|row| row.bad).collect();
        if bad.is_empty() {
            continue;
        }
        writeln!(out, "\n  {}", style.paint(section.title.to_lowercase(), Paint::new().dimmed()))?;
        for row in bad.iter().take(MAX_ROWS) {
            let cells = row.cells.iter().filter(|cell| !cell.is_empty()).map(|cell| {
                let more = if cell.lines().count() > MAX_LINES { ", …" } else { "" };
                format!("{}{more}", cell.lines().take(MAX_LINES).collect::<Vec<_>>().join(", "))
            });
            writeln!(out, "    {}", style.paint(cells.collect::<Vec<_>>().join("  "), Paint::new().red()))?;
        }
        let more = bad.len().saturating_sub(MAX_ROWS) as u64;
        if more > 0 {
            writeln!(out, "    and {} more", fmt::number(more))?;
        }
    }
    let count = |section: &Section| {
        format!("{} ({})", section.title.to_lowercase(), fmt::number(section.rows.len() as u64 + section.hidden))
    };
    let counts: Vec<String> = sections.iter().map(count).collect();
    match counts.is_empty() {
        true => Ok(()),
        false => {
            let more = format!("more in the report: {}", counts.join(", "));
            writeln!(out, "\n  {}", style.paint(more, Paint::new().dimmed()))
        }
    }
}

fn probe_table(rows: &[ProbeRow]) -> Vec<Vec<String>> {
    let head = ["probe", "samples", "failed", "outages", "longest", "p50", "p99", "max", "slip p99", "on time"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(
        rows.iter()
            .cloned()
            .map(|r| vec![r.probe, r.samples, r.failed, r.outages, r.longest, r.p50, r.p99, r.max, r.slip, r.on_time]),
    );
    table
}

/// Columns as wide as they need to be, the first `left` of them text and the others numbers to the right; the first row is
/// the head.
pub fn columns(rows: &[Vec<String>], left: usize, style: &Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_columns(&mut out, style, left, rows);
    out
}

fn table(out: &mut String, style: &Style, rows: &[Vec<String>]) -> std::fmt::Result {
    write_columns(out, style, 1, rows)
}

fn write_columns(out: &mut String, style: &Style, left: usize, rows: &[Vec<String>]) -> std::fmt::Result {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (i, row) in rows.iter().enumerate() {
        let mut text = String::from(" ");
        for (c, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match c {
                0 => write!(text, " {cell:<width$}")?,
                _ if c < left => write!(text, "  {cell:<width$}")?,
                _ => write!(text, "  {cell:>width$}")?,
            }
        }
        let head = if i == 0 { Paint::new().dimmed() } else { Paint::new() };
        writeln!(out, "{}", style.paint(text.trim_end(), head))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Failure, Outcome};
    use crate::testing::Record;
    use crate::verdict::judge;

    fn show(record: Record, style: Style) -> String {
        let run = record.fold();
        summary(&run, &judge(&run), &style)
    }

    #[test]
    fn a_pass() {
        let style = Style { folder: Some("reports/out/RUN".into()), ..Style::plain() };
        insta::assert_snapshot!(show(Record::good(), style));
    }

    #[test]
    fn a_fail_says_what_where_and_when() {
        let outcome = Outcome::Failed { error: "not ready within 5m".into(), hint: Some("read its events".into()) };
        let record = Record::good().outcome(outcome).fail(250, Failure::Refused).fail(251, Failure::Timeout);
        insta::assert_snapshot!(show(record, Style::plain()));
    }

    #[test]
    fn trouble_of_the_lab_and_a_torn_record() {
        let style = Style { notes: vec!["the record's last line is torn".into()], ..Style::plain() };
        insta::assert_snapshot!(show(Record::good().infra("start a container").without_end(), style));
    }

    #[test]
    fn what_went_wrong_after_the_verdict_is_told_too() {
        let trouble = EventKind::Infra { what: "remove a network".into(), error: "in use".into(), hint: None };
        let mut run = Record::good().fold();
        let judgement = judge(&run);
        for kind in [EventKind::Verdict(judgement.clone()), trouble] {
            run.apply(&crate::Event { t: run.now, kind });
        }
        let text = summary(&run, &judge(&run), &Style::plain());
        assert!(text.starts_with("PASS"), "{text}");
        assert!(text.contains("next: after the verdict, remove a network: in use"), "{text}");
    }

    #[test]
    fn how_it_compares_with_earlier_runs_is_told_before_what_to_do() {
        let fact = |key: &str, value: &str| EventKind::Fact { key: key.into(), value: value.into() };
        let record = Record::good()
            .with(1, fact("history", "no history yet"))
            .with(2, fact("history.slower", "take over"))
            .with(3, fact("historian", "nobody"));
        let text = show(record, Style { folder: Some("RUN".into()), ..Style::plain() });
        let end: Vec<_> = text.lines().rev().take(5).collect();
        insta::assert_snapshot!(end.into_iter().rev().collect::<Vec<_>>().join("\n"), @r"

          history: no history yet
                   take over

          next: see it all on one time axis: RUN/index.html
        ");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let plain = show(Record::good(), Style::plain());
        let colored = show(Record::good(), Style { color: true, ..Style::plain() });
        assert_ne!(plain, colored);
        let escapes = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
        assert_eq!(escapes.replace_all(&colored, ""), plain);
    }
}

//! Two runs side by side.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::text::{Style, columns};
use super::{NONE, headline};
use crate::event::{Nanos, RunStarted};
use crate::fmt;
use crate::fold::RunState;
use crate::numbers::{self, ProbeNumbers};
use crate::verdict::{Judgement, Verdict};

/// What two runs have in common, and what differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first run.
    pub a: Side,
    /// The second run.
    pub b: Side,
    /// What makes the two less comparable.
    pub notes: Vec<String>,
    /// What each rule said.
    pub rules: Vec<Pair<Verdict>>,
    /// Activities and phases, and the time from command to verdict, in nanoseconds.
    pub times_ns: Vec<Pair<Nanos>>,
    /// The probes, in numbers.
    pub probes: Vec<Pair<ProbeNumbers>>,
}

/// One of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// Its id.
    pub run: String,
    /// `area/name`.
    pub scenario: String,
    /// The matrix cell.
    pub cell: String,
    /// Version of ferry.
    pub ferry: String,
    /// When it began.
    pub wall: Option<Timestamp>,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether this is how its scenario says that it must end.
    pub as_expected: bool,
    /// Both, in a few words.
    #[serde(skip)]
    headline: String,
}

/// The same thing in both runs; none where a run does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair<T> {
    /// What it is.
    pub what: String,
    /// In the first run.
    pub a: Option<T>,
    /// In the second run.
    pub b: Option<T>,
}

impl Comparison {
    /// Compares two runs, each with its judgement.
    pub fn new(a: (&RunState, &Judgement), b: (&RunState, &Judgement)) -> Self {
        let rules =
            |judgement: &Judgement| judgement.findings.iter().map(|f| (f.rule.clone(), f.verdict)).collect::<Vec<_>>();
        let probes =
            |run: &RunState| numbers::probes(run).into_iter().map(|p| (p.probe.clone(), p)).collect::<Vec<_>>();
        Self {
            a: Side::new(a.0, a.1),
            b: Side::new(b.0, b.1),
            notes: notes(a.0, b.0),
            rules: pairs(rules(a.1), rules(b.1)),
            times_ns: pairs(times(a.0), times(b.0)),
            probes: pairs(probes(a.0), probes(b.0)),
        }
    }

    /// As tables for people.
    pub fn text(&self, style: &Style) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, style);
        out
    }

    fn write(&self, out: &mut String, style: &Style) -> std::fmt::Result {
        let side = |letter: &str, side: &Side| {
            let of = format!("{} · {}", side.scenario, side.cell);
            let began = side.wall.map_or(String::new(), |wall| wall.strftime("%Y-%m-%d %H:%M UTC").to_string());
            [letter.into(), side.run.clone(), of, began, side.headline.clone()].to_vec()
        };
        let head = ["", "run", "of", "began", "verdict"].map(str::to_owned).to_vec();
        out.write_str(&columns(&[head, side("A", &self.a), side("B", &self.b)], 5, style))?;
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }

        let verdict = |verdict: Option<Verdict>| verdict.map_or(NONE.to_owned(), |v| v.to_string());
        let rules = self.rules.iter().map(|r| vec![r.what.clone(), verdict(r.a), verdict(r.b)]);
        write_table(out, ["rule", "A", "B"].map(str::to_owned).to_vec(), rules, style)?;

        let head = |what: &str| [what, "A", "B", "change"].map(str::to_owned).to_vec();
        let times = self.times_ns.iter().map(|t| row(&t.what, t.a, t.b, fmt::duration, relative));
        write_table(out, head("time"), times, style)?;
        for probe in &self.probes {
            write_table(out, head(&probe.what), probe_rows(probe).into_iter(), style)?;
        }
        Ok(())
    }
}

impl Side {
    fn new(run: &RunState, judgement: &Judgement) -> Self {
        let text = |pick: fn(&RunStarted) -> &str| run.started.as_ref().map_or("", pick).to_owned();
        Self {
            run: text(|s| &s.run),
            scenario: text(|s| &s.scenario),
            cell: text(|s| &s.cell),
            ferry: text(|s| &s.ferry),
            wall: run.started.as_ref().map(|s| s.wall),
            verdict: judgement.verdict,
            as_expected: judgement.as_expected,
            headline: headline(judgement),
        }
    }
}

/// What differs in the frames of two runs: figures that differ too may do so because of it.
fn notes(a: &RunState, b: &RunState) -> Vec<String> {
    let (Some(a), Some(b)) = (&a.started, &b.started) else { return vec![] };
    let mut notes = vec![];
    let mut differ = |what: &str, a: &str, b: &str| {
        if a != b {
            notes.push(format!("{what}: {a} in A, {b} in B"));
        }
    };
    differ("scenario", &a.scenario, &b.scenario);
    differ("cell", &a.cell, &b.cell);
    differ("ferry", &a.ferry, &b.ferry);
    for key in a.host.keys().chain(b.host.keys().filter(|key| !a.host.contains_key(*key))) {
        let value = |run: &RunStarted| run.host.get(key).cloned().unwrap_or(NONE.into());
        differ(key, &value(a), &value(b));
    }
    notes
}

fn times(run: &RunState) -> Vec<(String, Nanos)> {
    let mut times: Vec<_> = run.times().rows.into_iter().map(|(name, span)| (name, span.len())).collect();
    times.push(("command to verdict".into(), run.known_until()));
    times
}

/// Joins two lists by name: in the order of the first, then what only the second has. A name that a list has more than once
/// is joined in order.
fn pairs<T>(a: Vec<(String, T)>, b: Vec<(String, T)>) -> Vec<Pair<T>> {
    let mut pairs: Vec<_> = a.into_iter().map(|(what, a)| Pair { what, a: Some(a), b: None }).collect();
    for (what, b) in b {
        match pairs.iter_mut().find(|pair| pair.what == what && pair.b.is_none()) {
            Some(pair) => pair.b = Some(b),
            None => pairs.push(Pair { what, a: None, b: Some(b) }),
        }
    }
    pairs
}

fn write_table(
    out: &mut String,
    head: Vec<String>,
    rows: impl Iterator<Item = Vec<String>>,
    style: &Style,
) -> std::fmt::Result {
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    if rows.len() > 1 {
        writeln!(out)?;
        out.write_str(&columns(&rows, 1, style))?;
    }
    Ok(())
}

fn row(
    what: &str,
    a: Option<u64>,
    b: Option<u64>,
    show: fn(u64) -> String,
    change: fn(u64, u64) -> String,
) -> Vec<String> {
    let shown = |value: Option<u64>| value.map_or(NONE.to_owned(), show);
    let change = a.zip(b).map_or(String::new(), |(a, b)| change(a, b));
    vec![what.to_owned(), shown(a), shown(b), change]
}

fn probe_rows(probe: &Pair<ProbeNumbers>) -> Vec<Vec<String>> {
    let count = |what: &str, pick: fn(&ProbeNumbers) -> u64| {
        row(what, probe.a.as_ref().map(pick), probe.b.as_ref().map(pick), fmt::number, difference)
    };
    let measure = |what: &str, pick: fn(&ProbeNumbers) -> Option<u64>, show: fn(u64) -> String| {
        row(what, probe.a.as_ref().and_then(pick), probe.b.as_ref().and_then(pick), show, relative)
    };
    vec![
        count("samples", |p| p.taken),
        count("failed", |p| p.failed),
        count("outages", |p| p.outages),
        measure("longest", |p| p.longest_outage_ns, fmt::precise),
        measure("p50", |p| p.p50_us, fmt::latency),
        measure("p99", |p| p.p99_us, fmt::latency),
        measure("max", |p| p.max_us, fmt::latency),
    ]
}

/// `+12 %`, `-3 %`; nothing when it rounds to no change.
fn relative(a: u64, b: u64) -> String {
    if a == 0 {
        return String::new();
    }
    match ((b as f64 - a as f64) / a as f64 * 100.0).round() as i64 {
        0 => String::new(),
        percent => format!("{percent:+} %"),
    }
}

/// `+3`, `-1`; nothing when there is none.
fn difference(a: u64, b: u64) -> String {
    match b.checked_sub(a) {
        Some(0) => String::new(),
        Some(more) => format!("+{}", fmt::number(more)),
        None => format!("-{}", fmt::number(a - b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Failure, Outcome};
    use crate::testing::{Record, SECOND};
    use crate::verdict::judge;
    use rstest::rstest;

    fn compare(a: &Record, b: &Record) -> Comparison {
        let (a, b) = (a.fold(), b.fold());
        Comparison::new((&a, &judge(&a)), (&b, &judge(&b)))
    }

    #[test]
    fn a_run_against_one_that_lost_requests() {
        let failing = Record::good().fail(250, Failure::Refused).fail(251, Failure::Timeout);
        insta::assert_snapshot!(compare(&Record::good(), &failing).text(&Style::plain()), @r"
            run                   of                                       began                 verdict
         A  20261121-120000-abcd  single-tenant/official · k8s_1_34::kind  2026-11-21 12:00 UTC  pass
         B  20261121-120000-abcd  single-tenant/official · k8s_1_34::kind  2026-11-21 12:00 UTC  fail

         rule                A     B
         no-lost-request  pass  fail
         steps            pass  pass
         evidence         pass  pass

         time                     A       B  change
         cluster              4.0 s   4.0 s
         bootstrap            5.0 s   5.0 s
         take over           10.0 s  10.0 s
         tear-down            1.0 s   1.0 s
         command to verdict  20.5 s  20.5 s

         web/outside/new       A       B  change
         samples             400     400
         failed                0       2      +2
         outages               0       1      +1
         longest               –  100 ms
         p50              1.3 ms  1.3 ms
         p99              1.6 ms  1.6 ms
         max              1.6 ms  1.6 ms
        ");
    }

    #[test]
    fn a_run_against_itself_changes_nothing() {
        let comparison = compare(&Record::good(), &Record::good());
        assert!(comparison.notes.is_empty());
        assert!(!comparison.text(&Style::plain()).contains('%'));
        assert!(comparison.probes.iter().all(|p| p.a == p.b));
    }

    #[test]
    fn what_only_one_has_is_a_dash_in_the_other() {
        let activity = |activity: &str| EventKind::ActivityStarted { activity: activity.into() };
        let failed = Outcome::Failed { error: "e".into(), hint: None };
        let longer = Record::good().outcome(failed).without_samples().with(20 * SECOND, activity("collect logs"));
        let comparison = compare(&Record::good(), &longer);
        let only = |pair: &Pair<Nanos>| pair.a.is_none().then(|| pair.what.clone());
        assert_eq!(comparison.times_ns.iter().filter_map(only).collect::<Vec<_>>(), ["collect logs"]);
        assert_eq!(comparison.probes[0].b, None);
    }

    #[rstest]
    #[case(100, 112, "+12 %", "+12")]
    #[case(100, 100, "", "")]
    #[case(2_000, 500, "-75 %", "-1,500")]
    #[case(0, 3, "", "+3")]
    fn changes(#[case] a: u64, #[case] b: u64, #[case] share: &str, #[case] number: &str) {
        assert_eq!((relative(a, b).as_str(), difference(a, b).as_str()), (share, number));
    }

    #[test]
    fn names_that_come_twice_are_joined_in_order() {
        let list = |values: &[u64]| values.iter().map(|v| ("x".to_owned(), *v)).collect::<Vec<_>>();
        let joined = pairs(list(&[1, 2]), list(&[3, 4, 5]));
        assert_eq!(
            joined.iter().map(|p| (p.a, p.b)).collect::<Vec<_>>(),
            [(Some(1), Some(3)), (Some(2), Some(4)), (None, Some(5))]
        );
    }
}

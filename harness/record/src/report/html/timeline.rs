//! Everything that happened, on one axis: positions are percentages of the run's length.

use serde::Serialize;

use crate::event::{Nanos, Outcome};
use crate::fmt;
use crate::fold::{ProbeState, RunState};
use crate::intervals::{Interval, IntervalSet};

/// Narrowest bar, in percent of the axis: 50 ms of an hour must still be seen.
const MIN_WIDTH: f64 = 0.3;

/// Bars closer than this, in percent of the axis, are drawn as one.
const MERGE: f64 = 0.1;

/// Width of a character and of the space around a label, in percent of the axis on a page of 1280 px.
const PER_CHAR: f64 = 0.75;
const PADDING: f64 = 0.9;

/// Height of a latency curve in its own units.
const HEIGHT: f64 = 40.0;

/// Lowest latency on the logarithmic scale, in microseconds.
const FLOOR_US: f64 = 100.0;

/// Steps between ticks of the axis, in seconds.
const TICKS: [u64; 15] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600];

#[derive(Debug, Serialize)]
pub struct Timeline {
    pub ticks: Vec<Tick>,
    /// The lab's work; what overlaps goes into further rows.
    pub activities: Vec<Vec<Bar>>,
    pub phases: Vec<Bar>,
    pub steps: Vec<Bar>,
    pub probes: Vec<ProbeLane>,
    /// Where any probe saw an outage, to be followed up to the step that was running.
    pub marks: Vec<Bar>,
}

#[derive(Debug, Serialize)]
pub struct Tick {
    pub x: String,
    pub label: String,
}

#[derive(Debug, Serialize)]
pub struct Bar {
    pub x: String,
    pub width: String,
    pub label: String,
    pub title: String,
    /// `done`, `failed`, `open`, … chooses the colour.
    pub class: &'static str,
}

#[derive(Debug, Serialize)]
pub struct ProbeLane {
    pub name: String,
    pub target: String,
    pub note: String,
    /// From its first to its last sample.
    pub alive: Option<Bar>,
    pub outages: Vec<Bar>,
    pub sampler: Vec<Bar>,
    /// SVG paths in a box of 1000 × [`HEIGHT`].
    pub mean: String,
    pub peak: String,
    /// Highest latency.
    pub max: String,
    pub silent: bool,
}

/// The axis: from 0 to the last event.
struct Axis {
    total: Nanos,
}

impl Axis {
    fn percent(&self, t: Nanos) -> f64 {
        t.min(self.total) as f64 * 100.0 / self.total as f64
    }

    /// A bar of at least the least width, inside the axis.
    fn place(&self, span: Interval) -> (String, String) {
        let (from, to) = (self.percent(span.from), self.percent(span.to));
        let width = (to - from).max(MIN_WIDTH);
        (format!("{:.3}", from.min(100.0 - width)), format!("{width:.3}"))
    }

    /// A bar with the first of its labels that fits into it.
    fn bar(&self, span: Interval, labels: &[&str], title: String, class: &'static str) -> Bar {
        let (x, width) = self.place(span);
        let room = self.percent(span.to) - self.percent(span.from);
        let fits = |label: &&&str| room >= label.chars().count() as f64 * PER_CHAR + PADDING;
        let label = labels.iter().find(fits).map_or(String::new(), |label| (*label).to_owned());
        Bar { x, width, label, title, class }
    }

    fn ticks(&self) -> Vec<Tick> {
        let seconds = self.total / 1_000_000_000;
        let step = TICKS.into_iter().find(|step| seconds / step <= 10).unwrap_or(seconds.max(1));
        (0..=seconds)
            .step_by(step as usize)
            .map(|s| Tick {
                x: format!("{:.3}", self.percent(s * 1_000_000_000)),
                label: format!("{}:{:02}", s / 60, s % 60),
            })
            .collect()
    }
}

impl Timeline {
    pub fn new(run: &RunState) -> Self {
        let axis = Axis { total: run.now.max(1) };
        let end = |ended: Option<Nanos>| ended.unwrap_or(run.now);
        let title =
            |name: &str, span: Interval| format!("{name}: {} from {}", fmt::precise(span.len()), run.when(span.from));

        let mut rows: Vec<(Nanos, Vec<Bar>)> = Vec::new();
        for activity in &run.activities {
            let span = Interval::new(activity.started, end(activity.ended));
            let class = match (&activity.error, activity.ended) {
                (Some(_), _) => "failed",
                (None, None) => "open",
                (None, Some(_)) => "done",
            };
            let bar = axis.bar(span, &[&activity.name], title(&activity.name, span), class);
            match rows.iter_mut().find(|(free, _)| *free <= span.from) {
                Some((free, row)) => {
                    *free = span.to;
                    row.push(bar);
                }
                None => rows.push((span.to, vec![bar])),
            }
        }

        let phases = run.phases.iter().filter_map(|phase| {
            let span = Interval::new(phase.started?, end(phase.ended));
            Some(axis.bar(span, &[&phase.info.name], title(&phase.info.name, span), class_of(phase.outcome.as_ref())))
        });
        // Steps within steps would lie upon them, and upon each other.
        let steps = run.own_steps().map(|step| {
            let span = Interval::new(step.started, end(step.ended));
            let number = (step.index + 1).to_string();
            let name = format!("{number} {}", step.title);
            axis.bar(span, &[&name, &number], title(&name, span), class_of(step.outcome.as_ref()))
        });

        let highest =
            run.probes.values().filter_map(|p| p.total.latency.percentiles()).map(|p| p.max).max().unwrap_or(0);
        let outages: IntervalSet = run.outages().iter().map(|(_, outage)| outage.span).collect();
        let marks = merge(&axis, outages.parts().iter().map(|span| (*span, 0)));
        Self {
            marks: marks.iter().map(|m| axis.bar(m.span, &[], String::new(), "mark")).collect(),
            ticks: axis.ticks(),
            activities: rows.into_iter().map(|(_, row)| row).collect(),
            phases: phases.collect(),
            steps: steps.collect(),
            probes: run.probes.iter().map(|(name, probe)| lane(&axis, run, name, probe, highest)).collect(),
        }
    }
}

fn class_of(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Done) => "done",
        Some(Outcome::Failed { .. }) => "failed",
        Some(Outcome::Skipped) => "skipped",
        Some(Outcome::Cancelled) | None => "open",
    }
}

fn lane(axis: &Axis, run: &RunState, name: &str, probe: &ProbeState, highest_us: u64) -> ProbeLane {
    let percentiles = probe.total.latency.percentiles();
    let note = match percentiles {
        Some(p) => format!("p50 {} · p99 {}", fmt::latency(p.p50), fmt::latency(p.p99)),
        None => "no answer".into(),
    };
    let due = probe.first.zip(probe.last).map(|(first, last)| {
        let span = Interval::new(first, last);
        axis.bar(span, &[], format!("{name}: {}", fmt::count(probe.total.taken, "sample")), "alive")
    });
    let outages = merge(axis, probe.outages().map(|o| (o.span, o.failed))).into_iter().map(|m| {
        let title = match m.count {
            1 => format!(
                "out for {} from {}, {} failed",
                fmt::precise(m.span.len()),
                run.when(m.span.from),
                fmt::number(m.weight)
            ),
            n => format!(
                "{} between {} and {}, {} failed",
                fmt::count(n, "outage"),
                run.when(m.span.from),
                run.when(m.span.to),
                fmt::number(m.weight)
            ),
        };
        axis.bar(m.span, &[], title, "outage")
    });
    let sampler = merge(axis, probe.gaps.parts().iter().map(|gap| (*gap, 0))).into_iter().map(|m| {
        let title =
            format!("the sampler was late or silent for {} from {}", fmt::precise(m.span.len()), run.when(m.span.from));
        axis.bar(m.span, &[], title, "sampler")
    });
    let (mean, peak) = curves(axis, probe, highest_us);
    ProbeLane {
        name: name.to_owned(),
        target: probe.info.as_ref().map_or(String::new(), |i| i.target.clone()),
        note,
        alive: due,
        outages: outages.collect(),
        sampler: sampler.collect(),
        mean,
        peak,
        max: percentiles.map_or(String::new(), |p| fmt::latency(p.max)),
        silent: percentiles.is_none(),
    }
}

/// Spans that are too close to tell apart, as one.
struct Merged {
    span: Interval,
    count: u64,
    weight: u64,
}

fn merge(axis: &Axis, spans: impl Iterator<Item = (Interval, u64)>) -> Vec<Merged> {
    let mut merged: Vec<Merged> = Vec::new();
    for (span, weight) in spans {
        match merged.last_mut() {
            Some(last) if axis.percent(span.from) - axis.percent(last.span.to) < MERGE => {
                last.span.to = last.span.to.max(span.to);
                last.count += 1;
                last.weight += weight;
            }
            _ => merged.push(Merged { span, count: 1, weight }),
        }
    }
    merged
}

/// Mean latency as a line and the highest as an area below it, broken where no sample was good.
fn curves(axis: &Axis, probe: &ProbeState, highest_us: u64) -> (String, String) {
    let top = (highest_us as f64).max(FLOOR_US * 10.0);
    let y = |us: u64| {
        let share = ((us as f64).max(FLOOR_US) / FLOOR_US).log10() / (top / FLOOR_US).log10();
        HEIGHT - share.min(1.0) * (HEIGHT - 2.0) - 1.0
    };
    let width = probe.series.width();
    // A bucket may be narrower than the samples are apart: then only what is longer than an interval is a gap.
    let apart = probe.info.as_ref().map_or(0, |i| i.interval).saturating_mul(2).max(width * 2);
    let (mut mean, mut peak) = (String::new(), String::new());
    let mut piece: Vec<(f64, f64, f64)> = Vec::new();
    let mut last: Option<Nanos> = None;
    let mut flush = |piece: &mut Vec<(f64, f64, f64)>| {
        let (Some(first), Some(end)) = (piece.first(), piece.last()) else { return };
        peak += &format!("M{:.1} {HEIGHT:.0}", first.0);
        for (i, (x, mean_y, peak_y)) in piece.iter().enumerate() {
            mean += &format!("{}{x:.1} {mean_y:.1}", if i == 0 { 'M' } else { 'L' });
            peak += &format!("L{x:.1} {peak_y:.1}");
        }
        peak += &format!("L{:.1} {HEIGHT:.0}Z", end.0);
        piece.clear();
    };
    for (start, bucket) in probe.series.buckets() {
        let Some(mean_us) = bucket.mean_us() else { continue };
        if last.is_some_and(|last| start - last > apart) {
            flush(&mut piece);
        }
        last = Some(start);
        let x = axis.percent(start + width / 2) * 10.0;
        piece.push((x, y(mean_us), y(bucket.max_us.into())));
    }
    flush(&mut piece);
    (mean, peak)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Failure};
    use crate::testing::{Record, SECOND};

    /// The share of the axis that bars cover, in percent.
    fn covered(bars: &[Bar]) -> f64 {
        let scale = |text: &str| (text.parse::<f64>().unwrap() * 1_000.0) as u64;
        let set: IntervalSet = bars.iter().map(|b| Interval::new(scale(&b.x), scale(&b.x) + scale(&b.width))).collect();
        set.total() as f64 / 1_000.0
    }

    #[test]
    fn a_short_outage_can_be_seen_where_it_was() {
        let run = Record::good().fail(200, Failure::Refused).fold();
        let timeline = Timeline::new(&run);
        let [bar] = &timeline.probes[0].outages[..] else { panic!("{timeline:#?}") };
        // 10 s and 50 ms of 20.5 s.
        assert_eq!((bar.x.as_str(), bar.width.as_str()), ("48.780", "0.300"));
        assert_eq!(bar.title, "out for 50 ms from 12:00:10.000 (+0:10.000), 1 failed");
    }

    #[test]
    fn flapping_becomes_one_bar() {
        let record = (200..300).step_by(2).fold(Record::good(), |r, i| r.fail(i, Failure::Refused));
        let run = record.with(3_600 * SECOND, EventKind::RunEnded).fold();
        let timeline = Timeline::new(&run);
        let [bar] = &timeline.probes[0].outages[..] else { panic!("{timeline:#?}") };
        assert!(bar.title.starts_with("50 outages between"), "{}", bar.title);
        assert!(covered(&timeline.probes[0].outages) < 1.0);
    }

    #[test]
    fn work_at_the_same_time_goes_into_rows_of_its_own() {
        let run = Record::good()
            .with(SECOND, EventKind::ActivityStarted { activity: "bundle".into() })
            .with(2 * SECOND, EventKind::ActivityEnded { activity: "bundle".into(), error: Some("no disk".into()) })
            .fold();
        let timeline = Timeline::new(&run);
        let rows: Vec<Vec<_>> = timeline
            .activities
            .iter()
            .map(|row| row.iter().map(|b| (b.title.split(':').next().unwrap(), b.class)).collect())
            .collect();
        assert_eq!(rows, [vec![("cluster", "done"), ("tear-down", "done")], vec![("bundle", "failed")]]);
    }

    #[test]
    fn ticks_are_round_and_few() {
        for seconds in [1, 9, 59, 61, 600, 86_400] {
            let ticks = Axis { total: seconds * SECOND }.ticks();
            assert!((2..=12).contains(&ticks.len()), "{seconds} s: {ticks:?}");
            assert_eq!(ticks[0].label, "0:00");
        }
    }

    #[test]
    fn bars_stay_inside() {
        let axis = Axis { total: SECOND };
        assert_eq!(axis.place(Interval::new(SECOND, 9 * SECOND)), ("99.700".into(), "0.300".into()));
    }
}

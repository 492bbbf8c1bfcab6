//! The run as its events tell it so far: one incremental fold that every sink reads.
//!
//! The terminal applies events as they happen, `ferry report` from a file; both then hold the same [`RunState`]. Its size
//! is bounded by the run's shape (phases, steps, probes, objects), not by its samples.

mod beside;
mod cluster;
mod commits;
mod doubt;
mod ownership;
mod probe;
mod read;
mod scope;

use std::collections::BTreeMap;

use crate::event::{Event, EventKind, Level, Nanos, Outcome, PhaseInfo, Place, RunStarted};
use crate::fmt;
use crate::intervals::{Interval, IntervalSet, Outage};
use crate::verdict::Judgement;

pub use beside::View;
pub use cluster::{AgentClock, ClusterState, Fault, Gap, History, Latest, LogRead, SelfProof, State, Watch};
pub use commits::{Applied, Commit};
pub use ownership::{Change, Ownership, owners};
pub use probe::{FailedSample, ProbeState, SamplerOutage};
pub use read::{ReadRun, read};

/// Log lines kept; the record has them all.
const MAX_LOG: usize = 5_000;

/// Reasons kept of one step's wait.
const MAX_REASONS: usize = 200;

/// A phase, as planned and as it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// As planned.
    pub info: PhaseInfo,
    /// When it began, if it did.
    pub started: Option<Nanos>,
    /// When it ended, if it did.
    pub ended: Option<Nanos>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// A step that began.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number over the whole run, from 0.
    pub index: usize,
    /// The phase that it is part of.
    pub phase: usize,
    /// `bootstrap`, `wait`, …
    pub kind: String,
    /// As a person would say it.
    pub title: String,
    /// Where the scenario asks for it.
    pub place: Option<Place>,
    /// How long it may take.
    pub deadline: Option<Nanos>,
    /// The step that it is within, if it is not one of its phase's own.
    pub parent: Option<usize>,
    /// When it began.
    pub started: Nanos,
    /// When it ended, if it did.
    pub ended: Option<Nanos>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why its wait was not yet met, and since when: the last 200 changes.
    pub not_yet: Vec<(Nanos, String)>,
}

impl Step {
    /// The reason why it still waits, and since when.
    pub fn waiting_for(&self) -> Option<(Nanos, &str)> {
        self.not_yet.last().filter(|_| self.ended.is_none()).map(|(at, reason)| (*at, reason.as_str()))
    }
}

/// A stretch of the lab's work.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// `bundle`, `cluster`, `tear-down`, …
    pub name: String,
    /// When it began.
    pub started: Nanos,
    /// When it ended, if it did.
    pub ended: Option<Nanos>,
    /// Why it did not succeed.
    pub error: Option<String>,
}

/// A line from the harness itself.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// When.
    pub at: Nanos,
    /// How grave.
    pub level: Level,
    /// Its text.
    pub message: String,
}

/// The lab broke.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// When.
    pub at: Nanos,
    /// What was tried.
    pub what: String,
    /// What came back.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// After the verdict, while cleaning up: it is told, but the verdict stands.
    pub after_verdict: bool,
}

/// The run was asked to end.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancel {
    /// When.
    pub at: Nanos,
    /// `SIGINT`, `SIGTERM`, …
    pub by: String,
}

/// Everything that can be said about a run from its events so far.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunState {
    /// The frame; `None` only before the first event.
    pub started: Option<RunStarted>,
    /// Time of the latest event.
    pub now: Nanos,
    /// Phases, in their order.
    pub phases: Vec<Phase>,
    /// Steps that began, by number.
    pub steps: BTreeMap<usize, Step>,
    /// The lab's work, in the order of its start.
    pub activities: Vec<Activity>,
    /// Versions, digests, node names, …
    pub facts: BTreeMap<String, String>,
    /// Probes by name.
    pub probes: BTreeMap<String, ProbeState>,
    /// What is known of the cluster up to the verdict; of the first, where there are several.
    pub cluster: ClusterState,
    /// What is known of the others, by their names.
    pub beside: BTreeMap<String, ClusterState>,
    /// The latest 5,000 log lines.
    pub log: Vec<LogLine>,
    /// Troubles of the lab.
    pub infra: Vec<Trouble>,
    /// The first request to end that came before the verdict.
    pub cancelled: Option<Cancel>,
    /// The judgement that the run itself wrote down.
    pub recorded: Option<Judgement>,
    /// When it did. What the lab does afterwards (tearing down) changes no verdict.
    pub judged: Option<Nanos>,
    /// Whether the record is complete.
    pub ended: bool,
    /// Time of the latest event before the verdict: the same for who judges live and who does later.
    looked_until: Nanos,
}

impl RunState {
    /// Takes one event in. Events that make no sense (an end without a start) change nothing, and after the verdict only
    /// the lab's own tidying up does: what a verdict was given over stays as it was.
    pub fn apply(&mut self, event: &Event) {
        let t = event.t;
        self.now = self.now.max(t);
        if self.judged.is_some() && !is_tidying(&event.kind) {
            return;
        }
        if self.judged.is_none() && !matches!(event.kind, EventKind::Verdict(_)) {
            self.looked_until = self.now;
            self.of_clusters(event);
        }
        match &event.kind {
            EventKind::RunStarted(run) => {
                self.phases = run
                    .phases
                    .iter()
                    .map(|info| Phase { info: info.clone(), started: None, ended: None, outcome: None })
                    .collect();
                self.started = Some(run.as_ref().clone());
            }
            EventKind::Fact { key, value } => _ = self.facts.insert(key.clone(), value.clone()),
            EventKind::ActivityStarted { activity } => {
                let name = activity.clone();
                self.activities.push(Activity { name, started: t, ended: None, error: None });
            }
            EventKind::ActivityEnded { activity, error } => {
                let open = self.activities.iter_mut().rev().find(|a| a.name == *activity && a.ended.is_none());
                if let Some(open) = open {
                    open.ended = Some(t);
                    open.error.clone_from(error);
                }
            }
            EventKind::PhaseStarted { phase } => {
                if let Some(phase) = self.phases.get_mut(*phase) {
                    phase.started = Some(t);
                }
            }
            EventKind::PhaseEnded { phase, outcome } => {
                if let Some(phase) = self.phases.get_mut(*phase) {
                    phase.ended = Some(t);
                    phase.outcome = Some(outcome.clone());
                }
            }
            EventKind::StepStarted { step, phase, kind, title, place, deadline, parent } => {
                let started = Step {
                    index: *step,
                    phase: *phase,
                    kind: kind.clone(),
                    title: title.clone(),
                    place: place.clone(),
                    deadline: *deadline,
                    parent: *parent,
                    started: t,
                    ended: None,
                    outcome: None,
                    not_yet: Vec::new(),
                };
                self.steps.insert(*step, started);
            }
            EventKind::StepEnded { step, outcome } => {
                if let Some(step) = self.steps.get_mut(step) {
                    step.ended = Some(t);
                    step.outcome = Some(outcome.clone());
                }
            }
            EventKind::NotYet { step, reason } => {
                if let Some(step) = self.steps.get_mut(step) {
                    push_bounded(&mut step.not_yet, (t, reason.clone()), MAX_REASONS);
                }
            }
            EventKind::ProbeStarted(info) => {
                self.probes.entry(info.probe.clone()).or_default().start(info.clone());
            }
            EventKind::ProbeStopped { probe, planned } => {
                self.probes.entry(probe.clone()).or_default().stop(t, *planned);
            }
            EventKind::Samples(block) => {
                let phases = &self.phases;
                self.probes.entry(block.probe.clone()).or_default().samples(block, |at| phase_at(phases, at));
            }
            EventKind::SamplerOutage { probe, from, to, reason } => {
                self.probes.entry(probe.clone()).or_default().sampler_outage(*from, *to, reason);
            }
            EventKind::Log { level, message } => {
                push_bounded(&mut self.log, LogLine { at: t, level: *level, message: message.clone() }, MAX_LOG);
            }
            EventKind::Infra { what, error, hint } => {
                self.infra.push(Trouble {
                    at: t,
                    what: what.clone(),
                    error: error.clone(),
                    hint: hint.clone(),
                    after_verdict: self.judged.is_some(),
                });
            }
            EventKind::Cancelled { by } => {
                self.cancelled.get_or_insert_with(|| Cancel { at: t, by: by.clone() });
            }
            EventKind::Verdict(judgement) => {
                self.recorded = Some(judgement.clone());
                self.judged = Some(t);
            }
            EventKind::RunEnded => self.ended = true,
            EventKind::Unknown => {}
            // The cluster's, taken in above.
            EventKind::WatchStarted { .. }
            | EventKind::WatchGap { .. }
            | EventKind::WatchEnded { .. }
            | EventKind::Object(_)
            | EventKind::ObjectGone { .. }
            | EventKind::Notice(_)
            | EventKind::ErrorLogged(_)
            | EventKind::LogRead { .. }
            | EventKind::Committed { .. }
            | EventKind::Fault { .. }
            | EventKind::Beside { .. }
            | EventKind::SelfProof { .. }
            | EventKind::AgentClock { .. } => {}
        }
    }

    /// The moment that a verdict looks back from: the last event before it, or else the latest. The same for who judges
    /// live and who does later.
    pub fn known_until(&self) -> Nanos {
        if self.judged.is_some() { self.looked_until } else { self.now }
    }

    /// The phase that goes on now.
    pub fn current_phase(&self) -> Option<&Phase> {
        self.phases.iter().rfind(|p| p.started.is_some() && p.ended.is_none())
    }

    /// The phases' own steps, without those within other steps: those are judged by the step around them, which may
    /// expect one to fail.
    pub fn own_steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.values().filter(|step| step.parent.is_none())
    }

    /// How many steps are around a step.
    pub fn depth(&self, step: &Step) -> usize {
        // A parent is announced before what is within it; a record that says otherwise must not lead in circles.
        let parent = |of: usize| self.steps.get(&of).and_then(|step| step.parent).filter(|parent| *parent < of);
        std::iter::successors(step.parent.filter(|parent| *parent < step.index), |of| parent(*of)).count()
    }

    /// The step that goes on now.
    pub fn current_step(&self) -> Option<&Step> {
        self.steps.values().rfind(|s| s.ended.is_none())
    }

    /// The lab's work that goes on now.
    pub fn current_activity(&self) -> Option<&Activity> {
        self.activities.iter().rfind(|a| a.ended.is_none())
    }

    /// The phase that a moment falls into.
    pub fn phase_at(&self, t: Nanos) -> Option<&Phase> {
        phase_at(&self.phases, t).and_then(|i| self.phases.get(i))
    }

    /// The step that was running at a moment.
    pub fn step_at(&self, t: Nanos) -> Option<&Step> {
        self.steps.values().rfind(|s| s.started <= t && s.ended.is_none_or(|end| t < end))
    }

    /// Every outage of every probe by time, the ones that go on included.
    pub fn outages(&self) -> Vec<(&str, &Outage)> {
        let mut all: Vec<_> =
            self.probes.iter().flat_map(|(name, probe)| probe.outages().map(move |o| (name.as_str(), o))).collect();
        all.sort_by_key(|(_, outage)| outage.span);
        all
    }

    /// (samples taken, failed) over all probes.
    pub fn sample_totals(&self) -> (u64, u64) {
        self.probes.values().fold((0, 0), |(taken, failed), p| (taken + p.total.taken, failed + p.total.failed))
    }

    /// Where the time went.
    pub fn times(&self) -> Times {
        let end = |ended: Option<Nanos>| ended.unwrap_or(self.now);
        let activities = self.activities.iter().map(|a| (a.name.as_str(), Interval::new(a.started, end(a.ended))));
        let phases = self
            .phases
            .iter()
            .filter_map(|p| p.started.map(|started| (p.info.name.as_str(), Interval::new(started, end(p.ended)))));
        let mut rows: Vec<_> = activities.clone().chain(phases).collect();
        rows.sort_by_key(|(_, span)| span.from);
        let steps = self.steps.values().map(|s| Interval::new(s.started, end(s.ended)));
        let busy: IntervalSet = activities.map(|(_, span)| span).chain(steps).collect();
        Times {
            rows: rows.into_iter().map(|(name, span)| (name.to_owned(), span)).collect(),
            own: self.now.saturating_sub(busy.total()),
            total: self.now,
        }
    }

    /// A moment as people read it: calendar time, and time since the start.
    pub fn when(&self, t: Nanos) -> String {
        match self.started.as_ref().and_then(|s| fmt::clock(s.wall, t)) {
            Some(clock) => format!("{clock} ({})", fmt::since_start(t)),
            None => fmt::since_start(t),
        }
    }
}

impl<'a> FromIterator<&'a Event> for RunState {
    fn from_iter<T: IntoIterator<Item = &'a Event>>(events: T) -> Self {
        let mut run = Self::default();
        events.into_iter().for_each(|event| run.apply(event));
        run
    }
}

/// Where a run's time went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// The lab's activities and the phases, by start.
    pub rows: Vec<(String, Interval)>,
    /// Time in which neither an activity nor a step was going on: the harness's own share.
    pub own: Nanos,
    /// From the start to the last event.
    pub total: Nanos,
}

/// Whether an event may follow the verdict.
fn is_tidying(kind: &EventKind) -> bool {
    use EventKind::{ActivityEnded, ActivityStarted, Fact, Infra, Log, RunEnded};
    match kind {
        ActivityStarted { .. } | ActivityEnded { .. } | Log { .. } | Infra { .. } | RunEnded => true,
        // How the run compares with others is asked when it is known how it ended.
        Fact { key, .. } => is_history(key),
        _ => false,
    }
}

/// Whether a fact says how the run compares with earlier ones: nothing is judged by it.
pub(crate) fn is_history(key: &str) -> bool {
    key.split('.').next() == Some(crate::report::HISTORY)
}

fn phase_at(phases: &[Phase], t: Nanos) -> Option<usize> {
    phases.iter().rposition(|p| p.started.is_some_and(|start| start <= t) && p.ended.is_none_or(|end| t < end))
}

/// Keeps the latest `max`; drops a tenth at once, so that pushing stays cheap.
fn push_bounded<T>(list: &mut Vec<T>, item: T, max: usize) {
    if list.len() >= max {
        list.drain(..max / 10);
    }
    list.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::testing::{MS, Record, SECOND};

    #[test]
    fn a_run_in_the_middle() {
        let run: RunState = Record::good().events().iter().take_while(|e| e.t < 12 * SECOND).collect();
        assert_eq!(run.current_phase().unwrap().info.name, "take over");
        let step = run.current_step().unwrap();
        assert_eq!((step.kind.as_str(), step.waiting_for().unwrap().1), ("wait", "FluxInstance is progressing"));
        assert_eq!(run.phase_at(SECOND), None);
        assert_eq!(run.phase_at(5 * SECOND).unwrap().info.name, "bootstrap");
        assert_eq!(run.step_at(8 * SECOND).unwrap().kind, "bootstrap");
        assert!(!run.ended);
    }

    #[test]
    fn time_is_accounted_for() {
        let run = Record::good().fold();
        let times = run.times();
        let rows: Vec<_> = times.rows.iter().map(|(name, span)| (name.as_str(), span.len() / MS)).collect();
        assert_eq!(rows, [("cluster", 4_000), ("bootstrap", 5_000), ("take over", 10_000), ("tear-down", 1_000)]);
        assert_eq!((times.own / MS, times.total / MS), (500, 20_500));
    }

    #[test]
    fn outages_are_dated_by_intended_times() {
        let run =
            Record::good().fail(10, Failure::Refused).fail(11, Failure::Refused).fail(399, Failure::Timeout).fold();
        let outages: Vec<_> =
            run.outages().iter().map(|(_, o)| (o.span.from / MS, o.span.to / MS, o.failed, o.open)).collect();
        // The probe starts at 0 with 20 samples a second; the last one is due at 19.95 s and stays open.
        assert_eq!(outages, [(500, 600, 2, false), (19_950, 20_000, 1, true)]);
    }

    #[test]
    fn steps_know_how_deep_they_are() {
        let mut run = RunState::default();
        let started = |step, parent| EventKind::StepStarted {
            step,
            phase: 0,
            kind: "parallel".into(),
            title: String::new(),
            place: None,
            deadline: None,
            parent,
        };
        // The last two name each other, as no run does.
        for (step, parent) in [(0, None), (1, Some(0)), (2, Some(1)), (3, Some(0)), (4, Some(5)), (5, Some(4))] {
            run.apply(&Event { t: 0, kind: started(step, parent) });
        }
        let depths: Vec<usize> = run.steps.values().map(|step| run.depth(step)).collect();
        assert_eq!(depths, [0, 1, 2, 1, 0, 1]);
        assert_eq!(run.own_steps().count(), 1);
    }

    #[test]
    fn senseless_events_change_nothing() {
        let mut run = RunState::default();
        for kind in [
            EventKind::PhaseStarted { phase: usize::MAX },
            EventKind::StepEnded { step: 7, outcome: Outcome::Done },
            EventKind::ActivityEnded { activity: "x".into(), error: None },
            EventKind::ProbeStopped { probe: "p".into(), planned: u64::MAX },
        ] {
            run.apply(&Event { t: u64::MAX, kind });
        }
        assert_eq!((run.phases.len(), run.steps.len(), run.activities.len()), (0, 0, 0));
        assert!(run.when(u64::MAX).starts_with('+'));
    }

    #[test]
    fn lists_are_bounded() {
        let mut list = Vec::new();
        (0..1_000).for_each(|i| push_bounded(&mut list, i, 100));
        assert!(list.len() <= 100);
        assert_eq!(list.last(), Some(&999));
    }
}

//! What a person sees while a run goes on. A view draws events and the state folded from them; it decides nothing.

pub mod bars;
mod live;
mod plain;

use std::io::IsTerminal;

use ferry_record::Event;
use ferry_record::fold::{RunState, Step};
use ferry_record::{EventKind, Nanos, fmt};
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::cli::Progress;

/// A sink for people.
pub trait View: Send {
    /// Something happened; the state holds it already.
    fn event(&mut self, event: &Event, state: &RunState);
    /// Time passes: `now` is the last event's time plus what has passed since.
    fn tick(&mut self, now: Nanos, state: &RunState);
    /// No more events come.
    fn close(&mut self, state: &RunState);
}

/// The part of the screen that is drawn again and again, shared by a run's view and the bundle's bars.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: MultiProgress,
    live: bool,
}

impl Screen {
    /// Live on a terminal, hidden elsewhere, unless asked otherwise.
    pub fn open(progress: Progress) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let live = match progress {
            Progress::Auto => terminal,
            Progress::Live => true,
            Progress::Plain => false,
        };
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), live }
    }

    /// The view that fits the screen.
    pub fn view(&self) -> Box<dyn View> {
        if self.live {
            Box::new(live::Live::new(self.bars.clone()))
        } else {
            Box::new(plain::Plain::new(std::io::stderr()))
        }
    }
}

/// What is said once, in a line of its own, about an event; the same words live and plain.
fn headline(event: &Event, state: &RunState) -> Option<String> {
    Some(match &event.kind {
        EventKind::RunStarted(run) => format!("{} {} · {} · run {}", run.scenario, run.cell, run.summary, run.run),
        EventKind::ActivityEnded { activity, error } => {
            let took = state.activities.iter().rfind(|a| a.name == *activity).map_or(0, |a| event.t - a.started);
            match error {
                None => format!("{activity} done in {}", fmt::duration(took)),
                Some(error) => format!("{activity} failed after {}: {error}", fmt::duration(took)),
            }
        }
        EventKind::PhaseStarted { phase } => {
            let name = state.phases.get(*phase).map_or("", |p| p.info.name.as_str());
            format!("phase {}/{}: {name}", phase + 1, state.phases.len())
        }
        EventKind::StepEnded { step, outcome } => {
            let step = state.steps.get(step)?;
            let took = fmt::duration(event.t - step.started);
            match outcome {
                ferry_record::event::Outcome::Done => format!("  ✔ {} ({took})", step.title),
                // Whether it failed as it was to is for the step around it to say.
                ferry_record::event::Outcome::Failed { error, .. } if is_expected_to_fail(step, state) => {
                    format!("  · {} failed ({took}): {error}", step.title)
                }
                ferry_record::event::Outcome::Failed { error, .. } => {
                    format!("  ✘ {} ({took}): {error}", step.title)
                }
                ferry_record::event::Outcome::Skipped => format!("  - {} skipped", step.title),
                ferry_record::event::Outcome::Cancelled => format!("  ✘ {} cancelled ({took})", step.title),
            }
        }
        EventKind::ProbeStarted(probe) => format!("probing {} as {}", probe.target, probe.probe),
        EventKind::SamplerOutage { probe, from, to, reason } => {
            format!("the sampler of {probe} was out for {}: {reason}", fmt::duration(to - from))
        }
        EventKind::Log { level, message } if *level >= ferry_record::event::Level::Info => message.clone(),
        EventKind::Infra { what, error, hint } => {
            let hint = hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
            format!("✘ {what}: {error}{hint}")
        }
        EventKind::Cancelled { by } => format!("{by}: ending the run in order; once more to leave at once"),
        EventKind::Verdict(judgement) => format!("verdict: {}", judgement.verdict),
        _ => return None,
    })
}

/// Whether the step around it expects it to fail.
fn is_expected_to_fail(step: &Step, state: &RunState) -> bool {
    step.parent.and_then(|around| state.steps.get(&around)).is_some_and(|around| around.kind == "expect-failure")
}

/// `wait until x is ready (12 s of 5m00s): why not yet`
fn waiting(step: &Step, now: Nanos) -> String {
    let spent = fmt::duration(now.saturating_sub(step.started));
    let limit = step.deadline.map(|limit| format!(" of {}", fmt::duration(limit))).unwrap_or_default();
    let why = step.waiting_for().map(|(_, why)| format!(": {why}")).unwrap_or_default();
    format!("{} ({spent}{limit}){why}", step.title)
}

/// `web/outside/new 1,240 ok, 0 failed`
fn counters(state: &RunState) -> Vec<String> {
    let counter = |(name, probe): (&String, &ferry_record::fold::ProbeState)| {
        let total = &probe.total;
        let down = probe.current_outage().map(|o| format!(", DOWN for {}", fmt::duration(o.span.len())));
        let ok = fmt::number(total.taken - total.failed);
        format!("{name} {ok} ok, {} failed{}", fmt::number(total.failed), down.unwrap_or_default())
    };
    state.probes.iter().map(counter).collect()
}

//! A line for each transition, for logs: no colours, nothing drawn twice, and a sign of life while a wait lasts.

use std::io::Write;

use ferry_record::fold::RunState;
use ferry_record::{Event, EventKind, Nanos};

use super::{View, counters, headline, waiting};

/// How often a wait that goes on is mentioned again.
const SIGN_OF_LIFE: Nanos = 30_000_000_000;

/// The view.
pub(super) struct Plain<W: Write> {
    out: W,
    spoke: Nanos,
    opened: std::time::Instant,
    last_event: (Nanos, std::time::Duration),
}

impl<W: Write> Plain<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, spoke: 0, opened: std::time::Instant::now(), last_event: Default::default() }
    }

    fn say(&mut self, t: Nanos, line: &str) {
        // A closed terminal must not end the run: the record has it all.
        let _ = writeln!(self.out, "[{:>6.1}s] {line}", t as f64 / 1e9);
        let _ = self.out.flush();
        self.spoke = t;
    }
}

impl<W: Write + Send> View for Plain<W> {
    fn event(&mut self, event: &Event, state: &RunState) {
        self.last_event = (event.t, self.opened.elapsed());
        if let EventKind::ActivityStarted { activity } = &event.kind {
            self.say(event.t, activity);
        }
        if let Some(line) = headline(event, state) {
            self.say(event.t, &line);
        }
        self.tick(event.t, state);
    }

    fn tick(&mut self, _now: Nanos, state: &RunState) {
        let (t, at) = self.last_event;
        let now = t + u64::try_from((self.opened.elapsed() - at).as_nanos()).unwrap_or(0);
        if now.saturating_sub(self.spoke) < SIGN_OF_LIFE {
            return;
        }
        if let Some(step) = state.current_step() {
            self.say(now, &format!("  … {}", waiting(step, now)));
            for counter in counters(state) {
                self.say(now, &format!("    {counter}"));
            }
        } else if let Some(activity) = state.current_activity() {
            self.say(now, &format!("  … {} goes on", activity.name));
        }
    }

    fn close(&mut self, _state: &RunState) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_record::event::{Budget, Outcome, PhaseInfo, RunStarted};

    const SECOND: Nanos = 1_000_000_000;

    fn show(events: Vec<(Nanos, EventKind)>) -> String {
        let mut out = vec![];
        let mut state = RunState::default();
        {
            let mut view = Plain::new(&mut out);
            for (t, kind) in events {
                let event = Event { t, kind };
                state.apply(&event);
                view.event(&event, &state);
            }
        }
        String::from_utf8(out).unwrap()
    }

    fn frame() -> EventKind {
        EventKind::RunStarted(Box::new(RunStarted {
            format: 1,
            run: "20261121-1".into(),
            scenario: "single-tenant/official".into(),
            summary: "The official migration".into(),
            cell: "k8s_1_34::kind".into(),
            ferry: "0.1.0".into(),
            wall: "2026-11-21T08:00:00Z".parse().unwrap(),
            clusters: vec![],
            phases: vec![PhaseInfo {
                name: "bootstrap".into(),
                budget: Budget::default(),
                steps: 2,
                role: Default::default(),
                changes: vec![],
            }],
            invariants: vec![],
            rules: vec![],
            flux_namespace: "flux-system".into(),
            self_proof: false,
            expect: None,
            host: Default::default(),
        }))
    }

    fn step(step: usize, title: &str) -> EventKind {
        let deadline = Some(300 * SECOND);
        EventKind::StepStarted {
            step,
            phase: 0,
            kind: "wait".into(),
            title: title.into(),
            place: None,
            deadline,
            parent: None,
        }
    }

    #[test]
    fn a_run_reads_as_a_log() {
        let events = vec![
            (0, frame()),
            (0, EventKind::ActivityStarted { activity: "cluster".into() }),
            (9 * SECOND, EventKind::ActivityEnded { activity: "cluster".into(), error: None }),
            (9 * SECOND, EventKind::PhaseStarted { phase: 0 }),
            (9 * SECOND, step(0, "wait until kustomization/flux-system/apps is ready")),
            (10 * SECOND, EventKind::NotYet { step: 0, reason: "it does not exist yet".into() }),
            (45 * SECOND, EventKind::NotYet { step: 0, reason: "Ready=Unknown: Progressing: building".into() }),
            (50 * SECOND, EventKind::StepEnded { step: 0, outcome: Outcome::Done }),
            (51 * SECOND, EventKind::Cancelled { by: "SIGINT".into() }),
        ];
        insta::assert_snapshot!(show(events), @"
        [   0.0s] single-tenant/official k8s_1_34::kind · The official migration · run 20261121-1
        [   0.0s] cluster
        [   9.0s] cluster done in 9.0 s
        [   9.0s] phase 1/1: bootstrap
        [  45.0s]   … wait until kustomization/flux-system/apps is ready (36.0 s of 5m00s): Ready=Unknown: Progressing: building
        [  50.0s]   ✔ wait until kustomization/flux-system/apps is ready (41.0 s)
        [  51.0s] SIGINT: ending the run in order; once more to leave at once
        ");
    }

    #[test]
    fn a_failure_that_is_expected_is_none() {
        let within = |step: usize, kind: &str, parent: Option<usize>, title: &str| EventKind::StepStarted {
            step,
            phase: 0,
            kind: kind.into(),
            title: title.into(),
            place: None,
            deadline: None,
            parent,
        };
        let failed = Outcome::Failed { error: "note not found".into(), hint: None };
        let events = vec![
            (0, frame()),
            (0, within(0, "expect-failure", None, "expect “not found” from: delete note")),
            (0, within(1, "delete", Some(0), "delete note")),
            (SECOND, EventKind::StepEnded { step: 1, outcome: failed.clone() }),
            (SECOND, EventKind::StepEnded { step: 0, outcome: Outcome::Done }),
            (SECOND, within(2, "delete", None, "delete note")),
            (2 * SECOND, EventKind::StepEnded { step: 2, outcome: failed }),
        ];
        insta::assert_snapshot!(show(events), @"
        [   0.0s] single-tenant/official k8s_1_34::kind · The official migration · run 20261121-1
        [   1.0s]   · delete note failed (1.0 s): note not found
        [   1.0s]   ✔ expect “not found” from: delete note (1.0 s)
        [   2.0s]   ✘ delete note (1.0 s): note not found
        ");
    }
}

//! `steps`: every step did what it says.

use super::Invariant;
use crate::event::Outcome;
use crate::fmt;
use crate::fold::{RunState, Step};
use crate::verdict::{Evidence, Finding, Verdict};

/// The rule.
#[derive(Debug)]
pub struct Steps;

impl Invariant for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }

    fn demands(&self) -> &'static str {
        "every planned step is carried out and succeeds"
    }

    fn always(&self, _run: &RunState) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let failed: Vec<&Step> =
            run.own_steps().filter(|s| s.outcome.as_ref().is_some_and(|o| o.error().is_some())).collect();
        if let Some(first) = failed.first() {
            let error = first.outcome.as_ref().and_then(Outcome::error).unwrap_or_default();
            let mut finding =
                Finding::new(self.name(), Verdict::Fail, format!("{} failed: {error}", describe(run, first)));
            if let Some(Outcome::Failed { hint: Some(hint), .. }) = &first.outcome {
                finding.details.push(format!("hint: {hint}"));
            }
            if let Some((_, reason)) = first.not_yet.last() {
                finding.details.push(format!("last seen: {reason}"));
            }
            for step in &failed[1..] {
                let error = step.outcome.as_ref().and_then(Outcome::error).unwrap_or_default();
                finding.details.push(format!("then {} failed: {error}", describe(run, step)));
            }
            finding.evidence = failed.iter().map(|s| Evidence::Step(s.index)).collect();
            return finding;
        }
        // A phase can fail without a step, by its own deadline or before its first step.
        let phase = run.phases.iter().find_map(|p| Some((p, p.outcome.as_ref()?.error()?)));
        if let Some((phase, error)) = phase {
            return Finding::new(self.name(), Verdict::Fail, format!("phase {} failed: {error}", phase.info.name));
        }

        let planned: usize = run.phases.iter().map(|p| p.info.steps).sum();
        let done = run.own_steps().filter(|s| s.outcome == Some(Outcome::Done)).count();
        let unfinished = run.own_steps().find(|s| s.outcome != Some(Outcome::Done));
        let undone = run.phases.iter().enumerate().find(|(i, phase)| {
            run.own_steps().filter(|s| s.phase == *i && s.outcome == Some(Outcome::Done)).count() < phase.info.steps
        });
        let (verdict, message) = match (unfinished, undone) {
            (Some(step), _) => (Verdict::Inconclusive, format!("{} did not come to its end", describe(run, step))),
            (None, Some((_, phase))) => (
                Verdict::Inconclusive,
                format!("{done} of {planned} steps were carried out; phase {} is incomplete", phase.info.name),
            ),
            (None, None) if done == 0 => (Verdict::Inconclusive, "no step was carried out".into()),
            (None, None) => (Verdict::Pass, format!("{} done", fmt::count(done as u64, "step"))),
        };
        Finding::new(self.name(), verdict, message)
    }
}

/// A step with its number, place and phase.
fn describe(run: &RunState, step: &Step) -> String {
    let place = step.place.as_ref().map_or(String::new(), |place| format!(" at {place}"));
    let phase = run.phases.get(step.phase).map_or(String::new(), |p| format!(" in phase {}", p.info.name));
    format!("step {} ({}){place}{phase}", step.index + 1, step.title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::testing::{MS, Record};
    use rstest::rstest;

    fn failed(error: &str) -> Outcome {
        Outcome::Failed { error: error.into(), hint: Some("look at the events".into()) }
    }

    fn phase_only() -> Record {
        let outcome = failed("no answer from the API within 30 s");
        Record::good().with(19_600 * MS, EventKind::PhaseEnded { phase: 1, outcome })
    }

    #[rstest]
    #[case::done(Record::good(), Verdict::Pass, "3 steps done")]
    #[case::failed(Record::good().outcome(failed("not ready within 5m")), Verdict::Fail,
        "step 3 (wait it) at scenarios/single-tenant/official.yaml:17:7 in phase take over failed: not ready within 5m")]
    #[case::phase_failed(phase_only(), Verdict::Fail, "phase take over failed: no answer from the API within 30 s")]
    #[case::interrupted(Record::good().outcome(Outcome::Cancelled), Verdict::Inconclusive,
        "step 3 (wait it) at scenarios/single-tenant/official.yaml:17:7 in phase take over did not come to its end")]
    #[case::missing(Record::good().steps(1, 4), Verdict::Inconclusive,
        "3 of 5 steps were carried out; phase take over is incomplete")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = Steps.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    /// An expected failure fails within a step that does not.
    #[test]
    fn a_failure_within_a_step_is_for_that_step_to_judge() {
        let mut run = Record::good().fold();
        let mut inner = run.steps[&2].clone();
        inner.index = run.steps.len();
        inner.parent = Some(2);
        inner.outcome = Some(failed("is forbidden"));
        run.steps.insert(inner.index, inner);
        assert_eq!(Steps.judge(&run).verdict, Verdict::Pass);
    }

    #[test]
    fn the_last_reason_and_the_hint_are_kept() {
        let finding = Steps.judge(&Record::good().outcome(failed("not ready")).fold());
        assert_eq!(finding.details, ["hint: look at the events", "last seen: FluxInstance is progressing"]);
        assert_eq!(finding.evidence, [Evidence::Step(2)]);
    }
}

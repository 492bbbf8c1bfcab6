//! Carries the phases out, step by step, and says so to the record.

use std::time::Duration;

use ferry_probe::SamplerHandle;
use ferry_record::EventKind;
use ferry_record::event::{Outcome, Place};
use ferry_scenario::Scenario;
use ferry_scenario::Spanned;
use ferry_scenario::steps::Step;
use tokio_util::sync::CancellationToken;

use super::fleet::Fleet;
use super::probing;
use super::recorder::Recorder;
use super::stage::Stage;
use crate::cluster::Cluster;
use crate::edge;
use crate::steps::snapshot::Snapshots;
use crate::steps::{self, Context, StepError};

/// How much longer than its deadline a step may hang before it is given up from outside. A step ends itself in time, with
/// a reason; only a lost connection can keep it from doing so.
const GRACE: Duration = Duration::from_secs(10);

/// The executor.
#[derive(Debug)]
pub struct Executor<'a> {
    /// What is carried out.
    pub scenario: &'a Scenario,
    /// The lab's servers and tools.
    pub stage: &'a Stage,
    /// The cluster's API.
    pub cluster: &'a Cluster,
    /// The repository.
    pub fleet: &'a Fleet<'a>,
    /// The record.
    pub recorder: &'a Recorder,
    /// Cancelled when the run is to end.
    pub cancel: CancellationToken,
    sampler: Option<SamplerHandle>,
    snapshots: Snapshots,
    next_step: usize,
}

impl<'a> Executor<'a> {
    /// An executor that has done nothing yet.
    pub fn new(
        scenario: &'a Scenario,
        stage: &'a Stage,
        cluster: &'a Cluster,
        fleet: &'a Fleet<'a>,
        recorder: &'a Recorder,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            scenario,
            stage,
            cluster,
            fleet,
            recorder,
            cancel,
            sampler: None,
            snapshots: Snapshots::default(),
            next_step: 0,
        }
    }

    /// Carries out all phases; what failed is in the record. Probing starts at the end of the first phase, which brings the
    /// workload up, and ends when this returns.
    pub async fn run(mut self) {
        let mut outcome = Outcome::Done;
        for (index, phase) in self.scenario.phases.iter().enumerate() {
            self.recorder.emit(EventKind::PhaseStarted { phase: index });
            outcome = self.steps(index, &phase.steps, outcome).await;
            if index == 0 && outcome == Outcome::Done {
                outcome = self.start_probing().await;
            }
            let failed_here = matches!(outcome, Outcome::Failed { .. });
            if failed_here && !phase.rollback.is_empty() {
                self.note(format!("phase “{}” failed: carrying out its rollback", phase.phase.value));
                self.steps(index, &phase.rollback, Outcome::Done).await;
            }
            self.recorder.emit(EventKind::PhaseEnded { phase: index, outcome: outcome.clone() });
            if failed_here {
                outcome = Outcome::Skipped;
            }
        }
        if let Some(sampler) = self.sampler.take()
            && let Err(error) = sampler.stop().await
        {
            let hint = Some(error.hint().to_string());
            let error = edge::chain(&error);
            self.recorder.emit(EventKind::Infra { what: "the sampler did not end".into(), error, hint });
        }
    }

    /// Carries out steps in order until one does not succeed; the others are skipped.
    async fn steps(&mut self, phase: usize, steps: &[Spanned<Step>], mut outcome: Outcome) -> Outcome {
        for step in steps {
            let this = self.one(phase, step, &outcome).await;
            if outcome == Outcome::Done {
                outcome = this;
            }
        }
        outcome
    }

    async fn one(&mut self, phase: usize, step: &Spanned<Step>, before: &Outcome) -> Outcome {
        let action = step.action();
        let limit = action.deadline(self.scenario).limit;
        let place = self.scenario.place(step.span);
        let place = Place { file: place.file, line: place.line, column: place.column };
        let number = self.announce(phase, step.kind(), action.title(self.scenario), Some(place), limit);
        let outcome = match before {
            Outcome::Done => {
                let context = self.context(number, limit);
                self.guarded(limit, steps::execute(&step.value, &context)).await
            }
            _ => Outcome::Skipped,
        };
        self.recorder.emit(EventKind::StepEnded { step: number, outcome: outcome.clone() });
        outcome
    }

    async fn start_probing(&mut self) -> Outcome {
        let title = "start probing".to_string();
        let number = self.announce(0, "probe", title, None, probing::TARGET_DEADLINE);
        let context = self.context(number, probing::TARGET_DEADLINE);
        let mut started = None;
        let outcome = self
            .guarded(probing::TARGET_DEADLINE, async {
                started = Some(probing::start(&context).await?);
                Ok(())
            })
            .await;
        self.sampler = started;
        self.recorder.emit(EventKind::StepEnded { step: number, outcome: outcome.clone() });
        outcome
    }

    fn announce(&mut self, phase: usize, kind: &str, title: String, place: Option<Place>, limit: Duration) -> usize {
        let step = self.next_step;
        self.next_step += 1;
        let deadline = u64::try_from(limit.as_nanos()).ok();
        self.recorder.emit(EventKind::StepStarted { step, phase, kind: kind.into(), title, place, deadline });
        step
    }

    fn context(&self, step: usize, within: Duration) -> Context<'_> {
        Context {
            scenario: self.scenario,
            stage: self.stage,
            cluster: self.cluster,
            fleet: self.fleet,
            recorder: self.recorder,
            sampler: self.sampler.as_ref(),
            snapshots: &self.snapshots,
            step,
            within,
        }
    }

    /// Ends work that is cancelled or hangs, and turns its error into an outcome.
    async fn guarded(&self, limit: Duration, work: impl Future<Output = Result<(), StepError>>) -> Outcome {
        tokio::select! {
            () = self.cancel.cancelled() => Outcome::Cancelled,
            done = tokio::time::timeout(limit + GRACE, work) => match done {
                Ok(Ok(())) => Outcome::Done,
                Ok(Err(error)) => {
                    let hint = error.hint();
                    Outcome::Failed { error: self.recorder.redact(&edge::chain(&error)), hint }
                }
                Err(_) => Outcome::Failed {
                    error: format!("it still hung {GRACE:?} after its deadline of {limit:?}"),
                    hint: Some("the engine or the API server may have stopped answering: `ferry doctor`".into()),
                },
            },
        }
    }

    fn note(&self, message: String) {
        self.recorder.emit(EventKind::Log { level: ferry_record::event::Level::Info, message });
    }
}

//! Carries the phases out, step by step, and says so to the record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferry_record::EventKind;
use ferry_record::event::{Outcome, Place};
use ferry_scenario::Scenario;
use ferry_scenario::Spanned;
use ferry_scenario::model::Phase;
use ferry_scenario::probes::{From, Probe};
use ferry_scenario::steps::Step;
use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture};
use tokio_util::sync::CancellationToken;

use super::course::{Frame, Stretch};
use super::fleet::Fleet;
use super::probing::{self, Probing};
use super::recorder::Recorder;
use super::stage::Stage;
use crate::agent::{self, AgentError};
use crate::cluster::Cluster;
use crate::edge;
use crate::proof;
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
    /// The clusters, the first one first.
    pub sites: &'a [Site<'a>],
    /// The repository.
    pub fleet: &'a Fleet<'a>,
    /// The record.
    pub recorder: &'a Recorder,
    /// Cancelled when the run is to end.
    pub cancel: CancellationToken,
    /// What surrounds the scenario's phases.
    pub frame: Frame,
    probing: Option<Probing>,
    snapshots: Snapshots,
    next_step: AtomicUsize,
}

/// One of the run's clusters.
#[derive(Debug)]
pub struct Site<'a> {
    /// The lab's servers and tools.
    pub stage: &'a Stage,
    /// The cluster's API.
    pub cluster: Cluster,
    /// The record, as far as it is told of this cluster.
    pub recorder: Recorder,
}

/// Where a step is carried out.
#[derive(Debug, Clone, Copy)]
struct Within {
    phase: usize,
    /// Which of the clusters.
    site: usize,
    /// The step around it, if any.
    parent: Option<usize>,
}

/// What an `expect-failure` makes of the end of its step.
fn failed_as_expected(outcome: Outcome, message: &str) -> Outcome {
    let failed = |error: String, hint: &str| Outcome::Failed { error, hint: Some(hint.into()) };
    match outcome {
        Outcome::Failed { error, .. } if error.contains(message) => Outcome::Done,
        Outcome::Failed { error, .. } => failed(
            format!("it failed, but not with “{message}”: {error}"),
            "if this is the failure that is meant, write a part of its message",
        ),
        Outcome::Done => failed(
            format!("it succeeded, where it was to fail with “{message}”"),
            "what should have refused it did not: check that it is in place, and ready, before this step",
        ),
        other => other,
    }
}

/// How steps ended together that were carried out side by side; each is named that failed.
fn side_by_side(branches: Vec<(String, Outcome)>) -> Outcome {
    let all = branches.len();
    let failed: Vec<(String, Option<String>)> = branches
        .iter()
        .filter_map(|(title, outcome)| match outcome {
            Outcome::Failed { error, hint } => Some((format!("{title}: {error}"), hint.clone())),
            _ => None,
        })
        .collect();
    match failed.as_slice() {
        [] => branches.into_iter().map(|(_, outcome)| outcome).find(|o| *o != Outcome::Done).unwrap_or(Outcome::Done),
        [(error, hint)] => Outcome::Failed { error: error.clone(), hint: hint.clone() },
        [(_, hint), ..] => {
            let errors: Vec<&str> = failed.iter().map(|(error, _)| error.as_str()).collect();
            let error = format!("{} of {all} failed: {}", failed.len(), errors.join("; then "));
            Outcome::Failed { error, hint: hint.clone() }
        }
    }
}

impl<'a> Executor<'a> {
    /// An executor that has done nothing yet.
    pub fn new(
        scenario: &'a Scenario,
        sites: &'a [Site<'a>],
        fleet: &'a Fleet<'a>,
        recorder: &'a Recorder,
        cancel: CancellationToken,
        frame: Frame,
    ) -> Self {
        Self {
            scenario,
            sites,
            fleet,
            recorder,
            cancel,
            frame,
            probing: None,
            snapshots: Snapshots::default(),
            next_step: AtomicUsize::new(0),
        }
    }

    /// Carries out all phases; what failed is in the record. Probing starts at the end of the first phase, which brings the
    /// workload up, and ends when this returns.
    pub async fn run(mut self) {
        let mut outcome = Outcome::Done;
        for (index, stretch) in self.frame.course(self.scenario).into_iter().enumerate() {
            self.recorder.emit(EventKind::PhaseStarted { phase: index });
            let own = Within { phase: index, site: 0, parent: None };
            outcome = match stretch {
                Stretch::Phase(phase) if index == 0 => self.first(own, phase, outcome).await,
                Stretch::Phase(phase) => self.steps(own, &phase.steps, outcome).await,
                Stretch::Quiet(time) => self.idle(own, "quiet", time, outcome).await,
                Stretch::Soak(time, _) => self.idle(own, "soak", time, outcome).await,
            };
            let failed_here = matches!(outcome, Outcome::Failed { .. });
            if let (true, Stretch::Phase(phase)) = (failed_here, stretch)
                && !phase.rollback.is_empty()
            {
                self.note(format!("phase “{}” failed: carrying out its rollback", phase.phase.value));
                self.steps(own, &phase.rollback, Outcome::Done).await;
            }
            self.recorder.emit(EventKind::PhaseEnded { phase: index, outcome: outcome.clone() });
            if failed_here {
                outcome = Outcome::Skipped;
            }
        }
        if let Some(probing) = self.probing.take() {
            probing.stop(self.recorder).await;
        }
    }

    /// The phase that brings the workloads up, while the probes prove themselves on one of their own; then probing starts.
    async fn first(&mut self, own: Within, phase: &Phase, before: Outcome) -> Outcome {
        let outcome = {
            let steps = self.steps(own, &phase.steps, before);
            let beside = async { tokio::join!(self.prove(), self.bring_agents()).1 };
            futures::pin_mut!(steps, beside);
            let (outcome, brought) = match futures::future::select(steps, beside).await {
                Either::Left((Outcome::Done, beside)) => {
                    tokio::select! {
                        () = self.cancel.cancelled() => (Outcome::Cancelled, Ok(())),
                        brought = beside => (Outcome::Done, brought),
                    }
                }
                Either::Left((outcome, _)) => (outcome, Ok(())),
                Either::Right((brought, steps)) => (steps.await, brought),
            };
            match (outcome, brought) {
                (Outcome::Done, Err(error)) => {
                    let what = "the probe agents could not be brought to the nodes".to_string();
                    self.recorder.emit(EventKind::Infra { what, error: edge::chain(&error), hint: None });
                    Outcome::Skipped
                }
                (outcome, _) => outcome,
            }
        };
        match outcome {
            Outcome::Done => self.start_probing().await,
            other => other,
        }
    }

    async fn prove(&self) {
        // The samplers are the same for all clusters.
        if let (true, Some(first)) = (self.frame.self_proof, self.sites.first()) {
            proof::prove(first.stage, &first.cluster, self.recorder).await;
        }
    }

    /// Agents on the nodes, where a probe asks from inside.
    async fn bring_agents(&self) -> Result<(), AgentError> {
        let asked = |site: &&Site<'_>| {
            let mut probes = self.scenario.probes.iter();
            probes.any(|probe| probe.asks_from(From::Inside) && self.asks(probe, site))
        };
        futures::future::try_join_all(self.sites.iter().filter(asked).map(|site| agent::deploy(&site.cluster))).await?;
        Ok(())
    }

    /// Whether a probe asks a cluster.
    fn asks(&self, probe: &Probe, site: &Site<'_>) -> bool {
        self.scenario.asked(probe).is_none_or(|cluster| cluster.as_str() == site.stage.name())
    }

    /// A stretch in which nothing is done.
    async fn idle(&self, own: Within, kind: &str, time: Duration, before: Outcome) -> Outcome {
        let number = self.announce(own, kind, format!("do nothing for {time:?}"), None, time);
        let outcome = match before {
            Outcome::Done => {
                let sleep = async {
                    tokio::time::sleep(time).await;
                    Ok(())
                };
                self.guarded(time, sleep).await
            }
            _ => Outcome::Skipped,
        };
        self.recorder.emit(EventKind::StepEnded { step: number, outcome: outcome.clone() });
        if before == Outcome::Done { outcome } else { before }
    }

    /// Carries out steps in order until one does not succeed; the others are skipped.
    async fn steps(&self, within: Within, steps: &[Spanned<Step>], mut outcome: Outcome) -> Outcome {
        for step in steps {
            let this = self.one(within, step, &outcome).await;
            if outcome == Outcome::Done {
                outcome = this;
            }
        }
        outcome
    }

    /// Boxed, as steps can be within steps.
    fn one<'s>(&'s self, within: Within, step: &'s Spanned<Step>, before: &'s Outcome) -> LocalBoxFuture<'s, Outcome> {
        async move {
            let action = step.action();
            let limit = action.deadline(self.scenario).limit;
            let place = self.scenario.place(step.span);
            let place = Place { file: place.file, line: place.line, column: place.column };
            let number = self.announce(within, step.kind(), action.title(self.scenario), Some(place), limit);
            let inner = Within { parent: Some(number), ..within };
            let outcome = match before {
                Outcome::Done => self.carry_out(number, limit, inner, &step.value).await,
                _ => Outcome::Skipped,
            };
            self.recorder.emit(EventKind::StepEnded { step: number, outcome: outcome.clone() });
            outcome
        }
        .boxed_local()
    }

    /// Carries out a step, or the steps within it, each of which keeps its own deadline.
    async fn carry_out(&self, number: usize, limit: Duration, inner: Within, step: &Step) -> Outcome {
        match step {
            Step::Include(include) => self.steps(inner, &include.steps, Outcome::Done).await,
            Step::On(on) => match self.sites.iter().position(|site| site.stage.name() == on.cluster.as_str()) {
                Some(site) => self.steps(Within { site, ..inner }, &on.steps, Outcome::Done).await,
                None => Outcome::Failed {
                    error: format!("there is no cluster {}", on.cluster),
                    hint: Some("run `ferry lint`".into()),
                },
            },
            Step::Parallel(parallel) => {
                let branches = parallel.0.iter().map(|branch| self.one(inner, branch, &Outcome::Done));
                let outcomes = futures::future::join_all(branches).await;
                let titles = parallel.0.iter().map(|branch| branch.action().title(self.scenario));
                side_by_side(titles.zip(outcomes).collect())
            }
            Step::Repeat(repeat) => {
                for time in 1..=repeat.times.value {
                    match self.steps(inner, &repeat.steps, Outcome::Done).await {
                        Outcome::Done => {}
                        Outcome::Failed { error, hint } => {
                            let error = format!("the {time}. of {} times: {error}", repeat.times);
                            return Outcome::Failed { error, hint };
                        }
                        other => return other,
                    }
                }
                Outcome::Done
            }
            Step::ExpectFailure(expected) => {
                failed_as_expected(self.one(inner, &expected.step, &Outcome::Done).await, &expected.message)
            }
            single => {
                let Some(site) = self.sites.get(inner.site) else { return Outcome::Skipped };
                let context = self.context(site, number, limit);
                self.guarded(limit, steps::execute(single, &context)).await
            }
        }
    }

    async fn start_probing(&mut self) -> Outcome {
        let title = "start probing".to_string();
        let within = Within { phase: 0, site: 0, parent: None };
        let number = self.announce(within, "probe", title, None, probing::TARGET_DEADLINE);
        let places: Vec<_> = self
            .sites
            .iter()
            .map(|site| {
                let probes = self.scenario.probes.iter().filter(|probe| self.asks(probe, site)).collect();
                (self.context(site, number, probing::TARGET_DEADLINE), probes)
            })
            .collect();
        let mut started = None;
        let outcome = self
            .guarded(probing::TARGET_DEADLINE, async {
                started = Some(probing::start(&places).await?);
                Ok(())
            })
            .await;
        self.probing = started;
        self.recorder.emit(EventKind::StepEnded { step: number, outcome: outcome.clone() });
        outcome
    }

    fn announce(&self, within: Within, kind: &str, title: String, place: Option<Place>, limit: Duration) -> usize {
        let step = self.next_step.fetch_add(1, Ordering::Relaxed);
        let Within { phase, parent, .. } = within;
        let deadline = u64::try_from(limit.as_nanos()).ok();
        self.recorder.emit(EventKind::StepStarted { step, phase, kind: kind.into(), title, place, deadline, parent });
        step
    }

    fn context<'s>(&'s self, site: &'s Site<'_>, step: usize, within: Duration) -> Context<'s> {
        Context {
            scenario: self.scenario,
            stage: site.stage,
            cluster: &site.cluster,
            fleet: self.fleet,
            recorder: &site.recorder,
            probing: self.probing.as_ref(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn failed(error: &str) -> Outcome {
        Outcome::Failed { error: error.into(), hint: None }
    }

    #[rstest]
    #[case::as_expected(failed("apply: secrets is forbidden: no"), None)]
    #[case::otherwise(failed("connection refused"), Some("it failed, but not with “is forbidden”: connection refused"))]
    #[case::not_at_all(Outcome::Done, Some("it succeeded, where it was to fail with “is forbidden”"))]
    fn a_failure_is_expected_by_its_message(#[case] outcome: Outcome, #[case] error: Option<&str>) {
        let outcome = failed_as_expected(outcome, "is forbidden");
        assert_eq!(outcome.error(), error);
        assert_eq!(outcome == Outcome::Done, error.is_none());
    }

    #[test]
    fn steps_side_by_side_are_named_where_they_fail() {
        let ended = |outcomes: [Outcome; 3]| {
            side_by_side(["a", "b", "c"].map(String::from).into_iter().zip(outcomes).collect())
        };
        assert_eq!(ended([Outcome::Done, Outcome::Done, Outcome::Done]), Outcome::Done);
        assert_eq!(ended([Outcome::Done, Outcome::Cancelled, Outcome::Done]), Outcome::Cancelled);
        assert_eq!(ended([Outcome::Cancelled, failed("no"), Outcome::Done]), failed("b: no"));
        assert_eq!(
            ended([failed("no"), Outcome::Done, failed("not so")]),
            failed("2 of 3 failed: a: no; then c: not so")
        );
    }

    #[test]
    fn a_cancelled_step_has_not_failed() {
        assert_eq!(failed_as_expected(Outcome::Cancelled, ""), Outcome::Cancelled);
    }
}

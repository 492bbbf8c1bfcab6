//! What each kind of step does. One file for each kind; the language's side of it is in `ferry_scenario::steps`.

mod apply;
mod assert;
mod bootstrap;
mod command;
mod commit;
mod cut;
mod delete;
mod exec;
mod flux;
mod install_operator;
mod kill;
mod patch;
mod probe_snat;
mod push_artifact;
mod reconcile;
mod restart;
mod resume;
mod rollout;
mod scale;
pub mod snapshot;
mod stall_sampler;
mod suspend;
mod wait;

use std::time::Duration;

use ferry_lab::container::{ContainerError, ExecError};
use ferry_lab::toolbox::Toolbox;
use ferry_record::EventKind;
use ferry_scenario::Scenario;
use ferry_scenario::steps::Step;
use serde_json::Value;

use crate::agent::AgentError;
use crate::cluster::{Cluster, ClusterError};
use crate::faults::FaultError;
use crate::run::fleet::Fleet;
use crate::run::probing::Probing;
use crate::run::recorder::Recorder;
use crate::run::stage::Stage;
use crate::wait::{self as waiting, Check, Deadline, WaitError};

/// Who applies what steps apply, as server-side apply's field manager: a person with kubectl, as in the guide.
pub const FIELD_MANAGER: &str = "kubectl";

/// Who asks, suspends and resumes: the flux command, whose fields kustomize-controller leaves alone where it undoes kubectl's.
const FLUX_COMMAND: &str = "flux";

/// Everything that steps act on.
#[derive(Debug)]
pub struct Context<'a> {
    /// The scenario that they are part of.
    pub scenario: &'a Scenario,
    /// The lab's servers and tools.
    pub stage: &'a Stage,
    /// The cluster's API.
    pub cluster: &'a Cluster,
    /// The git repository that Flux syncs.
    pub fleet: &'a Fleet<'a>,
    /// The record.
    pub recorder: &'a Recorder,
    /// The samplers, once they run.
    pub probing: Option<&'a Probing>,
    /// What snapshots have kept so far.
    pub snapshots: &'a snapshot::Snapshots,
    /// The step's number in the record.
    pub step: usize,
    /// The step's own deadline.
    pub within: Duration,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// What it waited for did not come.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The cluster refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A command did not succeed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A command of the scenario did otherwise than expected.
    #[error(transparent)]
    Command(#[from] command::CommandError),
    /// A command on this host could not be run to its end.
    #[error(transparent)]
    Host(#[from] crate::host::HostError),
    /// The lab's cluster could not be acted upon from outside.
    #[error(transparent)]
    Lab(#[from] ferry_lab::cluster::ClusterError),
    /// A container could not be reached.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The git server is not as it should be.
    #[error(transparent)]
    Git(#[from] ferry_lab::git::GitError),
    /// The OCI registry is not as it should be.
    #[error(transparent)]
    Registry(#[from] ferry_lab::registry::RegistryError),
    /// A fault could not be injected.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The probe agent does not do as it is told.
    #[error(transparent)]
    Agent(Box<AgentError>),
    /// A file of the scenario cannot be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// What the step says does not fit what is there.
    #[error("{what}")]
    Mismatch {
        /// What does not fit.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl StepError {
    /// Something in the scenario that does not fit the run.
    pub fn mismatch(what: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Mismatch { what: what.into(), hint: hint.into() }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Wait(WaitError::TimedOut { .. }) => {
                Some("if it was on its way, give it longer with `within:`; `ferry run --keep on-failure` keeps the cluster to look at".into())
            }
            Self::Mismatch { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}

/// Carries out one step.
pub async fn execute(step: &Step, cx: &Context<'_>) -> Result<(), StepError> {
    match step {
        Step::Bootstrap(step) => bootstrap::execute(step, cx).await,
        Step::InstallOperator(step) => install_operator::execute(step, cx).await,
        Step::Apply(step) => apply::execute(step, cx).await,
        Step::Delete(step) => delete::execute(step, cx).await,
        Step::Patch(step) => patch::execute(step, cx).await,
        Step::Scale(step) => scale::execute(step, cx).await,
        Step::Rollout(step) => rollout::execute(step, cx).await,
        Step::Restart(step) => restart::execute(step, cx).await,
        Step::Reconcile(step) => reconcile::execute(step, cx).await,
        Step::Suspend(step) => suspend::execute(step, cx).await,
        Step::Resume(step) => resume::execute(step, cx).await,
        Step::PushArtifact(step) => push_artifact::execute(step, cx).await,
        Step::Exec(step) => exec::execute(step, cx).await,
        Step::Flux(step) => flux::execute(step, cx).await,
        Step::Commit(step) => commit::execute(step, cx).await,
        Step::Wait(step) => wait::execute(step, cx).await,
        Step::Assert(step) => assert::execute(step, cx).await,
        Step::Snapshot(step) => snapshot::execute(step, cx).await,
        Step::Sleep(step) => {
            tokio::time::sleep(step.r#for.get()).await;
            Ok(())
        }
        Step::Parallel(_) | Step::Repeat(_) | Step::Include(_) | Step::On(_) | Step::ExpectFailure(_) => {
            Err(StepError::mismatch(
                "steps within steps are the executor's to carry out",
                "this is a mistake in ferry: please report it".to_string(),
            ))
        }
        Step::Cut(step) => cut::execute(step, cx).await,
        Step::ProbeSnat(_) => probe_snat::execute(cx).await,
        Step::Kill(step) => kill::execute(step, cx).await,
        Step::StallSampler(step) => stall_sampler::execute(step, cx).await,
    }
}

impl Context<'_> {
    /// The toolbox.
    pub fn toolbox(&self) -> &Toolbox {
        self.stage.toolbox()
    }

    /// Notes a line that a tool printed.
    pub fn said(&self, line: &str) {
        let message = self.recorder.redact(line.trim_end());
        if !message.is_empty() {
            self.recorder.emit(EventKind::Log { level: ferry_record::event::Level::Debug, message });
        }
    }

    /// Waits with the step's deadline, and tells the record why not yet.
    pub async fn until(
        &self,
        what: impl Into<String>,
        checks: impl futures::Stream<Item = Check>,
    ) -> Result<String, StepError> {
        let deadline = Deadline { what: what.into(), within: self.within };
        let note = |reason: &str| {
            let reason = self.recorder.redact(reason);
            self.recorder.emit(EventKind::NotYet { step: self.step, reason });
        };
        Ok(waiting::until(deadline, checks, note).await?)
    }

    /// Waits until an object is ready.
    pub async fn ready(&self, kind: &str, namespace: Option<&str>, name: &str) -> Result<String, StepError> {
        let what = format!("{kind} {} ready", crate::cluster::qualified(namespace, name));
        let ready = |object: Option<&Value>| crate::cluster::ready::readiness(object);
        self.until(what, crate::cluster::watch::object(self.cluster, kind, namespace, name, ready)).await
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    /// A step's content, as authors write it.
    #[track_caller]
    pub(super) fn parsed<T: DeserializeOwned>(yaml: &str) -> T {
        serde_yaml::from_str(yaml).unwrap()
    }
}

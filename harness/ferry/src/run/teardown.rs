//! The end of a run's lab: logs kept where they help, everything removed by label, and what could not be.

use std::path::Path;
use std::time::Duration;

use ferry_lab::cluster::Provider;
use ferry_lab::engine::Engine;
use ferry_lab::gc;
use ferry_lab::reaper::{self, Reaper};
use ferry_lab::run::RunScope;
use ferry_record::EventKind;
use ferry_record::event::Level;

use super::recorder::Recorder;
use super::stage::Stage;
use crate::edge::Problem;

/// How long collecting logs may take; an engine in trouble must not hold the tear-down.
const LOGS_DEADLINE: Duration = Duration::from_secs(30);

/// Removes what dead runs left, before this one makes anything.
pub(super) async fn sweep(engine: &Engine, recorder: &Recorder) -> Result<(), Problem> {
    let swept =
        gc::sweep(engine).await.map_err(|e| Problem::infra("what earlier runs left cannot be listed").because(e))?;
    for (run, swept) in swept {
        note(recorder, Level::Info, format!("removed {} things that the dead run {run} had left", swept.removed.len()));
        for (thing, why) in swept.left {
            note(recorder, Level::Warn, format!("the dead run {run} has left {thing}: {why}"));
        }
    }
    Ok(())
}

/// Starts the process that removes this run's things should this one be killed.
pub(super) fn start_reaper(ferry: &Path, scope: &RunScope) -> Result<Reaper, Problem> {
    reaper::spawn(ferry, scope).map_err(|e| Problem::infra("the run's reaper").because(e))
}

/// Copies journals, pod logs and what the servers said into the run's folder.
pub(super) async fn collect_logs(
    provider: &dyn Provider,
    clusters: &[String],
    stage: Option<&Stage>,
    scope: &RunScope,
    recorder: &Recorder,
) {
    let to = scope.dir.join("logs");
    let work = async {
        let mut missing = servers(stage, &to).await;
        for cluster in clusters {
            let to = if clusters.len() > 1 { to.join(cluster) } else { to.clone() };
            missing.extend(provider.export_logs(cluster, &to).await);
        }
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    };
    let bounded = async {
        tokio::time::timeout(LOGS_DEADLINE, work).await.unwrap_or_else(|_| Err(format!("not within {LOGS_DEADLINE:?}")))
    };
    if recorder.activity("collect logs", bounded).await.is_ok() {
        note(recorder, Level::Info, format!("logs of the cluster and its servers are in {}", to.display()));
    }
}

/// The git server's and the registry's output. Returns what could not be had.
async fn servers(stage: Option<&Stage>, to: &Path) -> Vec<String> {
    let Some(stage) = stage else { return vec![] };
    if let Err(error) = fs_err::tokio::create_dir_all(to).await {
        return vec![error.to_string()];
    }
    let (git, registry) = (to.join("git.log"), to.join("registry.log"));
    let (git, registry) =
        tokio::join!(stage.git().container().save_log(&git), stage.registry().container().save_log(&registry));
    [git, registry].into_iter().filter_map(|saved| Some(saved.err()?.to_string())).collect()
}

/// Leaves everything standing and says how to use and how to remove it.
pub(super) async fn keep(engine: &Engine, scope: &RunScope, stage: Option<&Stage>, recorder: &Recorder) {
    if let Err(error) = gc::keep(engine, scope).await {
        note(recorder, Level::Warn, format!("the next run will remove what is kept: {error}"));
    }
    for stage in stage.into_iter().flat_map(Stage::all) {
        note(recorder, Level::Info, format!("kept: KUBECONFIG={} kubectl get pods -A", stage.kubeconfig().display()));
    }
    note(recorder, Level::Info, format!("remove it with: ferry clusters --rm {}", scope.id.as_str()));
}

/// Removes everything that carries the run's label, and returns what is left.
pub(super) async fn tear_down(engine: &Engine, scope: &RunScope, recorder: &Recorder) -> Vec<String> {
    match recorder.activity("tear-down", gc::teardown(engine, &scope.id)).await {
        Ok(swept) => swept.left.into_iter().map(|(thing, why)| format!("{thing}: {why}")).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn note(recorder: &Recorder, level: Level, message: String) {
    recorder.emit(EventKind::Log { level, message });
}

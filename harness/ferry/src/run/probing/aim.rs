//! Follows a Flux source, whose artifact has another URL with each revision.

use std::time::Duration;

use ferry_probe::{FluxSpec, KindSpec};
use ferry_record::EventKind;
use ferry_record::event::Level;
use ferry_scenario::text::ObjectRef;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::agent::{Agent, Caller};
use crate::cluster::Cluster;
use crate::edge;
use crate::run::recorder::Recorder;

/// How often the source is looked at. source-controller keeps the artifact before the current one for a minute at least
/// (its `--artifact-retention-ttl`), so that nothing is missed by being later.
const LOOK: Duration = Duration::from_millis(500);

/// Lets one probe ask for the artifact that its source has now. Ends when it is dropped.
#[derive(Debug)]
pub struct Aimer {
    task: JoinHandle<()>,
}

impl Aimer {
    /// Follows the source of the probe with this id.
    pub fn start((probe, source): (String, ObjectRef), cluster: &Cluster, agent: &Agent, recorder: &Recorder) -> Self {
        let follow = follow(probe, source, cluster.clone(), agent.caller(), recorder.clone());
        Self { task: tokio::spawn(follow) }
    }
}

impl Drop for Aimer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(probe: String, source: ObjectRef, cluster: Cluster, agent: Caller, recorder: Recorder) {
    let mut aimed_at: Option<FluxSpec> = None;
    loop {
        // A look that fails is made again: the artifact that is asked for stays good for a while.
        let object = cluster.get(&source.kind, source.namespace.as_deref(), &source.name).await.ok().flatten();
        if let Some(artifact) = object.as_ref().and_then(artifact).filter(|now| aimed_at.as_ref() != Some(now)) {
            match agent.aim(&probe, KindSpec::Flux(artifact.clone())).await {
                Ok(()) => aimed_at = Some(artifact),
                Err(error) => {
                    let message = format!("{probe} could not be aimed at {}: {}", artifact.url, edge::chain(&error));
                    recorder.emit(EventKind::Log { level: Level::Warn, message });
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The artifact that a source says it has.
pub(super) fn artifact(source: &Value) -> Option<FluxSpec> {
    let text = |pointer: &str| source.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some(FluxSpec { url: text("/status/artifact/url")?, digest: text("/status/artifact/digest") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_artifact_is_where_its_source_says() {
        let source =
            json!({"status": {"artifact": {"url": "http://source-controller/x.tar.gz", "digest": "sha256:00"}}});
        let expected = FluxSpec { url: "http://source-controller/x.tar.gz".into(), digest: Some("sha256:00".into()) };
        assert_eq!(artifact(&source), Some(expected));
        assert_eq!(artifact(&json!({"status": {}})), None);
    }
}

//! `commit`: a change of the fleet, pushed, and Flux told of it as a webhook would.

use ferry_scenario::steps::{Commit, Content};

use super::{Context, StepError};
use crate::run::fleet::Change;

pub(super) async fn execute(commit: &Commit, cx: &Context<'_>) -> Result<(), StepError> {
    let mut changes = vec![];
    for path in &commit.delete {
        changes.push(Change::Delete(path.to_string()));
    }
    for (path, content) in &commit.write {
        let content = match content {
            Content::Text(text) => text.clone(),
            Content::File(file) => cx.stage.scenario_file(cx.scenario, file)?,
        };
        changes.push(Change::Write(path.to_string(), content));
    }
    for (path, texts) in &commit.replace {
        for (from, to) in texts {
            changes.push(Change::Replace { path: path.to_string(), from: from.to_string(), to: to.clone() });
        }
    }
    let sha = cx.fleet.commit(&commit.message, &changes).await?;
    cx.recorder.emit(ferry_record::EventKind::Log {
        level: ferry_record::event::Level::Info,
        message: format!(
            "pushed {} “{}”",
            &sha[..sha.len().min(12)],
            commit.message.lines().next().unwrap_or_default()
        ),
    });
    cx.fleet.announce(cx.cluster).await?;
    Ok(())
}

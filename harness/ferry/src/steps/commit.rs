//! `commit`: a change of the fleet, pushed, and Flux told of it as a webhook would.

use ferry_record::EventKind;
use ferry_scenario::steps::{Commit, Content};

use super::{Context, StepError};
use crate::run::fleet::{self, Change};

pub(super) async fn execute(commit: &Commit, cx: &Context<'_>) -> Result<(), StepError> {
    let mut changes = vec![];
    if let Some(revert) = &commit.revert {
        changes.push(Change::Revert(revert.value.0));
    }
    for path in &commit.delete {
        changes.push(Change::Delete(path.to_string()));
    }
    for (from, to) in &commit.r#move {
        changes.push(Change::Move { from: from.to_string(), to: to.to_string() });
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
    let sha = cx.fleet.commit(commit.branch(), &commit.message, &changes).await?;
    cx.recorder.emit(EventKind::Committed { revision: fleet::revision(commit.branch(), &sha) });
    cx.recorder.emit(EventKind::Log {
        level: ferry_record::event::Level::Info,
        message: format!(
            "pushed {} “{}” to {}",
            &sha[..sha.len().min(12)],
            commit.message.lines().next().unwrap_or_default(),
            commit.branch()
        ),
    });
    if !cx.fleet.announce(cx.cluster).await? {
        cx.said("no GitRepository flux-system to tell of the commit");
    }
    Ok(())
}

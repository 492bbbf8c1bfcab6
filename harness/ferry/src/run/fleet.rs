//! The fleet: the git repository that Flux syncs, as its owner works on it: a clone in the toolbox, commits, pushes.

use std::path::Path;

use ferry_lab::container::File;
use ferry_lab::toolbox::Toolbox;
use ferry_scenario::Scenario;
use ferry_scenario::vars::TEMPLATE;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, request};
use crate::steps::StepError;

/// Where the clone is in the toolbox.
const CLONE: &str = "/work/fleet";

/// Who commits.
const OWNER: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Fleet owner"),
    ("GIT_AUTHOR_EMAIL", "owner@fleet.invalid"),
    ("GIT_COMMITTER_NAME", "Fleet owner"),
    ("GIT_COMMITTER_EMAIL", "owner@fleet.invalid"),
];

/// The name that Flux gives to the sync it is bootstrapped with, and to the namespace it lives in.
pub const FLUX_SYSTEM: &str = "flux-system";

/// A change of one path of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Write a file.
    Write(String, String),
    /// Delete a file or folder.
    Delete(String),
    /// Replace a text that must be there.
    Replace {
        /// The file.
        path: String,
        /// What must be in it.
        from: String,
        /// What takes its place.
        to: String,
    },
}

/// The clone.
#[derive(Debug)]
pub struct Fleet<'a> {
    toolbox: &'a Toolbox,
}

impl<'a> Fleet<'a> {
    /// The clone of a repository that [`Fleet::push_first`] has filled.
    pub fn of(toolbox: &'a Toolbox) -> Self {
        Self { toolbox }
    }

    /// Pushes the scenario's fleet, which is the folder `content`, as the first commit of the empty repository at `url`.
    pub async fn push_first(
        toolbox: &Toolbox,
        url: &str,
        content: &Path,
        scenario: &Scenario,
    ) -> Result<(), StepError> {
        let mut files = vec![];
        collect(content, content, scenario, &mut files)?;
        toolbox.container().upload(&files).await?;
        let script = "git init --quiet --initial-branch=main; git remote add origin \"$1\"; git add --all; \
                      git commit --quiet --message 'Start the fleet'; git push --quiet --set-upstream origin main";
        Fleet { toolbox }.script(script, &[url]).await?;
        Ok(())
    }

    /// Fetches what others have pushed (`flux bootstrap` does).
    pub async fn pull(&self) -> Result<(), StepError> {
        self.script("git pull --quiet --rebase", &[]).await?;
        Ok(())
    }

    /// Makes the changes, commits and pushes them; returns the commit.
    pub async fn commit(&self, message: &str, changes: &[Change]) -> Result<String, StepError> {
        self.pull().await?;
        for change in changes {
            match change {
                Change::Delete(path) => {
                    self.script("git rm -r --quiet -- \"$1\"", &[path]).await?;
                }
                Change::Write(path, content) => {
                    self.toolbox
                        .container()
                        .upload(&[File::public(format!("{CLONE}/{path}"), content.as_bytes())])
                        .await?;
                }
                Change::Replace { path, from, to } => {
                    let file = format!("{CLONE}/{path}");
                    let old = String::from_utf8_lossy(&self.toolbox.container().download(&file).await?).into_owned();
                    if !old.contains(from) {
                        let hint = format!("the fleet's {path} must contain it when the step begins");
                        return Err(StepError::mismatch(format!("{path} does not contain {from:?}"), hint));
                    }
                    self.toolbox.container().upload(&[File::public(file, old.replace(from, to))]).await?;
                }
            }
        }
        let script = "git add --all; git commit --quiet --message \"$1\"; git push --quiet; git rev-parse HEAD";
        self.script(script, &[message]).await
    }

    /// The last commit that was pushed.
    pub async fn head(&self) -> Result<String, StepError> {
        self.script("git rev-parse origin/main", &[]).await
    }

    /// Tells Flux that there is something new, as a Receiver does when a git host calls its webhook.
    pub async fn announce(&self, cluster: &Cluster) -> Result<(), StepError> {
        let api = cluster.api("gitrepository", Some(FLUX_SYSTEM)).await?;
        let now = jiff::Timestamp::now().to_string();
        let change = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": now}}});
        api.patch(FLUX_SYSTEM, &PatchParams::default(), &Patch::Merge(&change))
            .await
            .map_err(|e| request("ask Flux to look at the repository".into(), e))?;
        Ok(())
    }

    /// Runs a script in the clone, as its owner, and returns what it printed. One command for many steps of git: each
    /// takes a tenth of a second to start.
    async fn script(&self, script: &str, arguments: &[&str]) -> Result<String, StepError> {
        let guarded = format!("cd {CLONE}; {script}");
        let command = ["sh", "-euc", &guarded, "sh"].into_iter().chain(arguments.iter().copied());
        let exec = OWNER.iter().fold(self.toolbox.exec(command), |exec, (name, value)| exec.env(name, value));
        Ok(exec.shown_as(script).succeed().await?.stdout.trim().to_string())
    }
}

/// A template with the scenario's variables filled in. Lint has tried it; files can change since.
pub fn render(scenario: &Scenario, name: &str, text: &str) -> Result<String, StepError> {
    scenario.variables.render(text).map_err(|e| StepError::mismatch(format!("{name}: {e}"), e.hint()))
}

/// Every file below `folder`, as it is to stand in the clone: templates rendered, and without their ending.
fn collect(root: &Path, folder: &Path, scenario: &Scenario, files: &mut Vec<File>) -> Result<(), StepError> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, scenario, files)?;
        } else {
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            match below.strip_suffix(TEMPLATE) {
                Some(rendered) => {
                    let text = render(scenario, &below, &fs_err::read_to_string(&path)?)?;
                    files.push(File::public(format!("{CLONE}/{rendered}"), text));
                }
                None => files.push(File::public(format!("{CLONE}/{below}"), fs_err::read(&path)?)),
            }
        }
    }
    Ok(())
}

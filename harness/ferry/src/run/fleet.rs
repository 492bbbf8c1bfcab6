//! The fleet: the git repository that Flux syncs, as its owner works on it: a clone in the toolbox, commits, pushes.

use std::path::Path;

use ferry_lab::container::File;
use ferry_lab::toolbox::Toolbox;
use ferry_scenario::Scenario;
use ferry_scenario::vars::TEMPLATE;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, ClusterError, ResolveError, request};
use crate::steps::StepError;

/// Where the clone is in the toolbox.
const CLONE: &str = "/work/fleet";

/// Where a commit's files are laid out in the toolbox.
const EXPORT: &str = "/work/export";

/// Who commits.
const OWNER: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Fleet owner"),
    ("GIT_AUTHOR_EMAIL", "owner@fleet.invalid"),
    ("GIT_COMMITTER_NAME", "Fleet owner"),
    ("GIT_COMMITTER_EMAIL", "owner@fleet.invalid"),
];

/// The name that Flux gives to the sync it is bootstrapped with, and to the namespace it lives in.
pub const FLUX_SYSTEM: &str = "flux-system";

/// A script for the clone, and what it is called where people see it. One script for many commands of git: each takes a tenth
/// of a second to start.
struct Script {
    shown: &'static str,
    text: &'static str,
}

/// Fills the repository at $1.
const START: Script = Script {
    shown: "git push (the first commit)",
    text: r#"git init --quiet --initial-branch=main
        git remote add origin "$1"
        git add --all
        git commit --quiet --message 'Start the fleet'
        git push --quiet --set-upstream origin main"#,
};

const FETCH: Script = Script { shown: "git fetch", text: "git fetch --quiet --prune origin" };

/// Goes to the end of branch $1, which is made from main if there is none; what a failed commit left is dropped.
const SWITCH: Script = Script {
    shown: "git switch",
    text: r#"git reset --quiet --hard
        git clean --quiet -d --force
        git fetch --quiet --prune origin
        from=origin/main
        if git show-ref --verify --quiet "refs/remotes/origin/$1"; then from=origin/$1; fi
        git switch --quiet --no-track --force-create "$1" "$from""#,
};

const DELETE: Script = Script { shown: "git rm -r", text: r#"git rm -r --quiet -- "$1""# };

/// Moves $1 to $2. Git would move into a folder that is there already.
const MOVE: Script = Script {
    shown: "git mv",
    text: r#"if [ -e "$2" ]; then echo "$2 is there already" >&2; exit 1; fi
        mkdir -p "$(dirname "$2")"
        git mv -- "$1" "$2""#,
};

/// Undoes the last $1 commits of the owner. Flux' own, as `flux bootstrap` makes them, are between them and stay.
const REVERT: Script = Script {
    shown: "git revert",
    text: r#"commits=$(git log --author="$GIT_AUTHOR_EMAIL" --fixed-strings --min-parents=1 --max-count="$1" --format=%H)
        found=$(printf '%s\n' "$commits" | grep -c . || true)
        if [ "$found" -ne "$1" ]; then
            echo "$1 commits are to be reverted, and the owner has made $found since the fleet began" >&2; exit 1
        fi
        git revert --no-commit $commits"#,
};

/// Commits everything as $1, pushes it, prints the commit and goes back to main.
const COMMIT: Script = Script {
    shown: "git commit, git push",
    text: r#"git add --all
        if git diff --cached --quiet; then echo "nothing in the fleet would change by it" >&2; exit 1; fi
        git commit --quiet --message "$1"
        git push --quiet --set-upstream origin HEAD
        git rev-parse HEAD
        git switch --quiet main"#,
};

/// Lays out $2 of the last commit of branch $1 under $3, and prints the commit.
const LAY_OUT: Script = Script {
    shown: "git archive",
    text: r#"git fetch --quiet origin
        rm -rf "$3"
        mkdir -p "$3"
        git archive --output="$3.tar" "origin/$1" -- "$2"
        tar -xf "$3.tar" -C "$3"
        git rev-parse "origin/$1""#,
};

/// The last commit that was pushed to main.
const HEAD: Script = Script { shown: "git rev-parse origin/main", text: "git rev-parse origin/main" };

/// A change of the fleet.
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
    /// Move a file or folder.
    Move {
        /// Where it is.
        from: String,
        /// Where it shall be; nothing is there.
        to: String,
    },
    /// Undo the owner's last so many commits.
    Revert(u32),
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
        Fleet { toolbox }.run(&START, &[url]).await?;
        Ok(())
    }

    /// Fetches what others have pushed (`flux bootstrap` does).
    pub async fn pull(&self) -> Result<(), StepError> {
        self.run(&FETCH, &[]).await?;
        Ok(())
    }

    /// Makes the changes on a branch, commits and pushes them; returns the commit.
    pub async fn commit(&self, branch: &str, message: &str, changes: &[Change]) -> Result<String, StepError> {
        self.run(&SWITCH, &[branch]).await?;
        for change in changes {
            match change {
                Change::Delete(path) => {
                    self.run(&DELETE, &[path]).await?;
                }
                Change::Move { from, to } => {
                    self.run(&MOVE, &[from, to]).await?;
                }
                Change::Revert(count) => {
                    self.run(&REVERT, &[&count.to_string()]).await?;
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
        self.run(&COMMIT, &[message]).await
    }

    /// The last commit that was pushed to main.
    pub async fn head(&self) -> Result<String, StepError> {
        self.run(&HEAD, &[]).await
    }

    /// Lays out a folder of a branch's last commit; returns where that is in the toolbox, and the commit.
    pub async fn export(&self, branch: &str, path: &str) -> Result<(String, String), StepError> {
        let sha = self.run(&LAY_OUT, &[branch, path, EXPORT]).await?;
        let folder = if path == "." { EXPORT.to_owned() } else { format!("{EXPORT}/{path}") };
        Ok((folder, sha))
    }

    /// Tells Flux that there is something new, as a Receiver does when a git host calls its webhook; false when there is no
    /// GitRepository to tell it to, as after a move to OCI artifacts.
    pub async fn announce(&self, cluster: &Cluster) -> Result<bool, StepError> {
        let api = match cluster.api("gitrepository", Some(FLUX_SYSTEM)).await {
            Err(ClusterError::Resolve(ResolveError::NotServed { .. })) => return Ok(false),
            api => api?,
        };
        let now = jiff::Timestamp::now().to_string();
        let change = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": now}}});
        match api.patch(FLUX_SYSTEM, &PatchParams::default(), &Patch::Merge(&change)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(request("ask Flux to look at the repository".into(), error).into()),
        }
    }

    /// Runs a script in the clone, as its owner, and returns what it printed.
    async fn run(&self, script: &Script, arguments: &[&str]) -> Result<String, StepError> {
        let guarded = format!("cd {CLONE}; {}", script.text);
        let command = ["sh", "-euc", &guarded, "sh"].into_iter().chain(arguments.iter().copied());
        let exec = OWNER.iter().fold(self.toolbox.exec(command), |exec, (name, value)| exec.env(name, value));
        let shown = [script.shown].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ");
        Ok(exec.shown_as(shown).succeed().await?.stdout.trim().to_string())
    }
}

/// A commit as Flux writes revisions.
pub fn revision(branch: &str, sha: &str) -> String {
    format!("{branch}@sha1:{sha}")
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::Command;

    /// A repository and its owner's clone, as in the toolbox, on this machine.
    struct Site {
        folder: tempfile::TempDir,
    }

    impl Site {
        fn new() -> Self {
            let site = Self { folder: tempfile::tempdir().unwrap() };
            fs_err::create_dir_all(site.clone_dir().join("apps")).unwrap();
            site.write("apps/web.yaml", "greeting: hello");
            site.git(&["init", "--quiet", "--bare", "--initial-branch=main", "../fleet.git"]);
            let url = site.folder.path().join("fleet.git").display().to_string();
            site.run(&START, &[&url]).unwrap();
            site
        }

        fn clone_dir(&self) -> PathBuf {
            self.folder.path().join("clone")
        }

        fn write(&self, path: &str, text: &str) {
            fs_err::write(self.clone_dir().join(path), text).unwrap();
        }

        fn read(&self, path: &str) -> Option<String> {
            fs_err::read_to_string(self.clone_dir().join(path)).ok()
        }

        fn command(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(self.clone_dir()).envs(OWNER).env("HOME", self.folder.path());
            command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
            let output = command.output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
        }

        fn git(&self, arguments: &[&str]) -> String {
            self.command("git", arguments).unwrap()
        }

        fn run(&self, script: &Script, arguments: &[&str]) -> Result<String, String> {
            let command = ["-euc", script.text, "sh"].into_iter().chain(arguments.iter().copied());
            self.command("sh", &command.collect::<Vec<_>>())
        }

        /// As [`Fleet::commit`] does it.
        fn commit(&self, branch: &str, message: &str, change: impl FnOnce(&Self)) -> String {
            self.run(&SWITCH, &[branch]).unwrap();
            change(self);
            self.run(&COMMIT, &[message]).unwrap()
        }
    }

    #[test]
    fn commits_of_two_branches_do_not_mix() {
        let site = Site::new();
        let next = site.commit("next", "On next", |site| site.write("apps/next.yaml", "x"));
        assert_eq!((site.git(&["branch", "--show-current"]), site.read("apps/next.yaml")), ("main".into(), None));
        let main = site.commit("main", "On main", |site| site.write("apps/main.yaml", "x"));
        let again = site.commit("next", "On next again", |site| site.write("apps/again.yaml", "x"));
        site.git(&["fetch", "--quiet"]);
        assert_eq!([site.git(&["rev-parse", "origin/main"]), site.run(&HEAD, &[]).unwrap()], [main.clone(), main]);
        assert_eq!(site.git(&["rev-parse", "origin/next"]), again);
        assert_eq!(site.git(&["rev-parse", "origin/next^"]), next);
    }

    #[test]
    fn what_a_failed_commit_left_is_dropped() {
        let site = Site::new();
        site.run(&SWITCH, &["next"]).unwrap();
        site.write("apps/web.yaml", "half done");
        site.write("apps/new.yaml", "half done");
        site.commit("main", "Whole", |site| site.write("whole.yaml", "x"));
        assert_eq!(site.git(&["show", "--format=", "--name-only", "HEAD"]), "whole.yaml");
    }

    #[test]
    fn moves_into_folders_that_are_not_there_but_over_nothing() {
        let site = Site::new();
        site.commit("main", "Move", |site| {
            site.run(&MOVE, &["apps/web.yaml", "teams/a/web.yaml"]).unwrap();
        });
        assert_eq!(site.read("teams/a/web.yaml").as_deref(), Some("greeting: hello"));
        let error = site.run(&MOVE, &["teams/a/web.yaml", "teams"]).unwrap_err();
        assert_eq!(error, "teams is there already");
    }

    #[test]
    fn reverts_the_owners_commits_and_nobody_elses() {
        let site = Site::new();
        site.commit("main", "One", |site| site.write("apps/web.yaml", "greeting: one"));
        site.write("gotk.yaml", "by flux bootstrap");
        site.git(&["add", "--all"]);
        let author = ["-c", "user.name=Flux", "-c", "user.email=flux@flux.invalid"];
        let commit = ["commit", "--quiet", "--message=Flux", "--author=Flux <flux@flux.invalid>"];
        site.git(&[&author[..], &commit[..]].concat());
        site.git(&["push", "--quiet"]);
        site.commit("main", "Two", |site| site.write("apps/web.yaml", "greeting: two"));
        site.commit("main", "Back", |site| {
            site.run(&REVERT, &["2"]).unwrap();
        });
        assert_eq!(site.read("apps/web.yaml").as_deref(), Some("greeting: hello"));
        assert_eq!(site.read("gotk.yaml").as_deref(), Some("by flux bootstrap"));
        assert_eq!(site.git(&["log", "--format=%s"]), "Back\nTwo\nFlux\nOne\nStart the fleet");
        site.run(&SWITCH, &["main"]).unwrap();
        assert_eq!(
            site.run(&REVERT, &["4"]).unwrap_err(),
            "4 commits are to be reverted, and the owner has made 3 since the fleet began"
        );
    }

    #[test]
    fn an_export_is_of_the_commit_and_not_of_what_lies_around() {
        let site = Site::new();
        let sha = site.commit("next", "Next", |site| site.write("apps/next.yaml", "x"));
        site.write("apps/web.yaml", "not committed");
        let to = site.folder.path().join("export");
        assert_eq!(site.run(&LAY_OUT, &["next", "apps", &to.display().to_string()]).unwrap(), sha);
        assert_eq!(fs_err::read_to_string(to.join("apps/web.yaml")).unwrap(), "greeting: hello");
        assert!(to.join("apps/next.yaml").exists());
        assert!(site.run(&LAY_OUT, &["next", "absent", &to.display().to_string()]).is_err());
    }
}

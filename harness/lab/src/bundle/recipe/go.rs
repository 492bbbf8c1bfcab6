//! `go build` of pinned modules.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::process::Command;

use super::super::error::StepError;
use super::super::model::{GoRecipe, ModuleCopy};
use super::super::process::{self, capture, run};
use super::super::sources::set_mode;
use super::toolchain::{self, Go};
use super::{Site, blocking};

/// Builds the binaries and copies the extracted files into the draft.
pub(super) async fn build(site: &Site<'_>, recipe: &GoRecipe) -> Result<(), StepError> {
    let go = toolchain::find(site, recipe).await?;
    let folder = site.draft.scratch()?.join("build");
    fs_err::create_dir_all(&folder)?;
    site.bundle.sources.write(&recipe.dir, &folder)?;
    let build = Build { site, recipe, go, folder };
    for copy in &recipe.copies {
        build.copy_module(copy).await?;
    }
    if !recipe.binaries.is_empty() {
        build.binaries().await?;
    }
    if !recipe.extract.is_empty() {
        build.extract().await?;
    }
    Ok(())
}

struct Build<'a> {
    site: &'a Site<'a>,
    recipe: &'a GoRecipe,
    go: Go,
    folder: PathBuf,
}

/// What `go mod download -json` says of a module.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: Option<PathBuf>,
    error: Option<String>,
}

/// What `go mod edit -json` says of a go.mod.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoMod {
    #[serde(default)]
    require: Vec<Required>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Required {
    path: String,
}

impl Build<'_> {
    /// `go` for this build: hermetic but for its caches and proxy settings, which are the user's.
    fn command(&self) -> Command {
        let mut command = process::command(&self.go.program);
        command
            .current_dir(&self.folder)
            // What is linked without debug information (-w) need not be compiled with it: a tenth less work, the same output.
            .env("GOFLAGS", "-trimpath -buildvcs=false -mod=readonly -gcflags=all=-dwarf=false")
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env("GO111MODULE", "on")
            .env("CGO_ENABLED", "0")
            .env("GOOS", "linux")
            .env("GOARCH", &self.site.around.arch)
            .env_remove("GOROOT")
            .env_remove("GOEXPERIMENT")
            .envs(&self.recipe.env);
        command
    }

    async fn binaries(&self) -> Result<(), StepError> {
        let stage = self.site.draft.scratch()?.join("bin");
        fs_err::create_dir_all(&stage)?;
        let mut command = self.command();
        command.arg("build").args(["-ldflags", &format!("-s -w {}", self.recipe.ldflags)]);
        if !self.recipe.tags.is_empty() {
            command.args(["-tags", &self.recipe.tags.join(",")]);
        }
        // One command for all: they share their packages, and links run side by side.
        command.arg("-o").arg(stage.join("")).args(self.recipe.binaries.values());
        run(&mut command, self.site.log).await?;
        for (output, package) in &self.recipe.binaries {
            let built = stage.join(binary_name(package));
            if !built.is_file() {
                let what = format!("go build of {package} left no {}", built.display());
                return Err(StepError::unusable(
                    what,
                    "two packages of one recipe may share a name: give each its own",
                ));
            }
            let target = self.site.draft.output(output);
            if let Some(parent) = target.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::rename(&built, &target)?;
        }
        Ok(())
    }

    /// Copies a module to where go.mod's `replace` expects it, and adds files.
    async fn copy_module(&self, copy: &ModuleCopy) -> Result<(), StepError> {
        let source = self.download(&copy.module).await?;
        let target = self.folder.join(&copy.to);
        self.site.log.line(&format!("copying {} to {}", copy.module, copy.to));
        copy_tree(&source, &target).await?;
        for (path, from) in &copy.add {
            let from = match from.strip_prefix("file:") {
                Some(file) => self.folder.join(file),
                None => self.site.inputs.file(from)?.clone(),
            };
            copy_tree(&from, &target.join(path)).await?;
        }
        for (path, changes) in &copy.edit {
            self.site.log.line(&format!("editing {path} of {}", copy.module));
            let file = target.join(path);
            let text = fs_err::read_to_string(&file)?;
            fs_err::write(
                &file,
                edited(&text, changes).map_err(|absent| {
                    let what = format!("{path} of {} does not say `{absent}`", copy.module);
                    StepError::unusable(
                        what,
                        "correct `edit` of this copy in bundle.yaml: upstream has changed the file",
                    )
                })?,
            )?;
        }
        Ok(())
    }

    /// Copies files and folders of modules that are outputs as they are.
    async fn extract(&self) -> Result<(), StepError> {
        let text = capture(self.command().args(["mod", "edit", "-json"]), self.site.log).await?;
        let go_mod: GoMod = parse(&text, "go mod edit -json")?;
        let mut folders = BTreeMap::new();
        for (output, wanted) in &self.recipe.extract {
            let module = go_mod.require.iter().map(|required| required.path.as_str());
            let Some((module, inside)) = split_module(wanted, module) else {
                let what = format!("{wanted} is in no module that sources/{}/go.mod requires", self.recipe.dir);
                return Err(StepError::unusable(what, "the path of an extract begins with a required module's path"));
            };
            if !folders.contains_key(module) {
                let folder = match self.recipe.copies.iter().find(|copy| module_path(&copy.module) == module) {
                    Some(copy) => self.folder.join(&copy.to),
                    None => self.download(module).await?,
                };
                folders.insert(module, folder);
            }
            copy_tree(&folders[module].join(inside), &self.site.draft.output(output)).await?;
        }
        Ok(())
    }

    /// The folder of a module: `path` in the version that go.mod selects, or `path@version`.
    async fn download(&self, module: &str) -> Result<PathBuf, StepError> {
        let text = capture(self.command().args(["mod", "download", "-json", module]), self.site.log).await?;
        let downloaded: Downloaded = parse(&text, "go mod download -json")?;
        downloaded.dir.ok_or_else(|| {
            let reason = downloaded.error.unwrap_or_else(|| "no folder was named".to_owned());
            StepError::unusable(
                format!("module {module} cannot be had: {reason}"),
                "check the module proxy (go env GOPROXY)",
            )
        })
    }
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str, what: &str) -> Result<T, StepError> {
    serde_json::from_str(text).map_err(|error| {
        StepError::unusable(format!("{what} gave no such answer: {error}"), "is this the Go that it should be?")
    })
}

/// `module@version` without its version.
fn module_path(module: &str) -> &str {
    module.split_once('@').map_or(module, |(path, _)| path)
}

/// The text with all changes made, or the first text that is not there to be changed.
fn edited<'a>(text: &str, changes: &'a BTreeMap<String, String>) -> Result<String, &'a str> {
    changes.iter().try_fold(text.to_owned(), |text, (old, new)| {
        if text.contains(old) { Ok(text.replace(old, new)) } else { Err(old.as_str()) }
    })
}

/// The name that `go build` gives a binary: the last element of its package's path that is not a major version.
fn binary_name(package: &str) -> &str {
    let is_major =
        |part: &str| part.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    let mut parts = package.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(last), Some(before)) if is_major(last) => before,
        (Some(last), _) => last,
        (None, _) => package,
    }
}

/// Splits `module/path/inside` at the longest of the modules that it begins with.
fn split_module<'a>(wanted: &'a str, modules: impl Iterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    modules
        .filter_map(|module| {
            let rest = wanted.strip_prefix(module)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (module, rest.trim_start_matches('/')))
        })
        .max_by_key(|(module, _)| module.len())
}

/// Copies a file or folder; the copies can be written, which the files of a module cannot.
async fn copy_tree(from: &Path, to: &Path) -> Result<(), StepError> {
    let (from, to) = (from.to_owned(), to.to_owned());
    blocking(move || copy_now(&from, &to)).await
}

fn copy_now(from: &Path, to: &Path) -> io::Result<()> {
    if fs_err::metadata(from)?.is_dir() {
        fs_err::create_dir_all(to)?;
        for entry in fs_err::read_dir(from)? {
            let entry = entry?;
            copy_now(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent)?;
    }
    fs_err::copy(from, to)?;
    set_mode(to, if is_program(from)? { 0o755 } else { 0o644 })
}

#[cfg(unix)]
fn is_program(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs_err::metadata(path)?.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(_: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("k8s.io/kubernetes/cmd/kubelet", "kubelet")]
    #[case("go.etcd.io/etcd/server/v3", "server")]
    #[case("github.com/distribution/distribution/v3/cmd/registry", "registry")]
    #[case("example.org/vault", "vault")]
    #[case("tool", "tool")]
    fn binary_names(#[case] package: &str, #[case] name: &str) {
        assert_eq!(binary_name(package), name);
    }

    #[rstest]
    #[case("example.org/a/config/data", Some(("example.org/a", "config/data")))]
    #[case("example.org/a/b/config", Some(("example.org/a/b", "config")))]
    #[case("example.org/a", Some(("example.org/a", "")))]
    #[case("example.org/alpha/config", None)]
    fn extracts_name_a_module_and_a_path(#[case] wanted: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(split_module(wanted, ["example.org/a", "example.org/a/b"].into_iter()), expected);
    }

    #[test]
    fn an_edit_that_changes_nothing_is_told() {
        let changes = BTreeMap::from([("/proc/modules".to_owned(), "/run/modules".to_owned())]);
        assert_eq!(edited("path = \"/proc/modules\"", &changes), Ok("path = \"/run/modules\"".to_owned()));
        assert_eq!(edited("path = \"/proc/mods\"", &changes), Err("/proc/modules"));
    }

    #[test]
    fn copies_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs_err::create_dir_all(from.join("sub")).unwrap();
        fs_err::write(from.join("sub/file"), "x").unwrap();
        set_mode(&from.join("sub/file"), 0o444).unwrap();
        copy_now(&from, &to).unwrap();
        assert!(!fs_err::metadata(to.join("sub/file")).unwrap().permissions().readonly());
    }
}

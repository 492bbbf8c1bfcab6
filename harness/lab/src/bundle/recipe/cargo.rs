//! Binaries of this workspace for images: static, small.

use super::super::error::StepError;
use super::super::model::{Bundle, CargoRecipe, Recipe};
use super::super::process::{self, capture, run};
use super::Site;

/// The profile of the workspace's Cargo.toml that is made for images.
const PROFILE: &str = "image";

/// Builds the package's binaries into the draft.
pub(super) async fn build(site: &Site<'_>, recipe: &CargoRecipe) -> Result<(), StepError> {
    let workspace = &site.around.workspace;
    if !workspace.join("Cargo.lock").is_file() {
        let what = format!("{} is built from this workspace, but {} is not there", recipe.package, workspace.display());
        return Err(StepError::unusable(what, "run ferry from a checkout (cargo run), or use `--images registry`"));
    }
    if site.around.rust.is_none() {
        let what = "there is no Rust on this machine (`rustc --version` cannot be run)";
        return Err(StepError::unusable(what, "install it from https://rustup.rs, or use `--images registry`"));
    }
    let target = target(site).await?;
    let out = site.cache.folder("cargo-target");
    let mut cargo = process::command("cargo");
    cargo
        .current_dir(workspace)
        .args(["build", "--locked", "--profile", PROFILE, "--target", &target])
        .args(chosen(site.bundle))
        .env("CARGO_TARGET_DIR", &out)
        .env("CARGO_TERM_COLOR", "never")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    run(&mut cargo, site.log).await?;
    for binary in &recipe.binaries {
        fs_err::copy(out.join(&target).join(PROFILE).join(binary), site.draft.output(binary))?;
    }
    Ok(())
}

/// What cargo is told to build: the binaries of all such recipes, whichever is carried out. Alone, each would choose its own
/// features of what they share, and compile that once more.
fn chosen(bundle: &Bundle) -> Vec<&str> {
    let mut chosen = Vec::new();
    for component in bundle.components.values() {
        let Some(Recipe::Cargo(recipe)) = &component.source else { continue };
        chosen.extend(["--package", &recipe.package]);
        chosen.extend(recipe.binaries.iter().flat_map(|binary| ["--bin", binary]));
    }
    chosen
}

/// The Rust target for the engine's architecture. musl where it is installed; else glibc, which since 2.34 resolves names
/// without loading libraries, so that a static binary works without them.
async fn target(site: &Site<'_>) -> Result<String, StepError> {
    let arch = match site.around.arch.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    for libc in ["musl", "gnu"] {
        let target = format!("{arch}-unknown-linux-{libc}");
        let mut rustc = process::command("rustc");
        rustc.args(["--print", "target-libdir", "--target", &target]);
        let folder = capture(&mut rustc, site.log).await?;
        if std::path::Path::new(folder.trim()).is_dir() {
            return Ok(target);
        }
    }
    let what = format!("this machine's Rust has no target for Linux on {arch}");
    Err(StepError::unusable(what, format!("rustup target add {arch}-unknown-linux-musl")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_images_share_is_compiled_once() {
        let bundle = crate::bundle::load().unwrap();
        let expected = [
            "--package",
            "ferry-probe",
            "--bin",
            "ferry-agent",
            "--package",
            "ferry-workload",
            "--bin",
            "ferry-workload",
        ];
        assert_eq!(chosen(&bundle), expected);
    }
}

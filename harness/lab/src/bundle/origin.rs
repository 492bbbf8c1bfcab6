//! Where what is in the bundle comes from: modules of languages, packages of Debian, images of registries.

use std::fmt;

use serde::Serialize;

use super::model::{Bundle, Component, DebootstrapRecipe, DockerfileRecipe, GoRecipe, Recipe};
use super::sources::Sources;

/// One place that a component's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A Go module.
    Go {
        /// Its path.
        module: String,
        /// Its version, with its `v`.
        version: String,
    },
    /// An image that upstream publishes.
    Image {
        /// `host/path:tag`.
        reference: String,
    },
    /// A package of Debian, in the version that its archive has when the component is built.
    Debian {
        /// Its name.
        package: String,
    },
    /// The packages that every Debian system has.
    Debootstrap {
        /// Debian's release.
        suite: String,
    },
    /// A crate of this workspace.
    Workspace {
        /// Its name.
        package: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Go { module, version } => write!(f, "{module}@{version}"),
            Self::Image { reference } => f.write_str(reference),
            Self::Debian { package } => write!(f, "debian/{package}"),
            Self::Debootstrap { suite } => write!(f, "debian {suite}"),
            Self::Workspace { package } => write!(f, "workspace/{package}"),
        }
    }
}

/// Where a component comes from, whichever way it is got; other components that it is made of are not repeated.
pub fn origins(component: &Component, bundle: &Bundle) -> Vec<Origin> {
    let image = component.registry.iter().map(|registry| Origin::Image { reference: registry.reference.clone() });
    let source = match &component.source {
        Some(Recipe::Go(go)) => modules(go, &bundle.sources),
        Some(Recipe::Cargo(cargo)) => vec![Origin::Workspace { package: cargo.package.clone() }],
        Some(Recipe::Debootstrap(debian)) => of_debootstrap(debian),
        Some(Recipe::Dockerfile(docker)) => of_dockerfile(docker, &bundle.sources),
        Some(Recipe::Commit(_)) | None => Vec::new(),
    };
    image.chain(source).collect()
}

/// The Debian packages that a component installs, by name.
pub fn debian_packages(component: &Component, bundle: &Bundle) -> Vec<String> {
    let names = origins(component, bundle).into_iter().filter_map(|origin| match origin {
        Origin::Debian { package } => Some(package),
        _ => None,
    });
    names.collect()
}

fn of_debootstrap(recipe: &DebootstrapRecipe) -> Vec<Origin> {
    let packages = recipe.packages.iter().map(|package| Origin::Debian { package: package.clone() });
    std::iter::once(Origin::Debootstrap { suite: recipe.suite.clone() }).chain(packages).collect()
}

fn of_dockerfile(recipe: &DockerfileRecipe, sources: &Sources) -> Vec<Origin> {
    let text = text_of(sources, &recipe.dir, "Dockerfile");
    installed(&text).into_iter().map(|package| Origin::Debian { package }).collect()
}

/// What a Dockerfile's `apt-get install` names, each once.
fn installed(dockerfile: &str) -> Vec<String> {
    let joined = dockerfile.replace("\\\n", " ");
    let mut packages: Vec<String> = Vec::new();
    for command in joined.split("apt-get install").skip(1) {
        for word in command.lines().next().unwrap_or_default().split_whitespace() {
            let name = word.trim_end_matches(';');
            if ["&&", "||", "|", "#", "}", ""].contains(&name) {
                break;
            }
            if !name.starts_with('-') && !packages.iter().any(|known| known == name) {
                packages.push(name.to_owned());
            }
            if word.ends_with(';') {
                break;
            }
        }
    }
    packages
}

/// The modules that a recipe's outputs are the main packages or files of, in the versions that its go.mod asks for.
fn modules(recipe: &GoRecipe, sources: &Sources) -> Vec<Origin> {
    let go_mod = text_of(sources, &recipe.dir, "go.mod");
    let own = go_mod.lines().find_map(|line| line.strip_prefix("module ")).unwrap_or_default();
    let required = required(&go_mod);
    let paths = recipe.binaries.values().chain(recipe.extract.values());
    let modules = paths.flat_map(|path| {
        let inside =
            |module: &str| path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // A main package of the lab's own puts together what it requires itself.
        let parts = required.iter().filter(|module| module.is_direct && inside(own));
        let home = required.iter().filter(|module| inside(&module.path)).max_by_key(|module| module.path.len());
        parts.chain(home).collect::<Vec<_>>()
    });
    let origin = |module: &Required| Origin::Go { module: module.path.clone(), version: module.version.clone() };
    let mut found: Vec<Origin> = modules.map(origin).collect();
    found.sort();
    found.dedup();
    found
}

/// A module that a go.mod requires.
#[derive(Debug)]
struct Required {
    path: String,
    version: String,
    /// Whether its own packages use it, and not only what they use.
    is_direct: bool,
}

/// What a go.mod requires. Replacements of these main modules are copies of the same version.
fn required(go_mod: &str) -> Vec<Required> {
    let mut is_block = false;
    let mut required = Vec::new();
    for line in go_mod.lines().map(str::trim) {
        match line {
            "require (" => is_block = true,
            ")" => is_block = false,
            _ => {
                let Some(line) = (if is_block { Some(line) } else { line.strip_prefix("require ") }) else { continue };
                let mut words = line.split_whitespace();
                if let (Some(module), Some(version)) = (words.next(), words.next()) {
                    let (path, version) = (module.to_owned(), version.to_owned());
                    required.push(Required { path, version, is_direct: !line.ends_with("// indirect") });
                }
            }
        }
    }
    required
}

fn text_of(sources: &Sources, folder: &str, name: &str) -> String {
    let file = sources.folder(folder).find(|(path, _)| *path == name);
    file.map(|(_, file)| String::from_utf8_lossy(file.content).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("RUN apt-get update && apt-get install -y --no-install-recommends busybox-static \\\n && install x", &["busybox-static"])]
    #[case("RUN apt-get install -y \\\n      git lighttpd \\\n # why\n && rm x", &["git", "lighttpd"])]
    #[case("RUN { test -s x || { apt-get update && apt-get install -y ca-certificates; }; } \\\n && mkdir y", &["ca-certificates"])]
    #[case("RUN apt-get install -y a b\nRUN apt-get install b c", &["a", "b", "c"])]
    #[case("RUN make install", &[])]
    fn packages_of_a_dockerfile(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(installed(text), expected);
    }

    /// Who forgets one here would leave it out of the bill of materials.
    #[test]
    fn everything_in_the_bundle_comes_from_somewhere() {
        let bundle = crate::bundle::load().unwrap();
        for (name, component) in &bundle.components {
            let has_inputs = component.source.as_ref().is_some_and(|recipe| !recipe.inputs().is_empty());
            assert!(has_inputs || !origins(component, &bundle).is_empty(), "{name}");
            if let Some(Recipe::Go(_)) = &component.source {
                let of_go = origins(component, &bundle).iter().any(|origin| matches!(origin, Origin::Go { .. }));
                assert!(of_go, "{name}: no module of its go.mod has its packages");
            }
        }
    }

    #[rstest]
    #[case("kind-0.33.0", "sigs.k8s.io/kind@v0.33.0")]
    #[case("kubernetes-1.34.4", "k8s.io/kubernetes@v1.34.4")]
    #[case("docker-cli-28.5.2", "docker.io/library/docker:28.5.2-cli, github.com/docker/cli@v28.5.2+incompatible")]
    #[case("flux-operator-0.59.0", "github.com/controlplaneio-fluxcd/flux-operator@v0.59.0")]
    #[case(
        "coredns-1.13.1",
        "github.com/coredns/caddy@v1.1.4-0.20250930002214-15135a999495, github.com/coredns/coredns@v1.13.1"
    )]
    #[case("debian-base", "docker.io/library/debian:bookworm-slim, debian bookworm, debian/ca-certificates")]
    #[case("gitserver", "debian/git, debian/lighttpd, debian/openssh-server, debian/openssl, debian/perl")]
    #[case("ferry-agent", "workspace/ferry-probe")]
    fn as_people_read_it(#[case] name: &str, #[case] expected: &str) {
        let bundle = crate::bundle::load().unwrap();
        let all: Vec<String> = origins(&bundle.components[name], &bundle).iter().map(ToString::to_string).collect();
        assert_eq!(all.join(", "), expected);
    }
}

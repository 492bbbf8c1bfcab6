//! Which builds had better not run side by side.
//!
//! Go keeps what it has compiled, so that of two builds that need the same packages the second finds them done. Begun together,
//! both compile them. So a build waits while one runs that compiles the half of what it needs.

use std::collections::BTreeSet;

use super::model::{Bundle, Component, Recipe};

/// From this part of a build's own work on, a build that does the same work is waited for. One alone keeps two cores busy but for
/// its links.
const TOO_MUCH: f64 = 0.5;

/// What was compiled so far.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    done: BTreeSet<String>,
}

impl Sharing {
    /// Notes a build that has ended.
    pub(super) fn finished(&mut self, bundle: &Bundle, component: &Component) {
        self.done.extend(work(bundle, component));
    }

    /// Whether a build would do much of what a running one does.
    pub(super) fn repeats(&self, bundle: &Bundle, component: &Component, running: &Component) -> bool {
        let (own, other) = (work(bundle, component), work(bundle, running));
        let left: Vec<&String> = own.difference(&self.done).collect();
        let twice = left.iter().filter(|module| other.contains(**module)).count();
        // Few modules: the numbers are far from what 2^52 could not hold.
        !left.is_empty() && twice as f64 >= TOO_MUCH * left.len() as f64
    }
}

/// What a build compiles: modules in their versions, by a compiler.
fn work(bundle: &Bundle, component: &Component) -> BTreeSet<String> {
    match &component.source {
        Some(Recipe::Go(recipe)) => {
            let compiler = recipe.toolchain.as_deref().unwrap_or("go");
            let go_mod = bundle.sources.folder(&recipe.dir).find(|(path, _)| *path == "go.mod");
            let text = go_mod.map(|(_, file)| String::from_utf8_lossy(file.content).into_owned()).unwrap_or_default();
            modules(&text).into_iter().map(|module| format!("{compiler} {module}")).collect()
        }
        // All binaries of this workspace are one build.
        Some(Recipe::Cargo(_)) => BTreeSet::from(["cargo".to_owned()]),
        _ => BTreeSet::new(),
    }
}

/// The modules that a go.mod names, each as `path version`, in the version that replaces the required one.
fn modules(go_mod: &str) -> BTreeSet<String> {
    let (mut required, mut replaced) = (Vec::new(), Vec::new());
    let mut block = None;
    for line in go_mod.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (verb, words) = match (block, words.as_slice()) {
            (None, [verb, "("]) => {
                block = Some(*verb);
                continue;
            }
            (Some(_), [")"]) => {
                block = None;
                continue;
            }
            (Some(verb), words) => (verb, words),
            (None, [verb, words @ ..]) => (*verb, words),
            (None, []) => continue,
        };
        match (verb, words) {
            ("require", [path, version]) => required.push((*path, *version)),
            ("replace", [path, .., "=>", _, version]) => replaced.push((*path, *version)),
            _ => {}
        }
    }
    let version = |path: &str, version| replaced.iter().find(|(old, _)| *old == path).map_or(version, |(_, new)| *new);
    required.into_iter().map(|(path, required)| format!("{path} {}", version(path, required))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::load;
    use rstest::rstest;

    #[test]
    fn a_go_mod_names_modules_in_the_versions_that_are_compiled() {
        let text = "module m\n\ngo 1.26\n\nrequire a.org/one v1.0.0 // indirect\n\nrequire (\n\tb.org/two v2.0.0\n\tc.org/three v3.0.0 // indirect\n)\n\n\
                    replace b.org/two => b.org/two v2.0.1\n\nreplace (\n\tc.org/three v3.0.0 => d.org/fork v3.1.0\n\te.org/four => ./four\n)\n\nexclude c.org/three v4.0.0\n";
        assert_eq!(
            modules(text),
            ["a.org/one v1.0.0", "b.org/two v2.0.1", "c.org/three v3.1.0"].map(String::from).into()
        );
        assert_eq!(modules(""), BTreeSet::new());
    }

    #[rstest]
    #[case::two_releases_of_a_controller("source-controller-1.9.4", "source-controller-1.9.3", true)]
    #[case::one_library("coredns-1.13.1", "kubernetes-1.34.4", true)]
    #[case::one_workspace("ferry-agent", "ferry-workload", true)]
    #[case::another_compiler("flux-operator-0.59.0", "source-controller-1.9.3", false)]
    #[case::little_in_common("registry-3.1.2", "kubernetes-1.34.4", false)]
    #[case::no_compiler("toolbox", "kubernetes-1.34.4", false)]
    fn what_would_be_compiled_twice_waits(#[case] component: &str, #[case] running: &str, #[case] waits: bool) {
        let bundle = load().unwrap();
        let (component, running) = (&bundle.components[component], &bundle.components[running]);
        assert_eq!(Sharing::default().repeats(&bundle, component, running), waits);
    }

    #[test]
    fn what_is_compiled_already_keeps_nobody_waiting() {
        let bundle = load().unwrap();
        let [kustomize, source] = ["kustomize-controller-1.9.3", "source-controller-1.9.3"];
        let (kustomize, source) = (&bundle.components[kustomize], &bundle.components[source]);
        let mut sharing = Sharing::default();
        assert!(sharing.repeats(&bundle, kustomize, source));
        sharing.finished(&bundle, &bundle.components["flux-cli-2.9.2"]);
        assert!(!sharing.repeats(&bundle, kustomize, source));
        sharing.finished(&bundle, kustomize);
        assert!(!sharing.repeats(&bundle, kustomize, source), "nothing is left to compile");
    }
}

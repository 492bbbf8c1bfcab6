//! A scenario's steps in order, with the objects that they bring: what order rules look at.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::fleet::{Manifest, read_manifests};
use crate::folders::{self, Files};
use crate::model::Scenario;
use crate::span::{Source, Spanned};
use crate::steps::{Commit, Content, Manifests, Step};
use crate::text::RelPath;

/// A scenario's steps in order.
#[derive(Debug)]
pub struct Course<'a> {
    stops: Vec<Stop<'a>>,
}

/// One step of a [`Course`].
#[derive(Debug, Clone)]
pub struct Stop<'a> {
    /// The number of its phase, from 0.
    pub phase: usize,
    /// Whether it is part of the phase's rollback.
    pub is_rollback: bool,
    /// The cluster that it is carried out in; none is the first.
    pub cluster: Option<&'a str>,
    /// Whether another cluster's course is looked at: of that one this is known through git alone.
    pub is_elsewhere: bool,
    /// The step.
    pub step: &'a Spanned<Step>,
    /// What it applies, or commits to the fleet.
    pub manifests: Vec<Rc<Manifest>>,
}

impl<'a> Course<'a> {
    /// Reads every file that a step names.
    pub(super) fn new(scenario: &'a Scenario, files: &dyn Files) -> Course<'a> {
        let mut stops = Vec::new();
        for (phase, content) in scenario.phases.iter().enumerate() {
            for (steps, is_rollback) in [(&content.steps, false), (&content.rollback, true)] {
                let single = steps.iter().flat_map(|step| placed(step, None, scenario));
                stops.extend(single.map(|(cluster, step)| {
                    let manifests = brought(step, scenario, files).into_iter().map(Rc::new).collect();
                    Stop { phase, is_rollback, cluster, is_elsewhere: false, step, manifests }
                }));
            }
        }
        Course { stops }
    }

    /// Every step, each phase's rollback after its steps.
    pub fn all(&self) -> &[Stop<'a>] {
        &self.stops
    }

    /// The steps of a run in which nothing fails.
    pub fn forward(&self) -> Vec<&Stop<'a>> {
        self.stops.iter().filter(|stop| !stop.is_rollback).collect()
    }

    /// The same as each cluster sees it: what is carried out there, and every commit, since there is one repository. What a
    /// commit brings counts where it was made.
    pub fn of_each_cluster(&self) -> Vec<Course<'a>> {
        let clusters: BTreeSet<_> = self.stops.iter().map(|stop| stop.cluster).collect();
        let of_one = |cluster| {
            let seen = self.stops.iter().filter_map(|stop| match &stop.step.value {
                _ if stop.cluster == cluster => Some(stop.clone()),
                Step::Commit(_) => Some(Stop { is_elsewhere: true, manifests: Vec::new(), ..stop.clone() }),
                _ => None,
            });
            Course { stops: seen.collect() }
        };
        clusters.into_iter().map(of_one).collect()
    }

    /// What all steps bring.
    pub fn manifests(&self) -> impl Iterator<Item = &Rc<Manifest>> {
        self.stops.iter().flat_map(|stop| &stop.manifests)
    }

    /// Folders of the fleet that Flux is told to sync: by bootstrap, or by a FluxInstance.
    pub fn sync_paths(&self) -> Vec<String> {
        let bootstrapped = self.stops.iter().filter_map(|stop| match &stop.step.value {
            Step::Bootstrap(bootstrap) => Some(bootstrap.path.to_string()),
            _ => None,
        });
        let instances = self.manifests().filter(|m| m.kind() == "FluxInstance");
        let taken_over = instances.filter_map(|m| m.text("spec.sync.path").map(normal));
        bootstrapped.chain(taken_over).collect()
    }
}

impl Stop<'_> {
    /// Whether it brings an object of a kind.
    pub fn brings(&self, kind: &str) -> bool {
        self.manifests.iter().any(|m| m.kind() == kind)
    }

    /// Whether it goes on until something is seen to be so; the others end as soon as they are accepted, or by the clock.
    pub fn looks(&self) -> bool {
        !matches!(
            self.step.value,
            Step::Apply(_)
                | Step::Patch(_)
                | Step::Scale(_)
                | Step::Commit(_)
                | Step::InstallOperator(_)
                | Step::Suspend(_)
                | Step::Resume(_)
                | Step::Sleep(_)
                | Step::StallSampler(_)
                | Step::Cut(_)
        )
    }
}

/// The steps within a step that do something themselves, each with the cluster that it does it in.
fn placed<'a>(
    step: &'a Spanned<Step>,
    around: Option<&'a str>,
    scenario: &Scenario,
) -> Vec<(Option<&'a str>, &'a Spanned<Step>)> {
    let cluster = match &step.value {
        Step::On(on) => {
            let is_first = scenario.clusters.first().is_some_and(|first| first.value == on.cluster.value);
            (!is_first).then(|| on.cluster.as_str())
        }
        _ => around,
    };
    match step.action().nested() {
        [] => vec![(cluster, step)],
        nested => nested.iter().flat_map(|step| placed(step, cluster, scenario)).collect(),
    }
}

/// `./apps/web/` → `apps/web`.
pub(super) fn normal(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

fn brought(step: &Spanned<Step>, scenario: &Scenario, files: &dyn Files) -> Vec<Manifest> {
    let from_file = |file: &RelPath, path: Option<String>| {
        let Some(path) = path.or_else(|| folders::locate(scenario, file, files)) else { return Vec::new() };
        let Some(text) = files.read(&path) else { return Vec::new() };
        read_manifests(&path, &Source::new(&files.shown(&path), &text)).unwrap_or_default()
    };
    match &step.value {
        Step::Apply(apply) => match &apply.manifests {
            Manifests::File(file) => from_file(file, None),
            Manifests::Inline(manifest) => {
                vec![Manifest::inline(&scenario.source, manifest.span, &manifest.value)]
            }
        },
        Step::Commit(commit) => written(commit, scenario, from_file),
        _ => Vec::new(),
    }
}

/// What a commit writes; a text in the scenario has no places of its own, so its path stands for all of it.
fn written(
    commit: &Commit,
    scenario: &Scenario,
    from_file: impl Fn(&RelPath, Option<String>) -> Vec<Manifest>,
) -> Vec<Manifest> {
    let mut all = Vec::new();
    for (path, content) in &commit.write {
        let mut manifests = match content {
            Content::File(file) => from_file(file, None),
            Content::Text(text) => {
                let read = read_manifests(path.as_str(), &Source::new("", text)).unwrap_or_default();
                read.into_iter().map(|m| m.moved_to(&scenario.source, path.span)).collect()
            }
        };
        for manifest in &mut manifests {
            manifest.path = format!("{}/{path}", scenario.fleet.value);
        }
        all.append(&mut manifests);
    }
    all
}

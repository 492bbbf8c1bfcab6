//! Getting wanted components: decide how, plan, and pull or build what is missing, as much as possible side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, Entry, default_root};
use super::error::BundleError;
use super::graph::Outputs;
use super::images;
use super::make::Maker;
use super::model::{Bundle, Recipe, Registry};
use super::pins::{self, Digests, Pins};
use super::plan::{Plan, Planned, Surroundings, Way};
use super::progress::{Event, Progress};
use super::reach::{reach, today};
use super::recipe::{Inputs, is_heavy};
use super::sharing::Sharing;
use crate::engine::Engine;

/// Builds that keep cores busy: more at once only compete for cores and memory (a Kubernetes link takes 2 GiB).
const HEAVY_AT_ONCE: usize = 2;

/// Pulls and image builds: they mostly wait for a network or the engine.
const LIGHT_AT_ONCE: usize = 4;

/// How components are to be got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Images {
    /// From registries where they answer, else from source.
    #[default]
    Auto,
    /// Pulled.
    Registry,
    /// Built.
    Source,
}

/// What [`prepare`] may be told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How components are to be got.
    pub images: Images,
    /// `HOST[/prefix]` that stands for every registry.
    pub mirror: Option<String>,
    /// A file with the digests of the mirror's content.
    pub lock: Option<PathBuf>,
    /// Whether what is pulled is what tags name today, whatever digests the bundle pins.
    pub floating: bool,
    /// How many heavy builds may run at once, at most; the number of cores when absent. Never more than two.
    pub jobs: Option<NonZeroUsize>,
    /// The cache's root; see [`Cache::open`] for the default.
    pub cache: Option<PathBuf>,
}

/// Components that are there.
#[derive(Debug, Clone, Default)]
pub struct Prepared {
    inputs: Inputs,
    facts: Vec<Fact>,
}

/// What a record says about one component of its run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fact {
    /// The component.
    pub name: String,
    /// Its upstream version.
    pub version: String,
    /// How it was got.
    pub way: Way,
    /// Its whole content key.
    pub key: String,
    /// The digest it was pulled by.
    pub digest: Option<String>,
    /// The id of its image in the engine.
    pub image_id: Option<String>,
}

impl Prepared {
    /// The name of a component's image in the engine.
    pub fn image(&self, component: &str) -> Result<&str, BundleError> {
        self.inputs.images.get(component).map(String::as_str).ok_or_else(|| self.not_prepared(component))
    }

    /// The path of a file or folder, by `component/output`.
    pub fn file(&self, reference: &str) -> Result<&Path, BundleError> {
        self.inputs.files.get(reference).map(PathBuf::as_path).ok_or_else(|| self.not_prepared(reference))
    }

    /// What was prepared, by name.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    fn not_prepared(&self, reference: &str) -> BundleError {
        let prepared = self.inputs.images.keys().chain(self.inputs.files.keys()).cloned().collect();
        BundleError::NotPrepared { reference: reference.to_owned(), prepared }
    }
}

/// Sees to it that the wanted components are there, and tells `progress` about it. Without cancellation it takes as long as
/// the builds take; what was finished before a failure or a cancellation stays.
///
/// # Errors
/// The first failure; builds that were running beside it are stopped.
pub async fn prepare(
    engine: &Engine,
    bundle: &Bundle,
    wanted: &[&str],
    options: &Options,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Prepared, BundleError> {
    let mut session = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(BundleError::Cancelled),
        session = Session::open(engine, bundle, options) => session?,
    };
    if options.floating {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(BundleError::Cancelled),
            asked = session.float(wanted) => asked?,
        }
    }
    let plan = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(BundleError::Cancelled),
        plan = session.decide(wanted, options.images, progress) => plan?,
    };
    session.carry_out(&plan, wanted, progress, cancel).await
}

/// What stays the same while a bundle is prepared.
pub(super) struct Session<'a> {
    pub(super) engine: &'a Engine,
    pub(super) bundle: &'a Bundle,
    pub(super) options: &'a Options,
    pub(super) cache: Cache,
    pub(super) around: Surroundings,
    pub(super) pins: Pins,
}

impl<'a> Session<'a> {
    pub(super) async fn open(
        engine: &'a Engine,
        bundle: &'a Bundle,
        options: &'a Options,
    ) -> Result<Self, BundleError> {
        let cache = Cache::open(options.cache.as_deref()).map_err(|source| BundleError::Cache {
            path: options.cache.clone().unwrap_or_else(default_root),
            source,
        })?;
        let given = options.lock.as_deref().map(|path| pins::read(path, false)).transpose()?.unwrap_or_default();
        let pins = Pins { given, remembered: pins::read(&cache.digests(), true)? };
        let around = Surroundings::survey(engine).await?;
        Ok(Self { engine, bundle, options, cache, around, pins })
    }

    /// Pins what can be pulled to what its tags name today.
    async fn float(&mut self, wanted: &[&str]) -> Result<(), BundleError> {
        let plan = self.plan(wanted, Way::Registry)?;
        let pulled = plan.components.iter().filter(|planned| planned.way == Way::Registry);
        let pulled: Vec<&Registry> = pulled.filter_map(|planned| planned.component.registry.as_ref()).collect();
        for registry in pulled {
            let digest = today(&self.engine.docker, &registry.reference, self.options.mirror.as_deref()).await?;
            self.pins.given.insert(registry.reference.clone(), digest);
        }
        Ok(())
    }

    pub(super) fn plan(&self, wanted: &[&str], way: Way) -> Result<Plan<'a>, BundleError> {
        Plan::new(self.bundle, wanted, way, &self.pins, &self.around)
    }

    pub(super) fn plan_all(&self, way: Way) -> Plan<'a> {
        Plan::of_all(self.bundle, way, &self.pins, &self.around)
    }

    /// Chooses the way and plans. What is cached needs no network, so a complete cache decides before any question does.
    async fn decide(&self, wanted: &[&str], images: Images, progress: &dyn Progress) -> Result<Plan<'a>, BundleError> {
        let (way, reason) = match images {
            Images::Registry => (Way::Registry, "as asked for".to_owned()),
            Images::Source => (Way::Source, "as asked for".to_owned()),
            Images::Auto => self.choose(wanted).await?,
        };
        progress.event(None, Event::Decided { way, reason: &reason });
        self.plan(wanted, way)
    }

    async fn choose(&self, wanted: &[&str]) -> Result<(Way, String), BundleError> {
        for (way, how) in [(Way::Source, "built"), (Way::Registry, "pulled")] {
            let Ok(plan) = self.plan(wanted, way) else { continue };
            let mut complete = true;
            for planned in wanted.iter().filter_map(|name| plan.get(name)) {
                complete = complete && self.look_up(planned).await?.is_some();
            }
            if complete {
                return Ok((way, format!("all of it was {how} before")));
            }
        }
        let plan = self.plan(wanted, Way::Registry)?;
        let pulled = plan.components.iter().filter(|planned| planned.way == Way::Registry);
        let registries: Vec<&Registry> = pulled.filter_map(|planned| planned.component.registry.as_ref()).collect();
        let answers = reach(&self.engine.docker, &registries, self.options.mirror.as_deref()).await;
        Ok(match answers.iter().find_map(|answer| Some((&answer.host, answer.trouble.as_ref()?))) {
            Some((host, trouble)) => (Way::Source, format!("{host} cannot be used: {trouble}")),
            None => (Way::Registry, "the registries answer".to_owned()),
        })
    }

    /// The component, if it is there already.
    pub(super) async fn look_up(&self, planned: &Planned<'_>) -> Result<Option<Had>, BundleError> {
        let entry = self.cache.get(&planned.slug()).map_err(|source| self.cache_error(source))?;
        match planned.component.outputs() {
            Outputs::Image => {
                let image = planned.image();
                let found = images::find(&self.engine.docker, &image).await;
                let found =
                    found.map_err(|source| BundleError::Engine { doing: format!("look for {image}"), source })?;
                Ok(found.map(|found| Had { image_id: Some(found.id), bytes: found.bytes, made: found.made, entry }))
            }
            Outputs::Files(outputs) => {
                Ok(entry.filter(|entry| outputs.iter().all(|output| entry.output(output).exists())).map(|entry| Had {
                    image_id: None,
                    bytes: entry.meta.bytes,
                    made: Some(entry.meta.made),
                    entry: Some(entry),
                }))
            }
        }
    }

    fn cache_error(&self, source: std::io::Error) -> BundleError {
        BundleError::Cache { path: self.cache.root().to_owned(), source }
    }

    /// Pulls and builds what the plan lacks.
    pub(super) async fn carry_out(
        &self,
        plan: &Plan<'a>,
        wanted: &[&str],
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<Prepared, BundleError> {
        if let Err(error) = self.cache.remove_drafts() {
            tracing::debug!(%error, "what an interrupted build left stays");
        }
        let mut work = self.missing(plan, wanted, progress).await?;
        progress.event(
            None,
            Event::Planned { components: work.prepared.facts.len() + work.todo.len(), missing: work.todo.len() },
        );
        // Cancelled by the caller, or by the first failure.
        let stop = cancel.child_token();
        let maker = Maker { session: self, progress, stop: &stop };
        let mut running = FuturesUnordered::new();
        let (mut heavy, mut failure, mut digests) = (Vec::<&Planned<'_>>::new(), None, Digests::new());
        let mut sharing = Sharing::default();
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let heavy_at_once = self.options.jobs.unwrap_or(cores).get().min(HEAVY_AT_ONCE);
        loop {
            let waits = |heavy: &[&Planned<'_>], planned: &Planned<'_>| {
                let repeats = |one: &&Planned<'_>| sharing.repeats(self.bundle, planned.component, one.component);
                heavy.len() >= heavy_at_once || heavy.iter().any(repeats)
            };
            while failure.is_none()
                && let Some(planned) =
                    work.next(|planned| !waits(&heavy, planned), running.len() - heavy.len() < LIGHT_AT_ONCE)
            {
                heavy.extend(is_heavy_one(planned).then_some(planned));
                let (maker, inputs) = (&maker, work.prepared.inputs.clone());
                running.push(async move { (planned, maker.make(planned, inputs).await) });
            }
            let Some((planned, result)) = running.next().await else { break };
            heavy.retain(|one| one.name != planned.name);
            match result {
                Ok(had) => {
                    sharing.finished(self.bundle, planned.component);
                    if let (Some(digest), Some(registry)) = (had.digest(), &planned.component.registry) {
                        digests.insert(registry.reference.clone(), digest.to_owned());
                    }
                    work.finish(planned, had);
                }
                Err(error) => {
                    stop.cancel();
                    failure.get_or_insert(error);
                }
            }
        }
        self.remember(digests).await?;
        if let Some(error) = failure {
            return Err(if cancel.is_cancelled() { BundleError::Cancelled } else { error });
        }
        work.prepared.facts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(work.prepared)
    }

    /// Walks from the wanted components towards what they need, no further than to what is there.
    async fn missing<'p>(
        &self,
        plan: &'p Plan<'a>,
        wanted: &[&str],
        progress: &dyn Progress,
    ) -> Result<Work<'p>, BundleError> {
        let mut work = Work::default();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = wanted.to_vec();
        while let Some(name) = open.pop() {
            let Some(planned) = plan.get(name).filter(|_| seen.insert(name.to_owned())) else { continue };
            match self.look_up(planned).await? {
                Some(had) => {
                    progress.event(Some(name), Event::Cached);
                    work.finish(planned, had);
                }
                None => {
                    work.todo.insert(planned.name, planned);
                    open.extend(&planned.needs);
                }
            }
        }
        Ok(work)
    }

    /// Keeps the digests of first pulls by tag, so that the next pull gets the same.
    async fn remember(&self, digests: Digests) -> Result<(), BundleError> {
        let new: Digests =
            digests.into_iter().filter(|(reference, _)| !self.pins.remembered.contains_key(reference)).collect();
        if new.is_empty() || self.options.lock.is_some() || self.options.floating {
            return Ok(());
        }
        let _lock = self.cache.lock("digests", |_| {}).await.map_err(|source| self.cache_error(source))?;
        let mut all = pins::read(&self.cache.digests(), true)?;
        all.extend(new);
        pins::write(&self.cache.digests(), &all).map_err(|source| self.cache_error(source))
    }
}

fn is_heavy_one(planned: &Planned<'_>) -> bool {
    planned.way == Way::Source && planned.component.source.as_ref().is_some_and(is_heavy)
}

/// A component that is there.
#[derive(Debug)]
pub(super) struct Had {
    /// The id of its image, if it is one.
    pub(super) image_id: Option<String>,
    /// Its size.
    pub(super) bytes: u64,
    /// When it was made, as far as that is known.
    pub(super) made: Option<Timestamp>,
    /// Its cache entry; an image in the engine can do without.
    pub(super) entry: Option<Entry>,
}

impl Had {
    fn digest(&self) -> Option<&str> {
        self.entry.as_ref()?.meta.digest.as_deref()
    }
}

/// What is there and what is still to do.
#[derive(Default)]
struct Work<'p> {
    prepared: Prepared,
    todo: BTreeMap<&'p str, &'p Planned<'p>>,
    begun: BTreeSet<&'p str>,
}

impl<'p> Work<'p> {
    /// The next component that can be begun: all it needs is there, and its kind has room.
    fn next(&mut self, heavy_room: impl Fn(&Planned<'_>) -> bool, light_room: bool) -> Option<&'p Planned<'p>> {
        let ready = |planned: &&&'p Planned<'p>| {
            let room = if is_heavy_one(planned) { heavy_room(planned) } else { light_room };
            room && !self.begun.contains(planned.name) && planned.needs.iter().all(|need| !self.todo.contains_key(need))
        };
        // Those first that take longest: what most others wait for is best begun at once.
        let planned = *self.todo.values().filter(ready).rev().max_by_key(|planned| weight(planned))?;
        self.begun.insert(planned.name);
        Some(planned)
    }

    fn finish(&mut self, planned: &Planned<'_>, had: Had) {
        self.todo.remove(planned.name);
        let name = planned.name;
        match (planned.component.outputs(), &had.entry) {
            (Outputs::Image, _) => {
                self.prepared.inputs.images.insert(name.to_owned(), planned.image());
            }
            (Outputs::Files(outputs), Some(entry)) => {
                let files = outputs.iter().map(|output| (format!("{name}/{output}"), entry.output(output)));
                self.prepared.inputs.files.extend(files);
            }
            (Outputs::Files(_), None) => {}
        }
        self.prepared.facts.push(Fact {
            name: name.to_owned(),
            version: planned.component.version.clone(),
            way: planned.way,
            key: planned.key.as_str().to_owned(),
            digest: had.digest().map(str::to_owned),
            image_id: had.image_id,
        });
    }
}

/// A guess at a build's length: the number of binaries, as linking is what takes long with a warm compiler cache.
fn weight(planned: &Planned<'_>) -> usize {
    match planned.component.source.as_ref() {
        Some(Recipe::Go(go)) => go.binaries.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::pins::Pins;

    const YAML: &str = "
components:
  base: {version: '12', license: MIT, homepage: h, source: {debootstrap: {suite: bookworm}}}
  one: {version: '1', license: MIT, homepage: h, source: {go: {dir: one, binaries: {a: e/a}}}}
  two: {version: '1', license: MIT, homepage: h, source: {go: {dir: two, binaries: {a: e/a, b: e/b}}}}
  image: {version: '1', license: MIT, homepage: h, source: {dockerfile: {dir: image, base: base, inputs: {a: one/a}}}}
";

    #[test]
    fn what_is_ready_begins_the_longest_first_as_far_as_there_is_room() {
        let bundle: Bundle = serde_saphyr::from_str(YAML).unwrap();
        let around = Surroundings { arch: "amd64".into(), go: None, rust: None, workspace: "/absent".into() };
        let plan = Plan::of_all(&bundle, Way::Source, &Pins::default(), &around);
        let mut work = Work::default();
        work.todo.extend(plan.components.iter().map(|planned| (planned.name, planned)));
        let had = || Had { image_id: None, bytes: 0, made: None, entry: None };
        let next = |work: &mut Work<'_>, heavy: bool, light| {
            work.next(|_| heavy, light).map(|planned| planned.name.to_owned())
        };

        assert_eq!(next(&mut work, true, true).as_deref(), Some("two"));
        assert_eq!(next(&mut work, false, true).as_deref(), Some("base"));
        assert_eq!(next(&mut work, false, true), None);
        assert_eq!(next(&mut work, true, false).as_deref(), Some("one"));
        work.finish(plan.get("base").unwrap(), had());
        assert_eq!(next(&mut work, true, true), None);
        work.finish(plan.get("one").unwrap(), had());
        assert_eq!(next(&mut work, true, false), None);
        assert_eq!(next(&mut work, true, true).as_deref(), Some("image"));
    }

    #[test]
    fn what_was_not_prepared_is_an_error_that_names_what_was() {
        let mut prepared = Prepared::default();
        prepared.inputs.images.insert("toolbox".into(), "flux-ferry/toolbox:0123456789ab".into());
        assert_eq!(prepared.image("toolbox").unwrap(), "flux-ferry/toolbox:0123456789ab");
        let error = prepared.file("toolbox/flux").unwrap_err();
        assert_eq!(error.to_string(), "toolbox/flux was not prepared; there is toolbox");
    }
}

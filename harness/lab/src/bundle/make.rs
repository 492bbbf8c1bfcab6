//! Making one component: its lock, its log, its draft, and the pull or the recipe between them.

use std::time::Instant;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::cache::{Draft, Meta};
use super::error::{BundleError, ComponentFailure, StepError};
use super::graph::Outputs;
use super::images::{self, Leftovers};
use super::plan::{Planned, Way};
use super::prepare::{Had, Session};
use super::progress::{Event, Log, Progress};
use super::pull::Pull;
use super::recipe::{self, Inputs, Site, blocking};

/// Makes components for one [`Session`].
pub(super) struct Maker<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) progress: &'a dyn Progress,
    pub(super) stop: &'a CancellationToken,
}

impl Maker<'_> {
    /// Makes the component, or finds that another process has made it meanwhile.
    pub(super) async fn make(&self, planned: &Planned<'_>, inputs: Inputs) -> Result<Had, BundleError> {
        let event = |event: Event<'_>| self.progress.event(Some(planned.name), event);
        let slug = planned.slug();
        let cache_error = |source| BundleError::Cache { path: self.session.cache.root().to_owned(), source };
        let lock = self.session.cache.lock(&slug, |holder| event(Event::Waiting(holder)));
        let _lock = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(BundleError::Cancelled),
            lock = lock => lock.map_err(cache_error)?,
        };
        if let Some(had) = self.session.look_up(planned).await? {
            event(Event::Cached);
            return Ok(had);
        }
        event(Event::Started(planned.way));
        let start = Instant::now();
        let log = Log::create(self.session.cache.log(&slug), planned.name, self.progress).map_err(cache_error)?;
        let made = self.draft(planned, &inputs, &log, start).await;
        match made {
            Ok(had) => {
                event(Event::Finished(start.elapsed()));
                Ok(had)
            }
            Err(StepError::Cancelled) => Err(BundleError::Cancelled),
            Err(reason) => {
                event(Event::Failed);
                Err(BundleError::Component(Box::new(ComponentFailure {
                    component: planned.name.to_owned(),
                    pulled: planned.way == Way::Registry,
                    reason,
                    log: log.path().to_owned(),
                    tail: log.tail(),
                })))
            }
        }
    }

    async fn draft(
        &self,
        planned: &Planned<'_>,
        inputs: &Inputs,
        log: &Log<'_>,
        start: Instant,
    ) -> Result<Had, StepError> {
        let session = self.session;
        // The container of an interrupted build of the same key would be in the way.
        self.sweep(planned).await?;
        let draft = session.cache.begin(&planned.slug())?;
        let leftovers = Leftovers::default();
        let result = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(StepError::Cancelled),
            result = self.content(planned, inputs, &draft, &leftovers, log) => result,
        };
        let swept = self.sweep(planned).await;
        let cleared = leftovers.clear(&session.engine.docker).await;
        let digest = match result.and_then(|digest| swept.and(cleared).map(|()| digest)) {
            Ok(digest) => digest,
            Err(error) => {
                if let Err(trouble) = draft.discard() {
                    tracing::debug!(%trouble, component = planned.name, "a failed build's folder stays until the next");
                }
                return Err(error);
            }
        };
        let (image_id, bytes) = match planned.component.outputs() {
            Outputs::Image => {
                let image = planned.image();
                let found = images::find(&session.engine.docker, &image).await;
                let found = found.map_err(|source| StepError::Engine { doing: format!("look for {image}"), source })?;
                let found = found.ok_or_else(|| {
                    StepError::unusable(
                        format!("the engine has no {image} after its build"),
                        "does something prune images on this machine?",
                    )
                })?;
                (Some(found.id), found.bytes)
            }
            Outputs::Files(_) => (None, draft.bytes()?),
        };
        let meta = Meta {
            name: planned.name.to_owned(),
            version: planned.component.version.clone(),
            key: planned.key.as_str().to_owned(),
            way: planned.way,
            made: Timestamp::now(),
            seconds: start.elapsed().as_secs_f64(),
            bytes,
            image_id: image_id.clone(),
            digest,
            stages: leftovers.stages(),
        };
        let entry = blocking(move || draft.commit(&meta)).await?;
        Ok(Had { image_id, bytes, made: Some(entry.meta.made), entry: Some(entry) })
    }

    /// Pulls or builds; gives the digest of a pull.
    async fn content(
        &self,
        planned: &Planned<'_>,
        inputs: &Inputs,
        draft: &Draft,
        leftovers: &Leftovers,
        log: &Log<'_>,
    ) -> Result<Option<String>, StepError> {
        let session = self.session;
        match (planned.way, &planned.component.registry, &planned.component.source) {
            (Way::Registry, Some(registry), _) => {
                let pull = Pull {
                    docker: &session.engine.docker,
                    planned,
                    registry,
                    pins: &session.pins,
                    mirror: session.options.mirror.as_deref(),
                    arch: &session.around.arch,
                    draft,
                    leftovers,
                    log,
                };
                pull.run().await.map(Some)
            }
            (_, _, Some(recipe)) => {
                let site = Site {
                    docker: &session.engine.docker,
                    bundle: session.bundle,
                    cache: &session.cache,
                    around: &session.around,
                    planned,
                    inputs,
                    draft,
                    leftovers,
                    log,
                };
                recipe::build(&site, recipe).await.map(|()| None)
            }
            _ => Err(StepError::unusable("there is no way to get it", "report this: the bundle's plan is wrong")),
        }
    }

    async fn sweep(&self, planned: &Planned<'_>) -> Result<(), StepError> {
        let swept =
            images::remove_container(&self.session.engine.docker, &images::build_container(&planned.slug())).await;
        swept.map_err(|source| StepError::Engine { doing: "remove the build's container".to_owned(), source })
    }
}

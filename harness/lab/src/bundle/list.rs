//! What the bundle holds, and what the cache holds beyond it.

use std::collections::{BTreeSet, HashMap};

use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptions};
use jiff::Timestamp;
use serde::Serialize;

use super::error::BundleError;
use super::images;
use super::model::Bundle;
use super::origin::{Origin, origins};
use super::plan::{Plan, Planned, Way};
use super::prepare::{Images, Options, Session};
use crate::engine::Engine;

/// One component as `ferry bundle list` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its upstream version.
    pub version: String,
    /// SPDX licence expression.
    pub license: String,
    /// Where the upstream project lives.
    pub homepage: String,
    /// Where its content comes from, beside other components.
    pub origins: Vec<Origin>,
    /// Where upstream publishes it.
    pub reference: Option<String>,
    /// The digest that a pull would use, where one is known.
    pub digest: Option<String>,
    /// How it would be got; none where a run would first ask the registries.
    pub way: Option<Way>,
    /// When it was made, if it is there; the epoch if nobody knows.
    pub cached: Option<Timestamp>,
    /// Its size in bytes, if it is there.
    pub bytes: Option<u64>,
    /// A caveat that users should know.
    pub note: Option<String>,
}

/// Lists all components. No network is asked.
pub async fn list(engine: &Engine, bundle: &Bundle, options: &Options) -> Result<Vec<Listed>, BundleError> {
    let session = Session::open(engine, bundle, options).await?;
    let ways: &[Way] = match options.images {
        Images::Auto => &[Way::Source, Way::Registry],
        Images::Registry => &[Way::Registry],
        Images::Source => &[Way::Source],
    };
    let plans: Vec<Plan<'_>> = ways.iter().map(|way| session.plan_all(*way)).collect();
    let mut all = Vec::new();
    for (name, component) in &bundle.components {
        let candidates: Vec<&Planned<'_>> = plans.iter().filter_map(|plan| plan.get(name)).collect();
        let mut had = None;
        for planned in &candidates {
            if had.is_none() {
                had = session.look_up(planned).await?.map(|had| (planned.way, had));
            }
        }
        let only = candidates.first().map(|planned| planned.way);
        let only = only.filter(|way| candidates.iter().all(|planned| planned.way == *way));
        let registry = component.registry.as_ref();
        all.push(Listed {
            name: name.clone(),
            version: component.version.clone(),
            license: component.license.clone(),
            homepage: component.homepage.clone(),
            origins: origins(component, bundle),
            reference: registry.map(|registry| registry.reference.clone()),
            digest: registry.and_then(|registry| session.pins.digest(registry)).map(str::to_owned),
            way: had.as_ref().map(|(way, _)| *way).or(only),
            cached: had.as_ref().map(|(_, had)| had.made.unwrap_or_default()),
            bytes: had.as_ref().map(|(_, had)| had.bytes),
            note: component.note.clone(),
        });
    }
    Ok(all)
}

/// Something that no recipe of the bundle needs any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// A cache entry's name, or an image's.
    pub name: String,
    /// Bytes of its files, or of its image (whose layers other images may share).
    pub bytes: u64,
}

/// Removes what no recipe needs any more: entries and images of old keys, what interrupted builds left, and what builders
/// keep for faster builds. What is in use stays. With `dry_run`, only says what it would remove.
pub async fn gc(
    engine: &Engine,
    bundle: &Bundle,
    options: &Options,
    dry_run: bool,
) -> Result<Vec<Garbage>, BundleError> {
    let session = Session::open(engine, bundle, options).await?;
    let (mut slugs, mut names) = (BTreeSet::new(), BTreeSet::new());
    for way in [Way::Registry, Way::Source] {
        for planned in session.plan_all(way).components {
            slugs.insert(planned.slug());
            names.insert(planned.image());
        }
    }
    let entries = session.cache.entries();
    let entries = entries.map_err(|source| BundleError::Cache { path: session.cache.root().to_owned(), source })?;
    let stages_of = entries.into_iter().map(|entry| (entry.meta.name, entry.meta.stages));
    let mut garbage = old_entries(&session, &slugs, dry_run)?;
    garbage.extend(left_containers(&session, dry_run).await?);
    garbage.extend(stages(engine, stages_of, dry_run).await?);
    garbage.extend(old_images(engine, &names, dry_run).await?);
    Ok(garbage)
}

fn old_entries(session: &Session<'_>, needed: &BTreeSet<String>, dry_run: bool) -> Result<Vec<Garbage>, BundleError> {
    let cache = &session.cache;
    let cache_error = |source| BundleError::Cache { path: cache.root().to_owned(), source };
    let mut old = Vec::new();
    for entry in cache.entries().map_err(cache_error)? {
        let name = entry.slug();
        if !needed.contains(&name) && (dry_run || cache.remove(&name).map_err(cache_error)?) {
            let bytes = if entry.meta.image_id.is_some() { 0 } else { entry.meta.bytes };
            old.push(Garbage { name, bytes });
        }
    }
    for name in cache.drafts().map_err(cache_error)? {
        let bytes = cache.draft_bytes(&name).map_err(cache_error)?;
        if dry_run || cache.remove_draft(&name).map_err(cache_error)? {
            old.push(Garbage { name: format!("{name} (interrupted)"), bytes });
        }
    }
    Ok(old)
}

/// Containers of builds that nobody is at.
async fn left_containers(session: &Session<'_>, dry_run: bool) -> Result<Vec<Garbage>, BundleError> {
    let docker = &session.engine.docker;
    let filters = HashMap::from([("name", vec![images::BUILD_CONTAINER])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let listed = docker.list_containers(Some(options)).await;
    let listed = listed.map_err(|source| BundleError::Engine { doing: "list its containers".to_owned(), source })?;
    let mut left = Vec::new();
    for name in listed.into_iter().flat_map(|container| container.names.unwrap_or_default()) {
        let name = name.trim_start_matches('/').to_owned();
        let Some(slug) = name.strip_prefix(images::BUILD_CONTAINER) else { continue };
        let lock = session.cache.try_lock(slug);
        let lock = lock.map_err(|source| BundleError::Cache { path: session.cache.root().to_owned(), source })?;
        if lock.is_some() && (dry_run || images::remove_container(docker, &name).await.is_ok()) {
            left.push(Garbage { name, bytes: 0 });
        }
    }
    Ok(left)
}

/// Images without a name that builders kept to build the next version faster. Docker tells of each only what it needs
/// beyond the others once it is gone, so no size is given.
async fn stages(
    engine: &Engine,
    stages_of: impl Iterator<Item = (String, Vec<String>)>,
    dry_run: bool,
) -> Result<Vec<Garbage>, BundleError> {
    let mut removed = Vec::new();
    for (component, id) in stages_of.flat_map(|(name, ids)| ids.into_iter().map(move |id| (name.clone(), id))) {
        let is_there = if dry_run {
            images::find(&engine.docker, &id).await.map(|found| found.is_some())
        } else {
            images::remove_nameless(&engine.docker, &id).await
        };
        if is_there.map_err(|source| BundleError::Engine { doing: format!("remove {id}"), source })? {
            removed.push(Garbage { name: format!("{id} (a stage of {component})"), bytes: 0 });
        }
    }
    Ok(removed)
}

/// Names that this crate gave: `flux-ferry/<component>:<12 digits>` of keys that are not needed, and what a killed push left.
async fn old_images(engine: &Engine, needed: &BTreeSet<String>, dry_run: bool) -> Result<Vec<Garbage>, BundleError> {
    let listed = engine.docker.list_images(None::<ListImagesOptions>).await;
    let listed = listed.map_err(|source| BundleError::Engine { doing: "list its images".to_owned(), source })?;
    let mut old = Vec::new();
    for image in listed {
        let bytes = u64::try_from(image.size).unwrap_or_default();
        let ours = image.labels.contains_key(images::KEY_LABEL);
        let is_old = |name: &String| is_keyed(name) && !needed.contains(name) || ours && name.starts_with("127.0.0.1:");
        for name in image.repo_tags.into_iter().filter(is_old) {
            if dry_run || images::untag(&engine.docker, &name).await.is_ok() {
                old.push(Garbage { name, bytes });
            }
        }
    }
    old.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(old)
}

fn is_keyed(name: &str) -> bool {
    let (repo, tag) = images::split_tag(name);
    repo.starts_with("flux-ferry/") && tag.len() == 12 && tag.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_key_are_ours() {
        assert!(is_keyed("flux-ferry/pause:0123456789ab"));
        assert!(!is_keyed("flux-ferry/pause:handmade") && !is_keyed("ghcr.io/a/b:0123456789ab"));
    }
}

//! `ferry bundle`: what a run needs, apart from any run.

use std::process::ExitCode;

use ferry_lab::bundle::{self, Bundle, Options, pins};
use tokio_util::sync::CancellationToken;

use super::doctor;
use crate::cli::{BundleCommand, ImageArgs, Images, Progress};
use crate::edge::{Exit, Problem};
use crate::view::Screen;
use crate::view::bars::{Bars, word};

/// Builds, lists, mirrors or tidies.
pub async fn command(command: BundleCommand) -> Result<ExitCode, Problem> {
    let bundle = bundle::load()?;
    if let BundleCommand::Build { components, .. } | BundleCommand::Mirror { components, .. } = &command {
        components.iter().try_for_each(|name| exists(&bundle, name))?;
    }
    if let BundleCommand::Sbom = command {
        return materials(&bundle);
    }
    let engine = doctor::engine().await?;
    let bars = Bars::new(&Screen::open(Progress::Auto), None);
    let cancel = CancellationToken::new();
    let signals = crate::signals::listen(cancel.clone(), None)
        .map_err(|e| Problem::infra("signals cannot be listened to").because(e))?;
    match command {
        BundleCommand::Build { components, images } => {
            // What only a registry has is part of everything only where everything is pulled.
            let pulled = images.images == Images::Registry;
            let all = || {
                let had = bundle.components.iter().filter(|(_, component)| pulled || component.source.is_some());
                had.map(|(name, _)| name.clone()).collect()
            };
            let wanted = chosen(&components, all);
            let prepared =
                bundle::prepare(&engine, &bundle, &names(&wanted), &images.options(), &bars, &cancel).await?;
            println!("{} component(s) ready", prepared.facts().len());
        }
        BundleCommand::List => {
            for row in bundle::list(&engine, &bundle, &Options::default()).await? {
                let way = row.way.map_or("-", word);
                let cached = if row.cached.is_some() { "cached" } else { "" };
                let origins: Vec<String> = row.origins.iter().map(ToString::to_string).collect();
                // What is made of other components alone comes from nowhere else.
                let from = if origins.is_empty() { row.homepage } else { origins.join(", ") };
                println!("{:34} {:10} {:20} {way:17} {cached:7} {from}", row.name, row.version, row.license);
            }
        }
        BundleCommand::Sbom => {}
        BundleCommand::Mirror { host, lock, components } => {
            let published = || {
                let published = bundle.components.iter().filter(|(_, c)| c.registry.is_some() && c.source.is_some());
                published.map(|(name, _)| name.clone()).collect()
            };
            let wanted = chosen(&components, published);
            let digests =
                bundle::mirror_to(&engine, &bundle, &host, &names(&wanted), &Options::default(), &bars, &cancel)
                    .await?;
            pins::write(&lock, &digests)
                .map_err(|e| Problem::infra(format!("{} cannot be written", lock.display())).because(e))?;
            println!("{} image(s) pushed to {host}; their digests are in {}", digests.len(), lock.display());
        }
        BundleCommand::Gc { dry_run } => {
            let done = if dry_run { "would remove" } else { "removed" };
            let removed = bundle::gc(&engine, &bundle, &Options::default(), dry_run).await?;
            for garbage in &removed {
                println!("{done} {} ({} MiB)", garbage.name, garbage.bytes >> 20);
            }
            if removed.is_empty() {
                println!("nothing to remove");
            }
        }
    }
    signals.abort();
    Ok(Exit::Pass.into())
}

/// Prints the bill of materials. No engine is asked: it is the same on any machine.
fn materials(bundle: &Bundle) -> Result<ExitCode, Problem> {
    let text = serde_json::to_string_pretty(&bundle::sbom(bundle))
        .map_err(|e| Problem::infra("the bill of materials cannot be written as JSON").because(e))?;
    println!("{text}");
    Ok(Exit::Pass.into())
}

fn exists(bundle: &Bundle, name: &str) -> Result<(), Problem> {
    if bundle.components.contains_key(name) {
        return Ok(());
    }
    let nearest = bundle.components.keys().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let hint = nearest.map(|nearest| format!("did you mean {nearest}? `ferry bundle list` shows all"));
    Err(Problem::usage(format!("there is no component {name} in the bundle")).hint(hint))
}

fn chosen(given: &[String], otherwise: impl FnOnce() -> Vec<String>) -> Vec<String> {
    if given.is_empty() { otherwise() } else { given.to_vec() }
}

fn names(components: &[String]) -> Vec<&str> {
    components.iter().map(String::as_str).collect()
}

impl ImageArgs {
    /// As the bundle wants them.
    pub fn options(&self) -> Options {
        Options {
            images: self.images.into(),
            mirror: self.mirror.clone(),
            lock: self.lock.clone(),
            floating: self.floating,
            ..Options::default()
        }
    }
}

impl From<Images> for bundle::Images {
    fn from(images: Images) -> Self {
        match images {
            Images::Auto => Self::Auto,
            Images::Registry => Self::Registry,
            Images::Source => Self::Source,
        }
    }
}

impl From<Images> for ferry_lab::doctor::Images {
    fn from(images: Images) -> Self {
        match images {
            Images::Auto => Self::Auto,
            Images::Registry => Self::Registry,
            Images::Source => Self::Source,
        }
    }
}

impl From<bundle::BundleError> for Problem {
    fn from(error: bundle::BundleError) -> Self {
        let hint = error.hint();
        Problem::infra("the bundle could not be prepared").because(error).hint(hint)
    }
}

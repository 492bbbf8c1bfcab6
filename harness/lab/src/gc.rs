//! Clean-up by label: of one run at its end, and of what dead runs left.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::labels::{self, Life, Owner, Viewpoint};
use crate::run::{RunId, RunScope};

/// How long the clean-up of a run may take: 60 s, where 2 s is usual. An engine can hang for hours at it (kind#2381).
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often what is left is tried again, and how long after a removal a last look is taken: a node that the kind command
/// was about to start when it was removed appears by then.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a network may be in use when the run has no container left, 5 s: the last ones leave it within a second. What
/// holds it longer is a container of somebody else, or a miscount of the engine (moby#42119); to wait on would help with neither.
const HELD: Duration = Duration::from_secs(5);

/// The role of the mark on a run that stays.
const KEPT: &str = "kept";

/// Why runs' things could not be found or marked.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the {kind}s of runs: {source}")]
pub struct GcError {
    action: &'static str,
    kind: Kind,
    source: bollard::errors::Error,
}

/// What kind of thing a run makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Cluster nodes included.
    Container,
    /// Can go once no container uses it.
    Network,
    /// Can go once no container uses it.
    Volume,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
        })
    }
}

/// Something on the engine that belongs to a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// Its name, or its id where it has none.
    pub name: String,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A run of which the engine holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The run's id, as its label says.
    pub run: String,
    /// Whether its owner lives. Without a readable owner: [`Life::Unknown`].
    pub life: Life,
    /// Whether it was told to stay ([`keep`]): then no sweep and no reaper removes it.
    pub kept: bool,
    /// What there is of it.
    pub things: Vec<Thing>,
}

/// What a clean-up did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// What is gone.
    pub removed: Vec<Thing>,
    /// What is still there, with the engine's reason.
    pub left: Vec<(Thing, String)>,
}

impl Swept {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left.is_empty()
    }
}

/// Every run of which the engine holds something, by id: the oldest first.
///
/// # Errors
/// When the engine does not answer.
pub async fn find(engine: &Engine) -> Result<Vec<Found>, GcError> {
    find_from(engine, &Viewpoint::here()).await
}

/// As [`find`], with owners judged from a viewpoint.
///
/// # Errors
/// When the engine does not answer.
pub async fn find_from(engine: &Engine, from: &Viewpoint) -> Result<Vec<Found>, GcError> {
    let mut runs: BTreeMap<String, Found> = BTreeMap::new();
    for (thing, labels) in list(engine, labels::RUN).await? {
        let Some(run) = labels.get(labels::RUN) else { continue };
        let found = runs.entry(run.clone()).or_insert_with(|| Found {
            run: run.clone(),
            life: Life::Unknown,
            kept: false,
            things: Vec::new(),
        });
        if let (Life::Unknown, Some(owner)) = (found.life, Owner::from_labels(&labels)) {
            found.life = owner.life_seen_from(from);
        }
        found.kept |= labels.get(labels::ROLE).is_some_and(|role| role == KEPT);
        found.things.push(thing);
    }
    Ok(runs.into_values().collect())
}

/// Marks a run so that it outlives its owner, until [`teardown`]. The mark is an empty volume: like all that is known of a
/// run, it is on the engine.
///
/// # Errors
/// When the engine refuses.
pub async fn keep(engine: &Engine, run: &RunScope) -> Result<(), GcError> {
    let volume = VolumeCreateRequest {
        name: Some(format!("{}-{KEPT}", run.prefix())),
        labels: Some(run.labels(KEPT).into_iter().collect()),
        ..Default::default()
    };
    let created = engine.docker.create_volume(volume).await;
    created.map(drop).map_err(|source| GcError { action: "mark as kept", kind: Kind::Volume, source })
}

/// Removes what runs whose owner is dead have left. Runs that live, that cannot be judged from here, or that were told to
/// stay, are not touched.
///
/// # Errors
/// When the engine does not answer.
pub async fn sweep(engine: &Engine) -> Result<BTreeMap<String, Swept>, GcError> {
    sweep_from(engine, &Viewpoint::here()).await
}

/// As [`sweep`], with owners judged from a viewpoint: what cannot be judged from there is not touched.
///
/// # Errors
/// When the engine does not answer.
pub async fn sweep_from(engine: &Engine, from: &Viewpoint) -> Result<BTreeMap<String, Swept>, GcError> {
    let mut swept = BTreeMap::new();
    for found in find_from(engine, from).await? {
        if found.life == Life::Dead && !found.kept {
            tracing::info!(run = found.run, things = found.things.len(), "removing what a dead run left");
            let result = remove(engine, &found.run).await?;
            swept.insert(found.run, result);
        }
    }
    Ok(swept)
}

/// Removes all that a run has on the engine, within [`DEADLINE`], and says what is left.
///
/// # Errors
/// When the engine does not answer.
pub async fn teardown(engine: &Engine, run: &RunId) -> Result<Swept, GcError> {
    remove(engine, run.as_str()).await
}

async fn remove(engine: &Engine, run: &str) -> Result<Swept, GcError> {
    let label = format!("{}={run}", labels::RUN);
    let end = Instant::now() + DEADLINE;
    let mut swept = Swept::default();
    let mut held_since = None;
    loop {
        let things: Vec<_> = list(engine, &label).await?.into_iter().map(|(thing, _)| thing).collect();
        swept.left.clear();
        // Networks and volumes are in use until the containers are gone.
        for kind in [Kind::Container, Kind::Network, Kind::Volume] {
            let things: Vec<_> = things.iter().filter(|thing| thing.kind == kind).cloned().collect();
            let results = futures::future::join_all(things.iter().map(|thing| remove_one(engine, thing, end))).await;
            for (thing, result) in things.into_iter().zip(results) {
                match result {
                    Ok(()) => swept.removed.push(thing),
                    Err(reason) => swept.left.push((thing, reason)),
                }
            }
        }
        let is_held = !swept.left.is_empty() && swept.left.iter().all(|(thing, _)| thing.kind == Kind::Network);
        held_since = is_held.then(|| held_since.unwrap_or_else(Instant::now));
        let gives_up = held_since.is_some_and(|since| since.elapsed() >= HELD);
        if things.is_empty() || gives_up || Instant::now() + INTERVAL >= end {
            for (thing, reason) in swept.left.iter_mut().filter(|_| gives_up) {
                *reason = format!("{reason}; {}", holders(engine, &thing.name).await);
            }
            swept.removed.sort();
            swept.removed.dedup();
            return Ok(swept);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Who keeps a network, and what to do about it.
async fn holders(engine: &Engine, network: &str) -> String {
    let inspected = match engine.docker.inspect_network(network, None).await {
        Ok(inspected) => inspected,
        Err(error) => return format!("who uses it is not known: {error}"),
    };
    let mut names: Vec<_> =
        inspected.containers.into_iter().flatten().filter_map(|(_, endpoint)| endpoint.name).collect();
    if names.is_empty() {
        return "no container is in it, so the engine has miscounted: restart the engine, then `ferry gc`".to_owned();
    }
    names.sort();
    format!("used by what is not of this run: {}; disconnect it, then `ferry gc`", names.join(", "))
}

async fn remove_one(engine: &Engine, thing: &Thing, end: Instant) -> Result<(), String> {
    let removal = async {
        match thing.kind {
            Kind::Container => {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                engine.docker.remove_container(&thing.name, Some(options)).await
            }
            Kind::Network => engine.docker.remove_network(&thing.name).await,
            Kind::Volume => {
                let options = RemoveVolumeOptionsBuilder::new().force(true).build();
                engine.docker.remove_volume(&thing.name, Some(options)).await
            }
        }
    };
    match tokio::time::timeout_at(end, removal).await {
        Ok(Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the engine did not remove it within {DEADLINE:?}")),
    }
}

/// Everything on the engine with a label (`key` or `key=value`), and its labels.
async fn list(engine: &Engine, label: &str) -> Result<Vec<(Thing, HashMap<String, String>)>, GcError> {
    let filters = HashMap::from([("label", vec![label])]);
    let failed = |kind| move |source| GcError { action: "list", kind, source };
    let containers = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let networks = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let volumes = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let (containers, networks, volumes) = tokio::join!(
        engine.docker.list_containers(Some(containers)),
        engine.docker.list_networks(Some(networks)),
        engine.docker.list_volumes(Some(volumes)),
    );
    let containers = containers.map_err(failed(Kind::Container))?.into_iter().map(|container| {
        let name = container.names.into_iter().flatten().next().map(|name| name.trim_start_matches('/').to_owned());
        (Kind::Container, name.or(container.id), container.labels)
    });
    let networks = networks.map_err(failed(Kind::Network))?.into_iter();
    let networks = networks.map(|network| (Kind::Network, network.name.or(network.id), network.labels));
    let volumes = volumes.map_err(failed(Kind::Volume))?.volumes.unwrap_or_default().into_iter();
    let volumes = volumes.map(|volume| (Kind::Volume, Some(volume.name), Some(volume.labels)));
    let things = containers
        .chain(networks)
        .chain(volumes)
        .filter_map(|(kind, name, labels)| Some((Thing { kind, name: name? }, labels.unwrap_or_default())));
    Ok(things.collect())
}

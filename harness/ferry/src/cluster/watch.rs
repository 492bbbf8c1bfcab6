//! Watches as streams of checks. A watch that breaks resumes by itself; what it missed it lists again.

use std::collections::BTreeMap;
use std::time::Duration;

use ferry_scenario::text::ObjectRef;
use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;

use super::{Cluster, ClusterError, ResolveError, to_json};
use crate::wait::Check;

/// How often an absent kind is asked for again. Discovery is two requests; a CRD is established within a second.
const KIND_POLL: Duration = Duration::from_millis(250);

/// Checks one object at each of its changes, from before its kind exists.
pub fn object<'a>(
    cluster: &'a Cluster,
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
    check: impl Fn(Option<&Value>) -> Check + Send + 'a,
) -> impl Stream<Item = Check> + 'a {
    when_served(cluster, kind, namespace, move |api, resource| {
        let json = move |object: Option<DynamicObject>| object.map(|object| to_json(object, &resource));
        watcher::watch_object(api, name).default_backoff().map(move |seen| seen.map(&json)).boxed()
    })
    .map(move |seen| match seen {
        Ok(found) => check(found.as_ref()),
        Err(why) => why,
    })
}

/// Everything of some kinds in the cluster, by kind and `namespace/name`.
pub type Inventory = BTreeMap<(String, String), Value>;

/// As [`object`], for an object as scenarios name it.
pub fn of<'a>(
    cluster: &'a Cluster,
    wanted: &'a ObjectRef,
    check: impl Fn(Option<&Value>) -> Check + Send + 'a,
) -> impl Stream<Item = Check> + 'a {
    object(cluster, &wanted.kind, wanted.namespace.as_deref(), &wanted.name, check)
}

/// The latest state of several objects, by the names that the caller knows them by; null stands for one that is absent.
pub type Named = BTreeMap<String, Value>;

/// Checks several objects together, at each change of any, once all of them have been looked at.
pub fn objects<'a>(
    cluster: &'a Cluster,
    wanted: impl IntoIterator<Item = (&'a str, &'a ObjectRef)>,
    check: impl Fn(&Named) -> Check + Send + 'a,
) -> impl Stream<Item = Check> + 'a {
    let mut all = SelectAll::new();
    let mut number = 0;
    for (name, object) in wanted {
        number += 1;
        let seen = when_served(cluster, &object.kind, object.namespace.as_deref(), move |api, resource| {
            let json = move |object: Option<DynamicObject>| object.map(|object| to_json(object, &resource));
            watcher::watch_object(api, &object.name).default_backoff().map(move |seen| seen.map(&json)).boxed()
        });
        all.push(seen.map(move |seen| (name, seen)).boxed());
    }
    all.scan((Named::new(), check), move |(latest, check), (name, seen)| {
        let answer = match seen {
            Err(why) => Some(why.about(name)),
            Ok(object) => {
                latest.insert(name.to_owned(), object.unwrap_or(Value::Null));
                (latest.len() == number).then(|| check(latest))
            }
        };
        futures::future::ready(Some(answer))
    })
    .filter_map(futures::future::ready)
}

/// Checks the objects of one kind that a selection keeps, at each change of any.
pub fn selected<'a>(
    cluster: &'a Cluster,
    kind: &'a str,
    namespace: Option<&'a str>,
    selection: watcher::Config,
    check: impl Fn(&Inventory) -> Check + Send + 'a,
) -> impl Stream<Item = Check> + 'a {
    listed(cluster, vec![(kind, namespace, selection)], check)
}

/// Checks all objects of some kinds together, at each change of any.
///
/// The check sees the inventory only when every kind's first list is complete, so that absence means absence.
pub fn inventory<'a>(
    cluster: &'a Cluster,
    kinds: &'a [&'a str],
    check: impl Fn(&Inventory) -> Check + Send + 'a,
) -> impl Stream<Item = Check> + 'a {
    listed(cluster, kinds.iter().map(|kind| (*kind, None, watcher::Config::default())).collect(), check)
}

fn listed<'a>(
    cluster: &'a Cluster,
    wanted: Vec<(&'a str, Option<&'a str>, watcher::Config)>,
    check: impl Fn(&Inventory) -> Check + Send + 'a,
) -> impl Stream<Item = Check> + 'a {
    let kinds = wanted.len();
    let mut all = SelectAll::new();
    for (kind, namespace, selection) in wanted {
        let events = when_served(cluster, kind, namespace, move |api, resource| {
            let events = watcher(api, selection.clone()).default_backoff();
            events.map(move |event| event.map(|event| (event, resource.clone()))).boxed()
        });
        all.push(events.map(move |event| (kind, event)).boxed());
    }
    let state = (Inventory::new(), Vec::<&str>::new(), check);
    all.scan(state, move |(seen, listed, check), (kind, event)| {
        let answer = match event {
            Err(why) => Some(why),
            Ok((event, resource)) => {
                apply(seen, kind, &event, &resource);
                if matches!(event, watcher::Event::InitDone) && !listed.contains(&kind) {
                    listed.push(kind);
                }
                let listing = matches!(event, watcher::Event::Init | watcher::Event::InitApply(_));
                (listed.len() == kinds && !listing).then(|| check(seen))
            }
        };
        futures::future::ready(Some(answer))
    })
    .filter_map(futures::future::ready)
}

fn apply(seen: &mut Inventory, kind: &str, event: &watcher::Event<DynamicObject>, resource: &ApiResource) {
    let key = |object: &DynamicObject| {
        let meta = &object.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        (kind.to_string(), super::qualified(meta.namespace.as_deref(), name))
    };
    match event {
        // A new list replaces the old state: what is not in it was deleted while nobody watched.
        watcher::Event::Init => seen.retain(|(of, _), _| of != kind),
        watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
            seen.insert(key(object), to_json(object.clone(), resource));
        }
        watcher::Event::Delete(object) => {
            seen.remove(&key(object));
        }
        watcher::Event::InitDone => {}
    }
}

/// A stream that begins once the kind is served, and says why it has not begun.
fn when_served<'a, T: 'a>(
    cluster: &'a Cluster,
    kind: &'a str,
    namespace: Option<&'a str>,
    open: impl Fn(Api<DynamicObject>, ApiResource) -> BoxStream<'static, Result<T, watcher::Error>> + Send + 'a,
) -> impl Stream<Item = Result<T, Check>> + 'a {
    enum State<T> {
        Asking { again: bool },
        Open(BoxStream<'static, Result<T, watcher::Error>>),
        Done,
    }
    futures::stream::unfold((State::Asking { again: false }, open), move |(state, open)| async move {
        match state {
            State::Done => None,
            State::Asking { again } => {
                if again {
                    tokio::time::sleep(KIND_POLL).await;
                }
                match cluster.api_and_resource(kind, namespace).await {
                    Ok((api, resource)) => {
                        let mut stream = open(api, resource);
                        let first = stream.next().await?;
                        Some((first.map_err(|e| broken(&e)), (State::Open(stream), open)))
                    }
                    Err(ClusterError::Resolve(e @ ResolveError::Ambiguous { .. })) => {
                        Some((Err(Check::Never(e.to_string())), (State::Done, open)))
                    }
                    Err(error) => Some((Err(Check::Unknown(error.to_string())), (State::Asking { again: true }, open))),
                }
            }
            State::Open(mut stream) => {
                let next = stream.next().await?;
                Some((next.map_err(|e| broken(&e)), (State::Open(stream), open)))
            }
        }
    })
}

fn broken(error: &watcher::Error) -> Check {
    Check::Unknown(format!("the watch broke and is being resumed: {error}"))
}

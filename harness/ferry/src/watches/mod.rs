//! What the record learns of the cluster: its objects, Kubernetes events and the logs of Flux, from the cluster's creation to the
//! end of the run.
//!
//! One follower for each resource keeps a ledger of its objects. The supervisor starts those of Flux' own resources when their
//! definitions are established and ends them when these are gone, and reads the logs of Flux' pods: it learns of both from the
//! ledgers, as the record does.

mod definitions;
pub mod extract;
pub mod known;
mod logs;
mod notices;
mod objects;
mod resource;
mod scope;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use ferry_record::EventKind;
use ferry_record::cluster::ObjectSeen;
use kube::Client;
use kube::api::ApiResource;
use tokio::sync::{mpsc, watch};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::logs::Logs;
use self::notices::Notices;
use self::objects::{News, Objects};
use self::resource::Order;
use crate::run::recorder::Recorder;

/// The watches of a cluster. Dropped without [`Watches::stop`], they end and say nothing more.
#[derive(Debug)]
pub struct Watches {
    over: CancellationToken,
    supervisor: AbortOnDropHandle<()>,
    recorder: Recorder,
}

/// Starts to watch. Once `cancel` is cancelled, [`Watches::stop`] no longer looks whether anything was missed.
pub fn start(client: Client, recorder: Recorder, flux_namespace: &str, cancel: CancellationToken) -> Watches {
    let over = CancellationToken::new();
    let (tell, news) = mpsc::unbounded_channel();
    let mut supervisor = Supervisor {
        logs: Logs::new(client.clone(), recorder.clone()),
        client,
        recorder: recorder.clone(),
        pods: format!("pod/{flux_namespace}/"),
        tell,
        followers: BTreeMap::new(),
    };
    let stopped = over.clone();
    let work = async move {
        supervisor.run(news, stopped).await;
        supervisor.finish(cancel.is_cancelled()).await;
    };
    Watches { over, supervisor: AbortOnDropHandle::new(tokio::spawn(work)), recorder }
}

impl Watches {
    /// Ends the watches when everything until now is in the record.
    pub async fn stop(self) {
        self.over.cancel();
        if let Err(error) = self.supervisor.await {
            broke(&self.recorder, "the supervisor of the watches", &error);
        }
    }
}

/// A follower, and how it is told what to do.
struct Followed {
    /// The definition that it stands on; empty for what every cluster serves.
    uid: String,
    orders: watch::Sender<Order>,
    task: AbortOnDropHandle<()>,
}

struct Supervisor {
    client: Client,
    recorder: Recorder,
    logs: Logs,
    /// What the names of Flux' pods begin with.
    pods: String,
    tell: mpsc::UnboundedSender<News>,
    /// By the name of the resource.
    followers: BTreeMap<String, Followed>,
}

impl Supervisor {
    async fn run(&mut self, mut news: mpsc::UnboundedReceiver<News>, over: CancellationToken) {
        for resource in scope::resources() {
            self.follow(resource, String::new());
        }
        let events = notices::resource();
        let ledger = Notices::new(self.recorder.clone());
        let follow = |client, resource, orders| resource::follow(client, resource, ledger, orders);
        self.spawn(events, String::new(), follow);
        loop {
            tokio::select! {
                Some(news) = news.recv() => match news {
                    News::Seen(seen) => self.seen(&seen).await,
                    News::Gone(object) => if let Some(resource) = definitions::defined(&object) {
                        self.end(resource).await;
                    },
                },
                () = over.cancelled() => return,
            }
        }
    }

    /// Acts upon what was seen: definitions and pods of Flux.
    async fn seen(&mut self, seen: &ObjectSeen) {
        if seen.object.starts_with(&self.pods) {
            self.logs.follow(seen);
        }
        let Some(name) = definitions::defined(&seen.object) else { return };
        // One that was made anew has none of the old one's objects.
        if self.followers.get(name).is_some_and(|followed| followed.uid != seen.uid) {
            self.end(name).await;
        }
        let Some(resource) = definitions::served(seen) else { return };
        match self.followers.get(name) {
            None => self.follow(resource, seen.uid.clone()),
            Some(followed) => {
                let order = Order::Follow(resource);
                followed.orders.send_if_modified(|now| std::mem::replace(now, order.clone()) != order);
            }
        }
    }

    fn follow(&mut self, resource: ApiResource, uid: String) {
        let told = ["customresourcedefinitions", "pods"].contains(&resource.plural.as_str());
        let ledger = Objects::new(&resource, self.recorder.clone(), told.then(|| self.tell.clone()));
        self.spawn(resource, uid, |client, resource, orders| resource::follow(client, resource, ledger, orders));
    }

    fn spawn<F>(
        &mut self,
        resource: ApiResource,
        uid: String,
        follow: impl FnOnce(Client, ApiResource, watch::Receiver<Order>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let (orders, ordered) = watch::channel(Order::Follow(resource.clone()));
        let name = scope::named(&resource);
        let task = AbortOnDropHandle::new(tokio::spawn(follow(self.client.clone(), resource, ordered)));
        self.followers.insert(name, Followed { uid, orders, task });
    }

    /// Ends the follower of a resource whose definition is gone.
    async fn end(&mut self, resource: &str) {
        if let Some(followed) = self.followers.remove(resource) {
            finish(&self.recorder, resource, followed, Order::Gone).await;
        }
    }

    /// Ends all of them together, and the logs.
    async fn finish(self, hasty: bool) {
        let Self { recorder, logs, followers, .. } = self;
        let order = if hasty { Order::Abandon } else { Order::Over };
        let all = followers.into_iter().map(|(name, followed)| {
            let (recorder, order) = (&recorder, order.clone());
            async move { finish(recorder, &name, followed, order).await }
        });
        tokio::join!(futures::future::join_all(all), logs.stop());
    }
}

async fn finish(recorder: &Recorder, resource: &str, followed: Followed, order: Order) {
    let Followed { orders, task, .. } = followed;
    orders.send_replace(order);
    if let Err(error) = task.await {
        broke(recorder, &format!("the watch of {resource}"), &error);
    }
}

/// A task that did not come to its end has not said what it knew.
fn broke(recorder: &Recorder, what: &str, error: &tokio::task::JoinError) {
    let hint = Some("this is a mistake in ferry: please report it".to_owned());
    recorder.emit(EventKind::Infra { what: format!("{what} broke"), error: error.to_string(), hint });
}

#[cfg(test)]
mod tests {
    use super::testing::{Asked, Server, Stream, Tape, api_server, words};
    use super::*;
    use serde_json::{Value, json};

    const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const KUSTOMIZATIONS: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations";
    const PODS: &str = "/api/v1/pods";
    const POD: &str = "/api/v1/namespaces/flux-system/pods/kustomize-controller-1";

    /// A cluster that answers lists with what is in it; watches stay open for the test to speak through.
    struct Cluster {
        server: Server,
        objects: BTreeMap<&'static str, Vec<Value>>,
        watches: BTreeMap<String, Stream>,
        logs: Vec<Stream>,
    }

    impl Cluster {
        /// Answers requests until a watch of the path is open (anew).
        async fn until_watched(&mut self, path: &str) {
            self.watches.remove(path);
            while !self.watches.contains_key(path) {
                let asked = self.server.asked().await;
                self.answer(asked);
            }
        }

        /// Answers requests until somebody reads a log.
        async fn until_read(&mut self) {
            while self.logs.is_empty() {
                let asked = self.server.asked().await;
                self.answer(asked);
            }
        }

        fn answer(&mut self, asked: Asked) {
            match asked.path.clone().as_str() {
                POD => asked.json(200, &self.objects[PODS][0]),
                path if path == format!("{POD}/log") => self.logs.push(asked.stream()),
                path if asked.query.contains_key("watch") => _ = self.watches.insert(path.to_owned(), asked.stream()),
                path => asked.list("10", self.objects.get(path).cloned().unwrap_or_default()),
            }
        }

        fn say(&self, path: &str, kind: &str, object: &Value) {
            self.watches[path].event(kind, object);
        }
    }

    fn definition(uid: &str, versions: &[&str]) -> Value {
        let versions: Vec<Value> = versions.iter().map(|name| json!({"name": name, "served": true})).collect();
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "kustomizations.kustomize.toolkit.fluxcd.io", "uid": uid, "resourceVersion": "5"},
            "spec": {"group": "kustomize.toolkit.fluxcd.io", "versions": versions,
                     "names": {"kind": "Kustomization", "plural": "kustomizations"}},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        })
    }

    fn kustomization(name: &str) -> Value {
        json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": "flux-system", "uid": format!("uid of {name}"), "resourceVersion": "7"},
        })
    }

    fn pod() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "kustomize-controller-1", "namespace": "flux-system", "uid": "u-1", "resourceVersion": "6"},
            "status": {"containerStatuses": [
                {"name": "manager", "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
            ]},
        })
    }

    /// A cluster whose definitions are watched.
    async fn watched(objects: &[(&'static str, Value)]) -> (Cluster, Tape, Watches, CancellationToken) {
        let (client, server) = api_server();
        let (tape, cancel) = (Tape::start(), CancellationToken::new());
        let watches = start(client, tape.recorder(), "flux-system", cancel.clone());
        let mut by_path = BTreeMap::<_, Vec<Value>>::new();
        for (path, object) in objects {
            by_path.entry(*path).or_default().push(object.clone());
        }
        let mut cluster = Cluster { server, objects: by_path, watches: BTreeMap::new(), logs: vec![] };
        cluster.until_watched(CRDS).await;
        (cluster, tape, watches, cancel)
    }

    /// What was recorded but for the starts and ends of what every cluster serves.
    fn told(tape: Tape) -> String {
        let about_flux =
            |line: &&str| !line.contains(" started") && !line.contains(" ended") || line.contains("fluxcd");
        let told = words(&tape.events());
        told.lines().filter(about_flux).collect::<Vec<_>>().join("\n").replace(".kustomize.toolkit.fluxcd.io", "")
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_definition_defines_is_watched_while_it_is_there() {
        let objects = [(CRDS, definition("one", &["v1"])), (KUSTOMIZATIONS, kustomization("apps"))];
        let (mut cluster, tape, watches, cancel) = watched(&objects).await;
        cluster.until_watched(KUSTOMIZATIONS).await;
        cluster.say(KUSTOMIZATIONS, "ADDED", &kustomization("infra"));
        cluster.until_watched(KUSTOMIZATIONS).await;
        // Made anew: it has none of the old objects, unless they are listed again.
        cluster.objects.insert(KUSTOMIZATIONS, vec![]);
        cluster.say(CRDS, "DELETED", &definition("one", &["v1"]));
        cluster.say(CRDS, "ADDED", &definition("two", &["v1"]));
        cluster.until_watched(KUSTOMIZATIONS).await;
        cancel.cancel();
        watches.stop().await;
        insta::assert_snapshot!(told(tape), @r"
        customresourcedefinition/kustomizations at 5
        kustomization/flux-system/apps at 7
        kustomizations started
        kustomization/flux-system/infra at 7
        customresourcedefinition/kustomizations gone
        customresourcedefinition/kustomizations at 5
        kustomization/flux-system/apps gone (late)
        kustomization/flux-system/infra gone (late)
        kustomizations ended: its definition is gone
        kustomizations started
        kustomizations ended: the run was cancelled
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_version_takes_the_place_of_the_old() {
        let objects = [(CRDS, definition("one", &["v1"])), (KUSTOMIZATIONS, kustomization("apps"))];
        let (mut cluster, tape, watches, cancel) = watched(&objects).await;
        cluster.until_watched(KUSTOMIZATIONS).await;
        cluster.say(CRDS, "MODIFIED", &definition("one", &["v1", "v2"]));
        cluster.until_watched(&KUSTOMIZATIONS.replace("/v1/", "/v2/")).await;
        cancel.cancel();
        watches.stop().await;
        insta::assert_snapshot!(told(tape), @r"
        customresourcedefinition/kustomizations at 5
        kustomization/flux-system/apps at 7
        kustomizations started
        customresourcedefinition/kustomizations at 5
        kustomizations ended: the run was cancelled
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn flux_pods_are_read_and_everything_is_looked_at_once_more_at_the_end() {
        let (mut cluster, tape, watches, _) = watched(&[(PODS, pod())]).await;
        cluster.until_read().await;
        cluster.logs[0].send("2026-01-01T00:00:01Z {\"level\":\"error\",\"msg\":\"no\"}\n");
        let answering = tokio::spawn(async move {
            loop {
                let asked = cluster.server.asked().await;
                cluster.answer(asked);
                // What is asked for at the end is at its end.
                cluster.logs.truncate(1);
            }
        });
        watches.stop().await;
        answering.abort();
        let events = tape.events();
        let ends = events
            .iter()
            .filter(|event| matches!(event, EventKind::WatchEnded { reason, .. } if reason == "the run is over"));
        assert_eq!(ends.count(), scope::resources().count());
        let told = words(&events);
        assert!(!told.contains("gap"), "{told}");
        assert!(told.contains("pod/flux-system/kustomize-controller-1 at 6"), "{told}");
        assert!(told.contains("kustomize-controller-1 logged: no"), "{told}");
        assert!(told.contains("pod/flux-system/kustomize-controller-1: 1 lines, 1 errors, whole"), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_is_gone_holds_nobody_up() {
        let (cluster, tape, watches, _) = watched(&[]).await;
        drop(cluster);
        let asked = tokio::time::Instant::now();
        watches.stop().await;
        assert!(asked.elapsed() < std::time::Duration::from_secs(10));
        assert!(words(&tape.events()).contains("gap: "));
    }
}

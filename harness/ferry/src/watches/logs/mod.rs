//! The logs of everything in Flux' namespace: each container's, from its start on, to the end of the run.

mod cursor;
mod line;
mod read;

use std::collections::BTreeMap;

use ferry_record::EventKind;
use ferry_record::cluster::{ObjectSeen, facts};
use kube::Client;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::read::{Container, Tally};
use crate::run::recorder::Recorder;

/// Readers of the containers that have started so far.
pub(super) struct Logs {
    client: Client,
    recorder: Recorder,
    over: CancellationToken,
    readers: BTreeMap<Container, JoinHandle<Tally>>,
}

impl Logs {
    pub fn new(client: Client, recorder: Recorder) -> Self {
        Self { client, recorder, over: CancellationToken::new(), readers: BTreeMap::new() }
    }

    /// Reads the containers of a pod that have started and are not read yet.
    pub fn follow(&mut self, pod: &ObjectSeen) {
        for container in containers(pod) {
            self.readers.entry(container).or_insert_with_key(|container| {
                let (client, recorder, over) = (self.client.clone(), self.recorder.clone(), self.over.clone());
                tokio::spawn(read::read(client, recorder, container.clone(), over))
            });
        }
    }

    /// Reads all up to now, and says what was read of each pod.
    pub async fn stop(self) {
        self.over.cancel();
        let mut pods: BTreeMap<(String, String), (String, Tally)> = BTreeMap::new();
        for (container, reader) in self.readers {
            let tally = reader.await.unwrap_or_else(|error| Tally {
                broken: Some(format!("its reader ended early: {error}")),
                ..Tally::default()
            });
            let pod = format!("pod/{}/{}", container.namespace, container.pod);
            let (_, sum) = pods.entry((pod, container.uid)).or_insert_with(|| (container.controller, Tally::default()));
            sum.lines += tally.lines;
            sum.errors += tally.errors;
            let broken = tally.broken.map(|why| format!("container {}: {why}", container.name));
            sum.broken = sum.broken.take().or(broken);
        }
        for ((pod, _), (controller, Tally { lines, errors, broken })) in pods {
            self.recorder.emit(EventKind::LogRead { pod, controller, lines, errors, broken });
        }
    }
}

/// The containers of a pod that have started.
fn containers(pod: &ObjectSeen) -> impl Iterator<Item = Container> {
    let place = pod.object.strip_prefix("pod/").and_then(|place| place.split_once('/'));
    let started = pod.facts.get(facts::STARTED).map_or("", String::as_str);
    place.into_iter().flat_map(move |(namespace, name)| {
        started.split(',').filter_map(|started| started.split_once('=')).map(move |(container, _)| Container {
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            uid: pod.uid.clone(),
            name: container.to_owned(),
            controller: controller(pod, name),
        })
    })
}

/// What a pod is of: its ReplicaSet's Deployment, or what else owns it, or the pod itself.
fn controller(pod: &ObjectSeen, name: &str) -> String {
    let owner = pod.owners.first().and_then(|owner| owner.object.split_once('/'));
    match (owner, pod.facts.get(facts::TEMPLATE_HASH)) {
        (Some(("replicaset", set)), Some(hash)) => {
            set.strip_suffix(hash.as_str()).and_then(|set| set.strip_suffix('-')).unwrap_or(set).to_owned()
        }
        (Some((_, owner)), _) => owner.to_owned(),
        (None, _) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::extract::testing::kept;
    use super::super::testing::{Tape, api_server, words};
    use super::*;
    use rstest::rstest;

    fn pod(rest: &str) -> ObjectSeen {
        kept(&format!(
            "
apiVersion: v1
kind: Pod
metadata:
  name: source-controller-5d8f7c-x2x4z
  namespace: flux-system
  uid: u-1
  labels: {{pod-template-hash: 5d8f7c}}
  {rest}
status:
  containerStatuses:
  - {{name: manager, state: {{running: {{startedAt: '2026-01-01T00:00:02Z'}}}}}}
  - {{name: proxy, state: {{running: {{startedAt: '2026-01-01T00:00:03Z'}}}}}}
  - {{name: late, state: {{waiting: {{reason: ContainerCreating}}}}}}
"
        ))
    }

    #[rstest]
    #[case(
        "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: source-controller-5d8f7c, uid: x}]",
        "source-controller"
    )]
    #[case("ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: store, uid: x}]", "store")]
    #[case("ownerReferences: []", "source-controller-5d8f7c-x2x4z")]
    fn containers_are_of_a_controller(#[case] owners: &str, #[case] expected: &str) {
        let pod = pod(owners);
        let found: Vec<_> = containers(&pod).collect();
        assert!(found.iter().all(|container| container.controller == expected), "{found:?}");
        assert_eq!(found.iter().map(|container| container.name.as_str()).collect::<Vec<_>>(), ["manager", "proxy"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_is_read_once_and_summed_up() {
        let (client, mut server) = api_server();
        let tape = Tape::start();
        let mut logs = Logs::new(client, tape.recorder());
        let pod = pod("ownerReferences: []");
        logs.follow(&pod);
        logs.follow(&pod);
        let server = tokio::spawn(async move {
            // Each of the two containers asks for the pod first, which is gone.
            for _ in 0..2 {
                server.asked().await.refuse(404, "NotFound", "gone");
            }
        });
        server.await.unwrap();
        logs.stop().await;
        assert_eq!(
            words(&tape.events()),
            "pod/flux-system/source-controller-5d8f7c-x2x4z: 0 lines, 0 errors, \
            container manager: its pod was gone before its log was read"
        );
    }
}

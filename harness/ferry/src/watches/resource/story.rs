//! Whatever happens to a cluster, to its API server and to the connection: nothing is missed, or a gap says so.

use std::collections::BTreeMap;

use ferry_record::EventKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::objects::Objects;
use super::super::scope;
use super::super::testing::{Asked, Server, Stream, Tape, api_server};
use super::*;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Write(usize),
    Delete(usize),
    Bookmark,
    /// The connection breaks.
    Break,
    /// The API server restarts: it knows nothing of what was before.
    Restart,
    /// The next request is refused.
    Refuse,
    /// Requests are answered until the watch is open again.
    Serve,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0_usize..3).prop_map(Happens::Write),
        3 => (0_usize..3).prop_map(Happens::Delete),
        1 => Just(Happens::Bookmark),
        2 => Just(Happens::Break),
        1 => Just(Happens::Restart),
        1 => Just(Happens::Refuse),
        3 => Just(Happens::Serve),
    ]
}

/// An API server with all that ever happened.
struct Cluster {
    server: Server,
    version: u64,
    objects: BTreeMap<usize, Value>,
    history: Vec<(u64, &'static str, Value)>,
    /// What is older cannot be watched from.
    oldest: u64,
    watch: Option<Stream>,
    refuse: bool,
    lists: usize,
}

impl Cluster {
    fn write(&mut self, name: usize) {
        self.version += 1;
        let (kind, uid) = match self.objects.get(&name) {
            Some(object) => ("MODIFIED", object["metadata"]["uid"].clone()),
            None => ("ADDED", json!(format!("uid {}", self.version))),
        };
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("s{name}"), "namespace": "apps", "uid": uid, "generation": self.version,
                         "resourceVersion": self.version.to_string()},
        });
        self.objects.insert(name, object.clone());
        self.say(kind, object);
    }

    fn delete(&mut self, name: usize) {
        if let Some(mut object) = self.objects.remove(&name) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.say("DELETED", object);
        }
    }

    fn say(&mut self, kind: &'static str, object: Value) {
        if let Some(watch) = &self.watch {
            watch.event(kind, &object);
        }
        self.history.push((self.version, kind, object));
    }

    /// Answers requests until the watch is open.
    async fn serve(&mut self) {
        while self.watch.is_none() {
            let asked = self.server.asked().await;
            self.answer(asked);
        }
    }

    fn answer(&mut self, asked: Asked) {
        if std::mem::take(&mut self.refuse) {
            return asked.refuse(503, "ServiceUnavailable", "not ready");
        }
        if !asked.query.contains_key("watch") {
            self.lists += 1;
            return asked.list(&self.version.to_string(), self.objects.values().cloned().collect());
        }
        let from: u64 = asked.query["resourceVersion"].parse().unwrap();
        if from < self.oldest {
            return asked.refuse(410, "Expired", "too old");
        }
        let watch = asked.stream();
        for (_, kind, object) in self.history.iter().filter(|(version, ..)| *version > from) {
            watch.event(kind, object);
        }
        self.watch = Some(watch);
    }

    async fn suffer(&mut self, what: Happens) {
        match what {
            Happens::Write(name) => self.write(name),
            Happens::Delete(name) => self.delete(name),
            Happens::Bookmark => {
                if let Some(watch) = &self.watch {
                    watch.bookmark(&self.version.to_string());
                }
            }
            Happens::Break => self.watch = None,
            Happens::Restart => {
                self.watch = None;
                self.version += 1;
                self.oldest = self.version;
            }
            Happens::Refuse => self.refuse = true,
            Happens::Serve => self.serve().await,
        }
    }
}

/// What the record says happened, as (uid, generation; none when it is gone).
type Told = Vec<(String, Option<u64>)>;

struct Outcome {
    told: Told,
    late: usize,
    gaps: usize,
    /// The last state told of each object that is there.
    standing: BTreeMap<String, u64>,
}

fn outcome(events: Vec<EventKind>) -> Outcome {
    let mut outcome = Outcome { told: vec![], late: 0, gaps: 0, standing: BTreeMap::new() };
    for event in events {
        match event {
            EventKind::Object(seen) => {
                let generation = u64::try_from(seen.generation.unwrap()).unwrap();
                outcome.standing.insert(seen.uid.clone(), generation);
                outcome.told.push((seen.uid, Some(generation)));
            }
            EventKind::ObjectGone { uid, late, .. } => {
                outcome.late += usize::from(late);
                assert!(outcome.standing.remove(&uid).is_some(), "{uid} was not there");
                outcome.told.push((uid, None));
            }
            EventKind::WatchGap { .. } => outcome.gaps += 1,
            EventKind::WatchStarted { .. } | EventKind::WatchEnded { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    outcome
}

/// Lives through a story; the record of it, the cluster at its end, and how often everything was listed anew.
async fn live(story: &[Happens]) -> (Outcome, Cluster, usize) {
    let (client, server) = api_server();
    let tape = Tape::start();
    let services = scope::resource("", "v1", "Service", "services");
    let (orders, ordered) = watch::channel(Order::Follow(services.clone()));
    let ledger = Objects::new(&services, tape.recorder(), None);
    let mut task = tokio::spawn(follow(client, services, ledger, ordered));
    let mut cluster = Cluster {
        server,
        version: 10,
        objects: BTreeMap::new(),
        history: vec![],
        oldest: 0,
        watch: None,
        refuse: false,
        lists: 0,
    };
    cluster.serve().await;
    for what in story {
        cluster.suffer(*what).await;
    }
    cluster.refuse = false;
    cluster.serve().await;
    let relists = cluster.lists - 1;
    orders.send_replace(Order::Over);
    loop {
        tokio::select! {
            biased;
            ended = &mut task => break ended.unwrap(),
            asked = cluster.server.asked() => cluster.answer(asked),
        }
    }
    (outcome(tape.events()), cluster, relists)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missed_or_a_gap_says_so(story in proptest::collection::vec(happens(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (outcome, cluster, relists) = runtime.block_on(live(&story));
        let state = |object: &Value| {
            let meta = &object["metadata"];
            (meta["uid"].as_str().unwrap().to_owned(), meta["generation"].as_u64().unwrap())
        };
        let truth: BTreeMap<String, u64> = cluster.objects.values().map(state).collect();
        prop_assert_eq!(&outcome.standing, &truth);
        prop_assert_eq!(outcome.gaps, relists);
        if relists == 0 {
            let all: Told = cluster.history.iter().map(|(_, kind, object)| {
                let (uid, generation) = state(object);
                (uid, (*kind != "DELETED").then_some(generation))
            }).collect();
            prop_assert_eq!(outcome.told, all);
            prop_assert_eq!(outcome.late, 0);
        }
    }
}

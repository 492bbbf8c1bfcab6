//! What the watches saw of the made-up run: a bootstrapped cluster with a web page, carried over to the operator.

use std::collections::BTreeMap;

use ferry_record::cluster::{Condition, ErrorLine, Manager, ObjectSeen, Owner, facts};
use ferry_record::event::Nanos;
use ferry_record::{Event, EventKind};

use super::{MS, Story};

const WATCHED: [&str; 10] = [
    "namespaces",
    "pods",
    "services",
    "configmaps",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "replicasets.apps",
    "endpointslices.discovery.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
];

/// Flux' definitions and when each is there, in milliseconds.
const DEFINITIONS: [(&str, u64); 5] = [
    ("gitrepositories.source.toolkit.fluxcd.io", 16_900),
    ("kustomizations.kustomize.toolkit.fluxcd.io", 16_900),
    ("fluxinstances.fluxcd.controlplane.io", 37_400),
    ("fluxreports.fluxcd.controlplane.io", 37_400),
    ("resourcesets.fluxcd.controlplane.io", 37_400),
];

const CONTROLLERS: [&str; 2] = ["source-controller", "kustomize-controller"];

/// Everything that was watched, logged and committed.
pub fn events(story: Story) -> Vec<Event> {
    let mut told = Told::default();
    told.watches();
    told.bootstrap();
    told.fleet();
    told.take_over();
    told.clean_up();
    if story == Story::BrokenService {
        told.broken_service();
    }
    told.logs(story);
    told.events
}

#[derive(Default)]
struct Told {
    events: Vec<Event>,
    objects: BTreeMap<String, ObjectSeen>,
    made: u32,
    versions: u32,
}

impl Told {
    fn add(&mut self, ms: u64, kind: EventKind) {
        self.events.push(Event { t: ms * MS, kind });
    }

    /// An object is seen as it was last, with a change.
    fn see(&mut self, ms: u64, api: &str, object: &str, change: impl FnOnce(&mut ObjectSeen)) {
        self.versions += 7;
        let seen = self.objects.entry(object.to_owned()).or_insert_with(|| {
            self.made += 1;
            let uid = format!("{:08x}-7c1d-4e0a-9b52-4f6e{:08x}", self.made.wrapping_mul(0x9e37_79b9), self.made);
            ObjectSeen { object: object.into(), api: api.into(), uid, created: Some(clock(ms)), ..Default::default() }
        });
        seen.resource_version = (1_000 + self.versions).to_string();
        change(seen);
        let seen = seen.clone();
        self.add(ms, EventKind::Object(Box::new(seen)));
    }

    fn gone(&mut self, ms: u64, object: &str) {
        if let Some(seen) = self.objects.remove(object) {
            self.add(ms, EventKind::ObjectGone { object: object.into(), uid: seen.uid, late: false });
        }
    }

    fn uid(&self, object: &str) -> String {
        self.objects.get(object).map_or(String::new(), |seen| seen.uid.clone())
    }

    fn watches(&mut self) {
        for resource in WATCHED {
            self.add(15_200, EventKind::WatchStarted { resource: resource.into() });
        }
        for (definition, ms) in DEFINITIONS {
            self.see(ms, "apiextensions.k8s.io/v1", &format!("customresourcedefinition/{definition}"), |o| {
                set(o, &[(facts::STORED_VERSIONS, "v1"), (facts::SERVED_VERSIONS, "v1")]);
                let kind = definition.split('.').next().map(|plural| plural.trim_end_matches('s').replace("ie", "y"));
                o.facts.insert(facts::DEFINES.into(), kind.unwrap_or_default());
                label(o, "app.kubernetes.io/part-of", if ms < 30_000 { "flux" } else { "flux-operator" });
                match ms {
                    ..30_000 => by_kustomization(o, ms, "flux-system"),
                    _ => applied_by(o, ms, "helm"),
                }
            });
            self.add(ms + 90, EventKind::WatchStarted { resource: definition.into() });
        }
    }

    fn bootstrap(&mut self) {
        for namespace in ["flux-system", "kube-system"] {
            self.see(15_210, "v1", &format!("namespace/{namespace}"), |o| set(o, &[(facts::PHASE, "Active")]));
        }
        self.see(16_880, "", "namespace/flux-system", |o| by_kustomization(o, 16_880, "flux-system"));
        for (i, controller) in (0..).zip(CONTROLLERS) {
            self.see(16_950 + i, "apps/v1", &format!("deployment/flux-system/{controller}"), |o| {
                set(o, &[(facts::TEMPLATE, "5f0c2a97"), (facts::REPLICAS, "1"), (facts::IMAGES, "2.9.2")]);
                label(o, "app.kubernetes.io/part-of", "flux");
                by_kustomization(o, 16_950, "flux-system");
            });
            self.pod(17_020 + i, &format!("deployment/flux-system/{controller}"), "7d9f6c5b4", "a1b2c", 20_300);
        }
        self.see(20_800, "source.toolkit.fluxcd.io/v1", "gitrepository/flux-system/flux-system", |o| {
            set(
                o,
                &[
                    (facts::SPEC, "c0ffee01"),
                    (facts::REVISION, "main@sha1:4d1f0a2"),
                    (facts::ARTIFACT, "4d1f0a2.tar.gz"),
                ],
            );
            by_kustomization(o, 20_800, "flux-system");
            ready(o, "stored artifact for revision 'main@sha1:4d1f0a2'");
        });
        for (ms, name) in [(21_900, "flux-system"), (24_700, "apps")] {
            self.see(ms, "kustomize.toolkit.fluxcd.io/v1", &format!("kustomization/flux-system/{name}"), |o| {
                set(o, &[(facts::SPEC, "c0ffee02"), (facts::APPLIED, "main@sha1:4d1f0a2")]);
                o.finalizers = vec!["finalizers.fluxcd.io".into()];
                by_kustomization(o, ms, "flux-system");
                ready(o, "Applied revision: main@sha1:4d1f0a2");
            });
        }
    }

    fn fleet(&mut self) {
        self.see(24_100, "v1", "namespace/apps", |o| by_kustomization(o, 24_100, "apps"));
        self.see(24_130, "v1", "service/apps/web", |o| {
            set(o, &[(facts::SELECTOR, "0a51b6e3"), (facts::SPEC, "90c1d2aa"), (facts::CLUSTER_IP, "10.96.41.7")]);
            by_kustomization(o, 24_130, "apps");
        });
        self.see(24_150, "v1", "configmap/apps/page", |o| {
            set(o, &[(facts::DATA, "b7e10f55")]);
            by_kustomization(o, 24_150, "apps");
        });
        self.see(24_170, "apps/v1", "deployment/apps/web", |o| {
            o.generation = Some(1);
            set(o, &[(facts::TEMPLATE, "e81c44d0"), (facts::SPEC, "77ab1f02"), (facts::REPLICAS, "2")]);
            by_kustomization(o, 24_170, "apps");
        });
        for id in ["kx7zq", "m4d2p"] {
            self.pod(24_210, "deployment/apps/web", "66c9f8d7b5", id, 25_600);
        }
        self.slice(25_610, "10.244.0.11,10.244.0.12");
    }

    /// A pod, and the ReplicaSet that it belongs to, ready after a while.
    fn pod(&mut self, ms: u64, deployment: &str, hash: &str, id: &str, ready_at: u64) {
        let name = deployment.trim_start_matches("deployment/").to_owned();
        let set_name = format!("replicaset/{name}-{hash}");
        let short = |object: &str| object.rsplit('/').next().unwrap_or_default().to_owned();
        if !self.objects.contains_key(&set_name) {
            let owner = Owner { object: format!("deployment/{}", short(&name)), uid: self.uid(deployment) };
            self.see(ms, "apps/v1", &set_name, |o| {
                set(o, &[(facts::TEMPLATE_HASH, hash)]);
                o.owners = vec![owner];
            });
        }
        let owner = Owner { object: format!("replicaset/{}", short(&set_name)), uid: self.uid(&set_name) };
        let pod = format!("pod/{name}-{hash}-{id}");
        self.see(ms + 4, "v1", &pod, |o| {
            set(o, &[(facts::TEMPLATE_HASH, hash), (facts::READY, "false"), (facts::RESTARTS, "0")]);
            o.owners = vec![owner];
        });
        self.see(ready_at, "v1", &pod, |o| {
            set(o, &[(facts::READY, "true"), (facts::STARTED, &format!("{}={}", short(&name), clock(ready_at - 900)))]);
        });
    }

    fn slice(&mut self, ms: u64, addresses: &str) {
        self.see(ms, "discovery.k8s.io/v1", "endpointslice/apps/web-9wq4t", |o| {
            set(o, &[(facts::SERVICE, "web"), (facts::READY_ADDRESSES, addresses)]);
        });
    }

    fn take_over(&mut self) {
        self.see(37_900, "apps/v1", "deployment/flux-system/flux-operator", |o| {
            set(o, &[(facts::TEMPLATE, "1d2e3f40"), (facts::REPLICAS, "1"), (facts::IMAGES, "0.59.0")]);
            applied_by(o, 37_900, "helm");
        });
        self.pod(37_950, "deployment/flux-system/flux-operator", "58c7d6f9b8", "q9w8e", 40_900);
        self.see(41_300, "fluxcd.controlplane.io/v1", "fluxinstance/flux-system/flux", |o| {
            set(o, &[(facts::SPEC, "51ab90ce")]);
            o.finalizers = vec!["fluxcd.controlplane.io/finalizer".into()];
            applied_by(o, 41_300, "kubectl");
        });
        for (i, (definition, _)) in (0..).zip(&DEFINITIONS[..2]) {
            let object = format!("customresourcedefinition/{definition}");
            self.see(43_100 + i, "", &object, |o| adopted(o, 43_100));
        }
        self.see(43_200, "", "namespace/flux-system", |o| adopted(o, 43_200));
        for (ms, controller, id) in [(43_600, "source-controller", "t5r4e"), (49_100, "kustomize-controller", "y6u7i")]
        {
            let deployment = format!("deployment/flux-system/{controller}");
            self.see(ms, "", &deployment, |o| {
                set(o, &[(facts::TEMPLATE, "a94be772"), (facts::IMAGES, "2.9.4")]);
                adopted(o, ms);
            });
            let old = format!("pod/flux-system/{controller}-7d9f6c5b4-a1b2c");
            self.see(ms + 60, "", &old, |o| o.deleting = Some(clock(ms + 60)));
            self.gone(ms + 900, &old);
            self.pod(ms + 950, &deployment, "6b8d5c9f7", id, ms + 4_200);
        }
        self.see(54_000, "", "gitrepository/flux-system/flux-system", |o| adopted(o, 54_000));
        self.see(54_020, "", "kustomization/flux-system/flux-system", |o| adopted(o, 54_020));
        self.see(56_700, "fluxcd.controlplane.io/v1", "fluxreport/flux-system/flux", |o| {
            set(o, &[(facts::MANAGED_BY, "flux-operator"), (facts::VERSION, "2.9.4")]);
            applied_by(o, 56_700, "flux-operator");
        });
        self.see(56_800, "", "fluxinstance/flux-system/flux", |o| {
            set(o, &[(facts::APPLIED, "v2.9.4@sha256:6f1d"), (facts::VERSION, "2.9.4")]);
            ready(o, "Reconciliation finished in 15s");
        });
    }

    fn clean_up(&mut self) {
        for (pushed, fetched, applied, revision) in [
            (57_600, 59_900, [("flux-system", 61_800), ("apps", 62_240)], "main@sha1:9c3b7e1"),
            (62_900, 64_100, [("flux-system", 65_000), ("apps", 66_400)], "main@sha1:e07d3c8"),
        ] {
            self.add(pushed, EventKind::Committed { revision: revision.into() });
            let source = "gitrepository/flux-system/flux-system";
            let artifact = format!("{}.tar.gz", revision.rsplit(':').next().unwrap_or_default());
            self.see(fetched, "", source, |o| set(o, &[(facts::REVISION, revision), (facts::ARTIFACT, &artifact)]));
            for (name, ms) in applied {
                let kustomization = format!("kustomization/flux-system/{name}");
                self.see(ms, "", &kustomization, |o| {
                    set(o, &[(facts::APPLIED, revision)]);
                    ready(o, &format!("Applied revision: {revision}"));
                });
            }
        }
        // The bootstrap's own files are gone from git; `apps` is told by the fleet, that Flux was by bootstrap.
        self.see(66_300, "", "configmap/apps/page", |o| {
            set(o, &[(facts::DATA, "f3c2017b")]);
            by_kustomization(o, 66_300, "apps");
        });
    }

    fn broken_service(&mut self) {
        for (ms, selector, addresses) in [(48_190, "ffffffff", ""), (48_485, "0a51b6e3", "10.244.0.11,10.244.0.12")] {
            self.see(ms, "", "service/apps/web", |o| {
                set(o, &[(facts::SELECTOR, selector)]);
                o.managers.retain(|manager| manager.name != "kubectl-edit");
                o.managers.push(manager("kubectl-edit", "Update", ms, selector));
            });
            self.slice(ms + 8, addresses);
        }
    }

    fn logs(&mut self, story: Story) {
        let error = |controller: &str, pod: &str, ms, message: &str, object: &str| {
            EventKind::ErrorLogged(Box::new(ErrorLine {
                pod: format!("pod/flux-system/{controller}-{pod}"),
                controller: controller.into(),
                logged: clock(ms),
                message: message.into(),
                object: Some(object.into()),
            }))
        };
        let (source, kustomize) = ("source-controller", "kustomize-controller");
        let conflict = "Reconciler error: Operation cannot be fulfilled on kustomizations.kustomize.toolkit.fluxcd.io \
                        \"apps\": the object has been modified; please apply your changes to the latest version";
        let apps = "kustomization/flux-system/apps";
        self.add(54_300, error(kustomize, "6b8d5c9f7-y6u7i", 54_300, conflict, apps));
        if story == Story::BrokenService {
            let denied =
                "Reconciler error: failed to checkout and determine revision: unable to clone: authentication required";
            let repository = "gitrepository/flux-system/flux-system";
            for ms in [58_100, 58_900] {
                self.add(ms, error(source, "6b8d5c9f7-t5r4e", ms, denied, repository));
            }
        }
        for (controller, pod, lines, ms) in [
            (source, "7d9f6c5b4-a1b2c", 61, 44_500),
            (kustomize, "7d9f6c5b4-a1b2c", 74, 50_000),
            (source, "6b8d5c9f7-t5r4e", 88, 76_880),
            (kustomize, "6b8d5c9f7-y6u7i", 97, 76_882),
            ("flux-operator", "58c7d6f9b8-q9w8e", 43, 76_884),
        ] {
            let pod = format!("pod/flux-system/{controller}-{pod}");
            let errors =
                self.events.iter().filter(|event| matches!(&event.kind, EventKind::ErrorLogged(l) if l.pod == pod));
            let errors = errors.count() as u64;
            self.add(ms, EventKind::LogRead { pod, controller: controller.into(), lines, errors, broken: None });
        }
        for (ms, offset) in [(26_300, 812_000), (46_300, 797_000), (66_300, 803_000)] {
            let agent = "ferry-7f3a-control-plane".into();
            self.add(ms, EventKind::AgentClock { agent, offset, uncertainty: 410_000 });
        }
    }
}

fn set(seen: &mut ObjectSeen, facts: &[(&str, &str)]) {
    seen.facts.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
}

fn label(seen: &mut ObjectSeen, name: &str, value: &str) {
    seen.labels.insert(name.into(), value.into());
}

fn ready(seen: &mut ObjectSeen, message: &str) {
    let (kind, status, reason) = ("Ready".into(), "True".into(), "ReconciliationSucceeded".into());
    seen.conditions = vec![Condition { kind, status, reason, message: message.into() }];
}

fn manager(name: &str, operation: &str, ms: Nanos, fields: &str) -> Manager {
    Manager {
        name: name.into(),
        operation: operation.into(),
        subresource: String::new(),
        time: clock(ms),
        fields: fields.into(),
    }
}

fn applied_by(seen: &mut ObjectSeen, ms: u64, name: &str) {
    seen.managers = vec![manager(name, "Apply", ms, "3b1e9d70")];
}

fn by_kustomization(seen: &mut ObjectSeen, ms: u64, name: &str) {
    label(seen, "kustomize.toolkit.fluxcd.io/name", name);
    label(seen, "kustomize.toolkit.fluxcd.io/namespace", "flux-system");
    applied_by(seen, ms, "kustomize-controller");
}

/// What the operator makes of an object that it takes over.
fn adopted(seen: &mut ObjectSeen, ms: u64) {
    seen.labels.retain(|name, _| !name.starts_with("kustomize.toolkit.fluxcd.io/"));
    label(seen, "app.kubernetes.io/managed-by", "flux-operator");
    label(seen, "app.kubernetes.io/part-of", "flux");
    label(seen, "fluxcd.controlplane.io/name", "flux");
    label(seen, "fluxcd.controlplane.io/namespace", "flux-system");
    applied_by(seen, ms, "flux-operator");
}

/// The calendar time of a moment, as the API server writes it.
fn clock(ms: u64) -> String {
    let seconds = 3 * 60 + 4 + ms / 1_000;
    format!("2026-11-21T12:{:02}:{:02}Z", seconds / 60, seconds % 60)
}

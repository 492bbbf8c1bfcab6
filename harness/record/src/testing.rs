//! A small record to change in tests: a cluster, two phases with three steps, one probe of 400 samples, nothing wrong.

mod beside;
mod cluster;

use std::collections::BTreeMap;

use crate::cluster::{Manager, ObjectSeen, Owner, Parts};
use crate::event::{
    Budget, Event, EventKind, Expectation, FORMAT, Failure, Outcome, OwnRule, PhaseInfo, PhaseRole, Place, ProbeInfo,
    RunStarted, SampleBlock,
};
use crate::fold::RunState;

pub use cluster::adopted;

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
pub const PROBE: &str = "web/outside/new";

#[derive(Debug, Clone)]
pub struct Record {
    started: RunStarted,
    samples: u64,
    failures: BTreeMap<u64, Failure>,
    slips: BTreeMap<u64, u32>,
    delays: BTreeMap<u64, u32>,
    planned: u64,
    outcome: Outcome,
    extra: Vec<Event>,
    complete: bool,
    /// Each object as it was seen last, and how many had its name.
    objects: BTreeMap<String, (ObjectSeen, u32)>,
    versions: u64,
}

impl Record {
    pub fn good() -> Self {
        let phase = |name: &str, steps| PhaseInfo {
            name: name.into(),
            budget: Budget::default(),
            steps,
            role: Default::default(),
            changes: vec![],
        };
        Self {
            started: RunStarted {
                format: FORMAT,
                run: "20261121-120000-abcd".into(),
                scenario: "single-tenant/official".into(),
                summary: "The official migration".into(),
                cell: "k8s_1_34::kind".into(),
                ferry: "0.1.0".into(),
                wall: "2026-11-21T12:00:00Z".parse().unwrap(),
                clusters: vec![],
                phases: vec![phase("bootstrap", 1), phase("take over", 2)],
                invariants: vec!["no-lost-request".into()],
                rules: vec![],
                flux_namespace: "flux-system".into(),
                self_proof: false,
                expect: None,
                host: BTreeMap::new(),
            },
            samples: 400,
            failures: BTreeMap::new(),
            slips: BTreeMap::new(),
            delays: BTreeMap::new(),
            planned: 400,
            outcome: Outcome::Done,
            extra: Vec::new(),
            complete: true,
            objects: BTreeMap::new(),
            versions: 0,
        }
    }

    /// Sample `i`, due at `i` × 50 ms, fails.
    pub fn fail(mut self, i: u64, failure: Failure) -> Self {
        self.failures.insert(i, failure);
        self
    }

    /// Sample `i` is sent late.
    pub fn late(mut self, i: u64, ms: u32) -> Self {
        self.slips.insert(i, ms * 1_000);
        self
    }

    /// Sample `i` is answered that much later.
    pub fn slow(mut self, i: u64, ms: u32) -> Self {
        self.delays.insert(i, ms * 1_000);
        self
    }

    pub fn role(mut self, phase: usize, role: PhaseRole) -> Self {
        self.started.phases[phase].role = role;
        self
    }

    pub fn planned(mut self, planned: u64) -> Self {
        self.planned = planned;
        self
    }

    pub fn without_samples(mut self) -> Self {
        (self.samples, self.planned) = (0, 0);
        self
    }

    /// How the last step and its phase end.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    pub fn budget(mut self, phase: usize, failed: u64, longest_ms: u64) -> Self {
        self.started.phases[phase].budget = Budget { failed, longest: longest_ms * MS };
        self
    }

    pub fn steps(mut self, phase: usize, planned: usize) -> Self {
        self.started.phases[phase].steps = planned;
        self
    }

    pub fn invariants(mut self, names: &[&str]) -> Self {
        self.started.invariants = names.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    /// Announces a self-proof.
    pub fn proving(mut self) -> Self {
        self.started.self_proof = true;
        self
    }

    /// Adds a rule of the scenario's own.
    pub fn rule(mut self, name: &str, cel: &str) -> Self {
        self.started.rules.push(OwnRule { name: name.into(), cel: cel.into() });
        self
    }

    pub fn expect(mut self, expect: Option<Expectation>) -> Self {
        self.started.expect = expect;
        self
    }

    pub fn infra(self, what: &str) -> Self {
        let (error, hint) = ("connection refused".into(), Some("start the engine".into()));
        self.with(12 * SECOND, EventKind::Infra { what: what.into(), error, hint })
    }

    pub fn cancelled(self, by: &str) -> Self {
        self.with(13 * SECOND, EventKind::Cancelled { by: by.into() })
    }

    pub fn sampler_outage(self, from_ms: u64, to_ms: u64) -> Self {
        let (from, to) = (from_ms * MS, to_ms * MS);
        let kind = EventKind::SamplerOutage { probe: PROBE.into(), from, to, reason: "the host was busy".into() };
        self.with(to, kind)
    }

    /// Another probe, from the start to the end: one sample for each sign, `.` good and `x` refused, at the times of
    /// [`PROBE`]'s. Blanks at the end are samples that were planned and not taken.
    pub fn probing(mut self, name: &str, kind: &str, samples: &str) -> Self {
        let info = ProbeInfo { probe: name.into(), kind: kind.into(), place: "inside".into(), ..probe() };
        let failed = (0u32..).zip(samples.chars()).filter(|(_, c)| *c == 'x').map(|(i, _)| (i, Failure::Refused));
        let (samples, planned) = (samples.trim_end(), samples.len() as u64);
        let block = SampleBlock {
            probe: name.into(),
            start: 0,
            interval: 50 * MS,
            latency: vec![1_200; samples.len()],
            slip: vec![40; samples.len()],
            failed: failed.collect(),
        };
        self.extra.push(Event { t: 0, kind: EventKind::ProbeStarted(info) });
        // When all phases are known: a sample's phase is told by its intended time.
        self.extra.push(Event { t: 20_300 * MS, kind: EventKind::Samples(block) });
        self.with(20_400 * MS, EventKind::ProbeStopped { probe: name.into(), planned })
    }

    pub fn with(mut self, t: u64, kind: EventKind) -> Self {
        self.extra.push(Event { t, kind });
        self
    }

    pub fn changes(mut self, phase: usize, patterns: &[&str]) -> Self {
        self.started.phases[phase].changes = patterns.iter().map(|p| (*p).to_owned()).collect();
        self
    }

    /// The resources that matter are watched from 3 s on.
    pub fn watched(self) -> Self {
        crate::invariants::WATCHED.iter().fold(self, |record, resource| record.watch(3 * SECOND, resource))
    }

    pub fn watch(self, t: u64, resource: &str) -> Self {
        self.with(t, EventKind::WatchStarted { resource: resource.into() })
    }

    /// An object is seen: as it was last, with what `change` does to it. The first has the UID `object#1`, one that comes
    /// after it was gone `object#2`.
    pub fn object(mut self, t: u64, object: &str, change: impl FnOnce(&mut ObjectSeen)) -> Self {
        self.versions += 1;
        let seen = self.objects.entry(object.to_owned()).or_insert_with(|| (ObjectSeen::default(), 1));
        if seen.0.object.is_empty() {
            let uid = format!("{object}#{}", seen.1);
            seen.0 = ObjectSeen { object: object.into(), api: api(object).into(), uid, ..Default::default() };
        }
        seen.0.resource_version = self.versions.to_string();
        change(&mut seen.0);
        let kind = EventKind::Object(Box::new(seen.0.clone()));
        self.with(t, kind)
    }

    pub fn commit(self, t: u64, revision: &str) -> Self {
        self.with(t, EventKind::Committed { revision: revision.into() })
    }

    pub fn gone(mut self, t: u64, object: &str) -> Self {
        let seen = self.objects.get_mut(object).expect("it was there");
        let uid = std::mem::take(&mut seen.0).uid;
        seen.1 += 1;
        self.with(t, EventKind::ObjectGone { object: object.into(), uid, late: false })
    }

    pub fn without_end(mut self) -> Self {
        self.complete = false;
        self
    }

    pub fn fold(&self) -> RunState {
        self.events().iter().collect()
    }

    pub fn events(&self) -> Vec<Event> {
        let activity = |name: &str| EventKind::ActivityStarted { activity: name.into() };
        let done = |name: &str| EventKind::ActivityEnded { activity: name.into(), error: None };
        let step = |step, phase, kind: &str, line| EventKind::StepStarted {
            step,
            phase,
            kind: kind.into(),
            title: format!("{kind} it"),
            place: Some(Place { file: "scenarios/single-tenant/official.yaml".into(), line, column: 7 }),
            deadline: Some(60 * SECOND),
            parent: None,
        };
        let ended = |step, outcome: &Outcome| EventKind::StepEnded { step, outcome: outcome.clone() };
        let good = Outcome::Done;
        let mut timed = vec![
            (0, EventKind::RunStarted(Box::new(self.started.clone()))),
            (0, activity("cluster")),
            (4_000, done("cluster")),
            (4_500, EventKind::PhaseStarted { phase: 0 }),
            (4_500, step(0, 0, "bootstrap", 12)),
            (9_500, ended(0, &good)),
            (9_500, EventKind::PhaseEnded { phase: 0, outcome: good.clone() }),
            (9_500, EventKind::PhaseStarted { phase: 1 }),
            (9_500, step(1, 1, "install-operator", 16)),
            (11_000, ended(1, &good)),
            (11_000, step(2, 1, "wait", 17)),
            (11_200, EventKind::NotYet { step: 2, reason: "FluxInstance is progressing".into() }),
            (19_500, ended(2, &self.outcome)),
            (19_500, EventKind::PhaseEnded { phase: 1, outcome: self.outcome.clone() }),
            (19_500, activity("tear-down")),
            (20_500, done("tear-down")),
        ];
        if self.samples > 0 {
            timed.push((0, EventKind::ProbeStarted(probe())));
            timed.push((20_400, EventKind::ProbeStopped { probe: PROBE.into(), planned: self.planned }));
        }
        for first in (0..self.samples).step_by(20) {
            timed.push(((first + 20) * 50, EventKind::Samples(self.block(first))));
        }
        let mut events: Vec<Event> = timed.into_iter().map(|(ms, kind)| Event { t: ms * MS, kind }).collect();
        events.extend(self.extra.iter().cloned());
        events.sort_by_key(|e| e.t);
        if self.complete {
            events.push(Event { t: 20_500 * MS, kind: EventKind::RunEnded });
        }
        events
    }

    fn latency(&self, i: u64) -> u32 {
        let extra = |of: &BTreeMap<u64, u32>| *of.get(&i).unwrap_or(&0);
        extra(&self.slips) + extra(&self.delays) + 1_000 + i as u32 % 7 * 100
    }

    fn block(&self, first: u64) -> SampleBlock {
        let all = first..first + 20;
        SampleBlock {
            probe: PROBE.into(),
            start: first * 50 * MS,
            interval: 50 * MS,
            latency: all.clone().map(|i| self.latency(i)).collect(),
            slip: all.clone().map(|i| *self.slips.get(&i).unwrap_or(&40)).collect(),
            failed: all.filter_map(|i| Some(((i - first) as u32, self.failures.get(&i)?.clone()))).collect(),
        }
    }
}

/// What tests change about an object.
impl ObjectSeen {
    /// Sets a fact.
    pub fn set(&mut self, fact: &str, value: impl ToString) {
        self.facts.insert(fact.into(), value.to_string());
    }

    /// Owned by the first of its name.
    pub fn owned_by(&mut self, object: &str) {
        let Parts { kind, name, .. } = Parts::of(object);
        self.owners = vec![Owner { object: format!("{kind}/{name}"), uid: format!("{object}#1") }];
    }

    /// Applied by a Kustomization of flux-system.
    pub fn applied_by(&mut self, kustomization: &str) {
        self.label_as("kustomize.toolkit.fluxcd.io/name", kustomization);
        self.label_as("kustomize.toolkit.fluxcd.io/namespace", "flux-system");
        self.managed("kustomize-controller", "Apply");
    }

    /// Sets a label.
    pub fn label_as(&mut self, label: &str, value: &str) {
        self.labels.insert(label.into(), value.into());
    }

    /// The only one who wrote it.
    pub fn managed(&mut self, manager: &str, operation: &str) {
        self.managers = vec![Manager {
            name: manager.into(),
            operation: operation.into(),
            subresource: String::new(),
            time: "2026-11-21T12:00:05Z".into(),
            fields: "f1".into(),
        }];
    }
}

fn api(object: &str) -> &'static str {
    match Parts::of(object).kind {
        "deployment" | "statefulset" | "daemonset" | "replicaset" => "apps/v1",
        "kustomization" => "kustomize.toolkit.fluxcd.io/v1",
        "helmrelease" => "helm.toolkit.fluxcd.io/v2",
        "gitrepository" | "ocirepository" | "helmrepository" | "helmchart" | "bucket" => "source.toolkit.fluxcd.io/v1",
        "fluxinstance" | "fluxreport" => "fluxcd.controlplane.io/v1",
        "customresourcedefinition" => "apiextensions.k8s.io/v1",
        _ => "v1",
    }
}

fn probe() -> ProbeInfo {
    ProbeInfo {
        probe: PROBE.into(),
        kind: "http".into(),
        target: "http://web.apps.svc/".into(),
        place: "outside".into(),
        connection: "new".into(),
        start: 0,
        interval: 50 * MS,
        timeout: SECOND,
    }
}

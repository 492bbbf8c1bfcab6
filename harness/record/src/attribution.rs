//! What may have caused an outage: whatever changed around it, most likely first.
//!
//! It never decides a verdict. What changed shortly before the first failed sample is named with its distance in time, ranked
//! by how directly such a change takes requests away ([`CauseKind`]), and the reader decides.

mod changes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::cluster::Parts;
use crate::event::{Nanos, ProbeInfo};
use crate::fmt::precise;
use crate::fold::RunState;
use crate::intervals::{Interval, Outage};

/// How long before the first failed sample a change counts: kube-proxy and the readiness of pods follow within a second each.
pub const BEFORE: Nanos = 2_000_000_000;

/// How long after an outage's end a change may be seen that was made in it: the watch has to hear of it.
pub const AFTER: Nanos = 500_000_000;

/// Kinds of causes, the one that takes requests away most directly first. That order is the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// A fault was injected on purpose: nothing else needs to be looked for.
    Fault,
    /// A Service has no ready endpoint: every new connection to it fails.
    NoEndpoints,
    /// A Service is gone, or selects or publishes something else.
    Service,
    /// A Service has fewer ready endpoints: connections to the one that went break.
    FewerEndpoints,
    /// A pod is gone or going.
    PodGone,
    /// A pod restarted, or is no longer ready.
    PodNotReady,
    /// A NetworkPolicy came, went or changed.
    Policy,
    /// A node is no longer ready.
    Node,
    /// A workload's template or number of replicas changed: what follows from it may be seen only later.
    Rollout,
    /// A Flux object applied another revision.
    Applied,
    /// A step was going on: it may have done something that is not watched.
    Step,
}

impl CauseKind {
    /// A short name, for reports and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::NoEndpoints => "no endpoints",
            Self::Service => "service",
            Self::FewerEndpoints => "fewer endpoints",
            Self::PodGone => "pod gone",
            Self::PodNotReady => "pod not ready",
            Self::Policy => "policy",
            Self::Node => "node",
            Self::Rollout => "rollout",
            Self::Applied => "applied",
            Self::Step => "step",
        }
    }
}

/// Something that happened around an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// How it takes requests away.
    pub kind: CauseKind,
    /// When it was seen.
    pub at: Nanos,
    /// To which object, if to one.
    pub object: Option<String>,
    /// What, in words.
    pub what: String,
    /// Nanoseconds from the first failed sample to it, negative before.
    pub distance: i64,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apart = precise(self.distance.unsigned_abs());
        match self.distance {
            ..0 => write!(f, "{}, {apart} before", self.what),
            0 => f.write_str(&self.what),
            1.. => write!(f, "{}, {apart} after it began", self.what),
        }
    }
}

/// Everything of a run that can cause an outage, gathered once for all of them.
#[derive(Debug, Default)]
pub struct Causes {
    /// By time; distances are not yet known.
    all: Vec<Cause>,
    /// The run for each cluster beside the first, and its causes.
    beside: BTreeMap<String, (RunState, Causes)>,
}

impl Causes {
    /// Gathers what changed in a run.
    pub fn new(run: &RunState) -> Self {
        let mut all = changes::all(run);
        all.sort_by_key(|cause| cause.at);
        let others = run.views().into_iter().skip(1).filter_map(|view| {
            let run = view.run.into_owned();
            let causes = Self::new(&run);
            Some((view.cluster?.to_owned(), (run, causes)))
        });
        Self { all, beside: others.collect() }
    }

    /// The run for the cluster that a probe asks, and the causes there.
    fn asked<'a>(&'a self, run: &'a RunState, probe: &str) -> (&'a RunState, &'a [Cause]) {
        match run.beside_of(probe).and_then(|cluster| self.beside.get(cluster)) {
            Some((run, causes)) => (run, &causes.all),
            None => (run, &self.all),
        }
    }

    /// What happened around an outage of a probe, most likely first: the step that was going on comes last, and is always
    /// named.
    pub fn of(&self, run: &RunState, probe: &str, outage: &Outage) -> Vec<Cause> {
        let (run, all) = self.asked(run, probe);
        let info = run.probes.get(probe).and_then(|probe| probe.info.as_ref());
        let first = outage.span.from;
        let around = Interval::new(first.saturating_sub(BEFORE), outage.span.to.saturating_add(AFTER));

        let start = all.partition_point(|cause| cause.at < around.from);
        let near = all[start..].iter().take_while(|cause| cause.at < around.to).cloned();
        let faults = changes::faults(run, around);
        let step = run.step_at(first).map(|step| Cause {
            kind: CauseKind::Step,
            at: step.started,
            object: None,
            what: format!("step {} ({}) was going on", step.index + 1, step.title),
            distance: 0,
        });
        let mut causes: Vec<Cause> =
            near.filter(|cause| concerns(run, info, cause)).chain(faults).chain(step).collect();
        for cause in &mut causes {
            cause.distance = match cause.kind {
                CauseKind::Step => 0,
                _ => i64::try_from(i128::from(cause.at) - i128::from(first)).unwrap_or(i64::MAX),
            };
        }
        causes.sort_by_cached_key(|cause| {
            let apart = Distance::of(info, cause);
            // What was seen well after the first failure did not cause it, though it may have made it longer.
            let late = cause.distance > AFTER as i64;
            let last = cause.kind == CauseKind::Step;
            (
                last,
                apart == Distance::Elsewhere,
                late,
                cause.kind,
                apart,
                cause.distance.unsigned_abs(),
                cause.object.clone(),
            )
        });
        // A selector that is broken and mended again has one cause: the first.
        let mut told = BTreeSet::new();
        causes.retain(|cause| cause.object.is_none() || told.insert((cause.kind, cause.object.clone())));
        causes
    }

    /// What happened around an outage in a line, with the three most likely causes. `None` when nothing is known that the
    /// line about the outage does not say already.
    pub fn line(&self, run: &RunState, probe: &str, outage: &Outage) -> Option<String> {
        /// Causes named in a line.
        const MAX_NAMED: usize = 3;
        let causes = self.of(run, probe, outage);
        let named: Vec<String> = causes
            .iter()
            .filter(|cause| cause.kind != CauseKind::Step)
            .take(MAX_NAMED)
            .map(ToString::to_string)
            .collect();
        if !named.is_empty() {
            return Some(format!("likely: {}", named.join("; ")));
        }
        self.asked(run, probe).0.cluster.is_watched().then(|| "nothing that is watched changed around it".to_owned())
    }
}

/// The failure that most samples of an outage ran into.
pub fn dominant(outage: &Outage) -> Option<&str> {
    // The first by name of equally many, so that it is the same each time.
    let most = outage.kinds.values().max()?;
    outage.kinds.iter().find(|(_, n)| *n == most).map(|(kind, _)| kind.as_str())
}

/// How far an object is from what a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// The probe asks it by name, or it is not about an object.
    Named,
    /// In the same namespace, or nobody knows what the probe asks.
    Near,
    /// In another namespace.
    Elsewhere,
}

impl Distance {
    fn of(info: Option<&ProbeInfo>, cause: &Cause) -> Self {
        let Some(object) = cause.object.as_deref().map(Parts::of) else { return Self::Named };
        let target = info.map_or("", |info| info.target.as_str());
        let (Some(namespace), Some((name, of))) = (object.namespace, service(target)) else { return Self::Near };
        match (namespace == of, object.name == name || object.name.starts_with(&format!("{name}-"))) {
            (true, true) => Self::Named,
            (true, false) => Self::Near,
            (false, _) => Self::Elsewhere,
        }
    }
}

/// The Service that a probe asks from inside, `(name, namespace)` of `http://name.namespace.svc…/`.
fn service(target: &str) -> Option<(&str, &str)> {
    let (before, _) = target.split_once(".svc")?;
    let host = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')).next()?;
    let mut labels = host.rsplit('.');
    let namespace = labels.next()?;
    Some((labels.next()?, namespace))
}

/// Whether a change can matter to a probe: of the fleet for one that asks a workload, of Flux for one that asks Flux.
fn concerns(run: &RunState, info: Option<&ProbeInfo>, cause: &Cause) -> bool {
    let Some(object) = cause.object.as_deref() else { return true };
    let of_flux = Parts::of(object).namespace == Some(run.flux_namespace());
    match info.map(|info| info.kind.as_str()) {
        _ if cause.kind == CauseKind::Node => true,
        Some("kube-api") => false,
        Some("flux") => of_flux,
        _ => cause.kind == CauseKind::Applied || run.is_fleet(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts;
    use crate::event::{EventKind, Failure};
    use crate::testing::{MS, PROBE, Record, SECOND};
    use rstest::rstest;

    /// Two endpoints from 4 s on; samples 200 to 205 fail: out from 10.000 to 10.300 s.
    fn out() -> Record {
        let record = (200..206).fold(Record::good(), |record, i| record.fail(i, Failure::Refused)).watched();
        record
            .object(4 * SECOND, "service/apps/web", |o| o.set(facts::SELECTOR, "s1"))
            .object(4 * SECOND, "pod/apps/web-1-a", |o| o.set(facts::READY, true))
            .object(4 * SECOND, "deployment/apps/web", |o| o.set(facts::TEMPLATE, "t1"))
            .object(4 * SECOND, "endpointslice/apps/web-x", |o| {
                o.set(facts::SERVICE, "web");
                o.set(facts::READY_ADDRESSES, "10.0.0.1,10.0.0.2");
            })
    }

    fn causes(record: Record) -> Vec<String> {
        let run = record.fold();
        let outages = run.outages();
        let [(probe, outage)] = &outages[..] else { panic!("{outages:?}") };
        let causes = Causes::new(&run).of(&run, probe, outage);
        causes.iter().map(|cause| format!("{}: {cause}", cause.kind.as_str())).collect()
    }

    #[test]
    fn nothing_but_the_step_is_known() {
        assert_eq!(causes(out()), ["step: step 2 (install-operator it) was going on"]);
    }

    #[test]
    fn what_changed_is_ranked_and_dated_and_each_object_named_once() {
        let record = out()
            .object(9_000 * MS, "deployment/apps/web", |o| o.set(facts::TEMPLATE, "t2"))
            .object(9_900 * MS, "pod/apps/web-1-a", |o| o.deleting = Some("2026-11-21T12:00:09Z".into()))
            .object(9_960 * MS, "endpointslice/apps/web-x", |o| o.set(facts::READY_ADDRESSES, "10.0.0.2"))
            .object(10_050 * MS, "endpointslice/apps/web-x", |o| o.set(facts::READY_ADDRESSES, ""))
            .gone(10_200 * MS, "pod/apps/web-1-a")
            .object(10_700 * MS, "service/apps/web", |o| o.set(facts::SELECTOR, "s2"))
            .object(10_900 * MS, "deployment/apps/web", |o| o.set(facts::REPLICAS, "3"));
        insta::assert_snapshot!(causes(record).join("\n"), @r"
        no endpoints: service/apps/web has no ready endpoint (1 → 0), 50 ms after it began
        fewer endpoints: service/apps/web has fewer ready endpoints (2 → 1), 40 ms before
        pod gone: pod/apps/web-1-a is being deleted, 100 ms before
        rollout: deployment/apps/web has another pod template, 1.000 s before
        service: service/apps/web selects other pods, 700 ms after it began
        step: step 2 (install-operator it) was going on
        ");
    }

    #[test]
    fn a_fault_comes_first() {
        let fault = EventKind::Fault {
            fault: "cut".into(),
            target: "deployment/apps/web".into(),
            from: 9_990 * MS,
            to: 10_290 * MS,
            margin: 5 * MS,
        };
        let record = out().gone(10_010 * MS, "pod/apps/web-1-a").with(10_290 * MS, fault);
        insta::assert_snapshot!(causes(record).join("\n"), @r"
        fault: cut of deployment/apps/web, made on purpose, 10 ms before
        pod gone: pod/apps/web-1-a is gone, 10 ms after it began
        step: step 2 (install-operator it) was going on
        ");
    }

    #[rstest]
    #[case::another_namespace_last("service/other/db", "service: service/apps/web selects other pods, 500 ms before")]
    #[case::named_before_near("service/apps/db", "service: service/apps/web selects other pods, 500 ms before")]
    fn what_the_probe_asks_comes_first(#[case] other: &str, #[case] first: &str) {
        let record = out()
            .object(4 * SECOND, other, |o| o.set(facts::SELECTOR, "s1"))
            .object(9_900 * MS, other, |o| o.set(facts::SELECTOR, "s2"))
            .object(9_500 * MS, "service/apps/web", |o| o.set(facts::SELECTOR, "s2"));
        let causes = causes(record);
        assert_eq!((causes.len(), causes[0].as_str()), (3, first), "{causes:?}");
    }

    #[test]
    fn flux_and_the_cluster_itself_are_not_to_blame() {
        let record = out()
            .object(4 * SECOND, "pod/flux-system/source-controller-1", |_| {})
            .gone(9_900 * MS, "pod/flux-system/source-controller-1")
            .object(4 * SECOND, "pod/kube-system/coredns-1", |_| {})
            .gone(9_900 * MS, "pod/kube-system/coredns-1");
        assert_eq!(causes(record).len(), 1);
    }

    #[test]
    fn a_line_names_the_likeliest() {
        let line = |record: Record| {
            let run = record.fold();
            let (_, outage) = run.outages()[0];
            Causes::new(&run).line(&run, PROBE, outage)
        };
        assert_eq!(line(Record::good().fail(200, Failure::Refused)), None);
        assert_eq!(line(out()).as_deref(), Some("nothing that is watched changed around it"));
        let gone = out().gone(9_900 * MS, "pod/apps/web-1-a");
        assert_eq!(line(gone).as_deref(), Some("likely: pod/apps/web-1-a is gone, 100 ms before"));
    }

    #[rstest]
    #[case("GET http://web.apps.svc.cluster.local/ is 200", Some(("web", "apps")))]
    #[case("http://web.apps.svc:8080/", Some(("web", "apps")))]
    #[case("web.apps.svc", Some(("web", "apps")))]
    #[case("http://127.0.0.1:30080/", None)]
    #[case("svc", None)]
    fn services_are_named_in_targets(#[case] target: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(service(target), expected);
    }

    #[test]
    fn the_dominant_failure_is_the_most_frequent() {
        let record = Record::good().fail(200, Failure::Reset).fail(201, Failure::Refused).fail(202, Failure::Refused);
        let run = record.fail(203, Failure::Timeout).fold();
        assert_eq!(dominant(run.outages()[0].1), Some("refused"));
    }
}

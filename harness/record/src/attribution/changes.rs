//! Changes of objects that can take requests away, each from one state of an object to the next.

use super::{Cause, CauseKind};
use crate::cluster::{ObjectSeen, Parts, facts};
use crate::event::Nanos;
use crate::fold::{ClusterState, RunState, State};
use crate::intervals::Interval;

/// Every such change of a run.
pub(super) fn all(run: &RunState) -> Vec<Cause> {
    let mut all = Vec::new();
    for (object, life) in run.cluster.objects() {
        let kind = Parts::of(object).kind;
        if kind == "networkpolicy"
            && let Some(State { at, seen: Some(_), .. }) = life.states().first()
        {
            all.push(cause(CauseKind::Policy, *at, object, format!("{object} came")));
        }
        for pair in life.states().windows(2) {
            let [before, after] = pair else { continue };
            let change = Change { cluster: &run.cluster, object, kind, at: after.at };
            all.extend(change.causes(before.seen.as_ref(), after.seen.as_ref()));
        }
    }
    all
}

/// Faults that were in effect, or may have been, at some time in an interval.
pub(super) fn faults(run: &RunState, around: Interval) -> impl Iterator<Item = Cause> {
    let faults = run.cluster.faults.iter().filter(move |fault| {
        let span = Interval::new(
            fault.span.from.saturating_sub(fault.margin),
            fault.span.to.saturating_add(fault.margin).max(fault.span.from + 1),
        );
        span.overlaps(&around)
    });
    faults.map(|fault| Cause {
        kind: CauseKind::Fault,
        at: fault.span.from,
        object: None,
        what: format!("{} of {}, made on purpose", fault.fault, fault.target),
        distance: 0,
    })
}

fn cause(kind: CauseKind, at: Nanos, object: &str, what: String) -> Cause {
    Cause { kind, at, object: Some(object.to_owned()), what, distance: 0 }
}

/// One change of one object.
struct Change<'a> {
    cluster: &'a ClusterState,
    object: &'a str,
    kind: &'a str,
    at: Nanos,
}

impl Change<'_> {
    fn causes(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Vec<Cause> {
        let one = match self.kind {
            "endpointslice" => self.endpoints(before, after),
            "service" => self.service(before, after),
            "pod" => self.pod(before, after),
            "networkpolicy" => self.policy(before, after),
            "node" => self.node(before, after),
            "deployment" | "statefulset" | "daemonset" => self.workload(before, after),
            _ => None,
        };
        one.into_iter().chain(self.applied(before, after)).collect()
    }

    fn cause(&self, kind: CauseKind, what: &str) -> Option<Cause> {
        Some(cause(kind, self.at, self.object, format!("{} {what}", self.object)))
    }

    /// All slices of a Service together: one may take over from another.
    fn endpoints(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Option<Cause> {
        let service = before.or(after)?.fact(facts::SERVICE)?;
        let namespace = Parts::of(self.object).namespace?;
        let others: usize = self
            .cluster
            .present_at(self.at)
            .filter(|slice| {
                let parts = Parts::of(&slice.object);
                let of_service = slice.fact(facts::SERVICE) == Some(service);
                of_service
                    && parts.kind == self.kind
                    && parts.namespace == Some(namespace)
                    && slice.object != self.object
            })
            .map(|slice| ready(Some(slice)))
            .sum();
        let (was, is) = (others + ready(before), others + ready(after));
        if is >= was {
            return None;
        }
        let (kind, what) = match is {
            0 => (CauseKind::NoEndpoints, "has no ready endpoint"),
            _ => (CauseKind::FewerEndpoints, "has fewer ready endpoints"),
        };
        let object = format!("service/{namespace}/{service}");
        Some(cause(kind, self.at, &object, format!("{object} {what} ({was} → {is})")))
    }

    fn service(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Option<Cause> {
        let before = before?;
        let Some(after) = after else { return self.cause(CauseKind::Service, "is gone") };
        let differs = |fact| before.fact(fact) != after.fact(fact);
        match () {
            () if before.uid != after.uid => self.cause(CauseKind::Service, "was made anew"),
            () if differs(facts::SELECTOR) => self.cause(CauseKind::Service, "selects other pods"),
            () if differs(facts::CLUSTER_IP) => self.cause(CauseKind::Service, "has another address"),
            () if differs(facts::SPEC) => self.cause(CauseKind::Service, "has another spec"),
            () => None,
        }
    }

    fn pod(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Option<Cause> {
        let before = before?;
        let Some(after) = after else { return self.cause(CauseKind::PodGone, "is gone") };
        let restarts = |seen: &ObjectSeen| seen.fact(facts::RESTARTS).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let is_ready = |seen: &ObjectSeen| seen.fact(facts::READY) == Some("true");
        match () {
            () if before.uid != after.uid => self.cause(CauseKind::PodGone, "was replaced"),
            () if before.deleting.is_none() && after.deleting.is_some() => {
                self.cause(CauseKind::PodGone, "is being deleted")
            }
            () if restarts(after) > restarts(before) => self.cause(CauseKind::PodNotReady, "restarted"),
            () if is_ready(before) && !is_ready(after) => self.cause(CauseKind::PodNotReady, "is not ready"),
            () => None,
        }
    }

    fn policy(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Option<Cause> {
        let spec = |seen: Option<&ObjectSeen>| seen.map(|seen| seen.fact(facts::SPEC).unwrap_or_default().to_owned());
        match (spec(before), spec(after)) {
            (Some(_), None) => self.cause(CauseKind::Policy, "is gone"),
            (None, Some(_)) => self.cause(CauseKind::Policy, "came"),
            (before, after) if before != after => self.cause(CauseKind::Policy, "has another spec"),
            _ => None,
        }
    }

    fn node(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Option<Cause> {
        let is_ready = |seen: &ObjectSeen| {
            let condition = || seen.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True");
            seen.fact(facts::READY).map_or_else(condition, |ready| ready == "true")
        };
        let lost = before.is_some_and(is_ready) && !after.is_some_and(is_ready);
        lost.then(|| self.cause(CauseKind::Node, "is not ready"))?
    }

    fn workload(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Option<Cause> {
        let before = before?;
        let Some(after) = after else { return self.cause(CauseKind::Rollout, "is gone") };
        if before.fact(facts::TEMPLATE) != after.fact(facts::TEMPLATE) {
            return self.cause(CauseKind::Rollout, "has another pod template");
        }
        let replicas = |seen: &ObjectSeen| seen.fact(facts::REPLICAS).unwrap_or("?").to_owned();
        let (was, is) = (replicas(before), replicas(after));
        (was != is).then(|| self.cause(CauseKind::Rollout, &format!("is to have {is} replicas, not {was}")))?
    }

    fn applied(&self, before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Option<Cause> {
        let revision = |seen: Option<&ObjectSeen>| seen.and_then(|seen| seen.fact(facts::APPLIED)).map(str::to_owned);
        let now = revision(after)?;
        (revision(before).as_ref() != Some(&now)).then(|| self.cause(CauseKind::Applied, &format!("applied {now}")))?
    }
}

/// Addresses that are ready in a slice.
fn ready(slice: Option<&ObjectSeen>) -> usize {
    let addresses = slice.and_then(|slice| slice.fact(facts::READY_ADDRESSES)).unwrap_or_default();
    addresses.split(',').filter(|address| !address.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    fn causes(object: &str, before: &[(&str, &str)], after: Option<&[(&str, &str)]>) -> Vec<String> {
        let set = |facts: &[(&str, &str)]| {
            let facts: Vec<_> = facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            move |o: &mut ObjectSeen| facts.iter().for_each(|(fact, value)| o.set(fact, value))
        };
        let record = Record::good().object(4 * SECOND, object, set(before));
        let record = match after {
            Some(after) => record.object(9 * SECOND, object, set(after)),
            None => record.gone(9 * SECOND, object),
        };
        let all = all(&record.fold());
        all.iter().filter(|c| c.at == 9 * SECOND).map(|c| format!("{}: {}", c.kind.as_str(), c.what)).collect()
    }

    #[rstest]
    #[case("service/apps/web", &[("cluster-ip", "1")], Some(&[("cluster-ip", "2")][..]), "service: service/apps/web has another address")]
    #[case("service/apps/web", &[("spec", "1")], Some(&[("spec", "2")][..]), "service: service/apps/web has another spec")]
    #[case("service/apps/web", &[], None, "service: service/apps/web is gone")]
    #[case("pod/apps/web-1", &[("restarts", "1")], Some(&[("restarts", "2")][..]), "pod not ready: pod/apps/web-1 restarted")]
    #[case("pod/apps/web-1", &[("ready", "true")], Some(&[("ready", "false")][..]), "pod not ready: pod/apps/web-1 is not ready")]
    #[case("networkpolicy/apps/deny", &[("spec", "1")], Some(&[("spec", "2")][..]), "policy: networkpolicy/apps/deny has another spec")]
    #[case("networkpolicy/apps/deny", &[], None, "policy: networkpolicy/apps/deny is gone")]
    #[case("node/ferry-worker", &[("ready", "true")], Some(&[("ready", "false")][..]), "node: node/ferry-worker is not ready")]
    #[case("node/ferry-worker", &[("ready", "true")], None, "node: node/ferry-worker is not ready")]
    #[case("deployment/apps/web", &[("replicas", "2")], Some(&[("replicas", "0")][..]),
        "rollout: deployment/apps/web is to have 0 replicas, not 2")]
    #[case("kustomization/flux-system/apps", &[("applied", "main@sha1:1")], Some(&[("applied", "main@sha1:2")][..]),
        "applied: kustomization/flux-system/apps applied main@sha1:2")]
    fn changes_are_causes(
        #[case] object: &str,
        #[case] before: &[(&str, &str)],
        #[case] after: Option<&[(&str, &str)]>,
        #[case] expected: &str,
    ) {
        assert_eq!(causes(object, before, after), [expected]);
    }

    #[rstest]
    #[case::became_ready("pod/apps/web-1", &[("ready", "false")], &[("ready", "true")])]
    #[case::another_fact("pod/apps/web-1", &[("ip", "1")], &[("ip", "2")])]
    #[case::more_endpoints("endpointslice/apps/web-x", &[("service", "web"), ("ready-addresses", "1")],
        &[("service", "web"), ("ready-addresses", "1,2")])]
    #[case::a_secret("secret/apps/web", &[("data", "1")], &[("data", "2")])]
    fn others_are_not(#[case] object: &str, #[case] before: &[(&str, &str)], #[case] after: &[(&str, &str)]) {
        assert!(causes(object, before, Some(after)).is_empty());
    }

    #[test]
    fn slices_of_one_service_count_together() {
        let slice = |addresses: &'static str| {
            move |o: &mut ObjectSeen| {
                o.set(facts::SERVICE, "web");
                o.set(facts::READY_ADDRESSES, addresses);
            }
        };
        let run = Record::good()
            .object(4 * SECOND, "endpointslice/apps/web-a", slice("1"))
            .object(4 * SECOND, "endpointslice/apps/web-b", slice("2,3"))
            .gone(9 * SECOND, "endpointslice/apps/web-a")
            .fold();
        let what: Vec<String> = all(&run).into_iter().map(|cause| cause.what).collect();
        assert_eq!(what, ["service/apps/web has fewer ready endpoints (3 → 2)"]);
    }
}

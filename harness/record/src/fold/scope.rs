//! What the rules about objects look at: since when, whose objects, and which changes are meant.

use super::RunState;
use crate::cluster::{LAB, ObjectSeen, Parts, is_flux_group};
use crate::event::{Nanos, Outcome, PhaseRole};
use crate::intervals::Interval;

/// Namespaces that come with the cluster, and the harness' own.
const SYSTEM: [&str; 2] = ["local-path-storage", LAB];

impl RunState {
    /// From the end of the first phase of the scenario, which brings everything up, to the last thing known before the
    /// verdict. None when that phase failed or nothing came after it: then there was no migration to judge.
    pub fn window(&self) -> Option<Interval> {
        let first = self.phases.iter().position(|phase| phase.info.role == PhaseRole::Scenario)?;
        let up = &self.phases[first];
        let from = up.ended.filter(|_| up.outcome == Some(Outcome::Done))?;
        self.phases[first + 1..]
            .iter()
            .any(|phase| phase.started.is_some())
            .then(|| Interval::new(from, self.looked_until))
    }

    /// The window up to the end of the last phase: from then on the harness itself puts its tools away.
    pub fn watched_window(&self) -> Option<Interval> {
        let window = self.window()?;
        let busy = self.phases.iter().any(|phase| phase.started.is_some() && phase.ended.is_none());
        let last = self.phases.iter().filter_map(|phase| phase.ended).max().filter(|_| !busy);
        Some(Interval::new(window.from, last.unwrap_or(window.to).min(window.to)))
    }

    /// The namespace of Flux' controllers.
    pub fn flux_namespace(&self) -> &str {
        self.started.as_ref().map_or("flux-system", |run| run.flux_namespace.as_str())
    }

    /// Whether an object is the fleet's: not Flux', not the cluster's own, not the harness'. Of objects of the whole
    /// cluster those that Flux or Helm applied, and namespaces.
    pub fn is_fleet(&self, object: &str) -> bool {
        let parts = Parts::of(object);
        let system = |namespace: &str| {
            namespace.starts_with("kube-") || SYSTEM.contains(&namespace) || namespace == self.flux_namespace()
        };
        match parts.namespace {
            Some("default") => {
                let of_cluster =
                    ["service", "endpoints", "endpointslice"].contains(&parts.kind) && parts.name == "kubernetes";
                !of_cluster
            }
            Some(namespace) => !system(namespace),
            None if parts.kind == "namespace" => parts.name != "default" && !system(parts.name),
            None => self.cluster.history(object).and_then(|history| history.last()).is_some_and(|seen| {
                let applied = seen.label("kustomize.toolkit.fluxcd.io/name").is_some()
                    || seen.label("helm.toolkit.fluxcd.io/name").is_some();
                applied && !seen.is_flux_component() && !is_operator_part(seen)
            }),
        }
    }

    /// Whether an object is a custom resource of Flux or its operator.
    pub fn is_flux(&self, object: &str) -> bool {
        self.cluster.history(object).and_then(|history| history.last()).is_some_and(ObjectSeen::is_flux)
    }

    /// Whether an object is Flux' definition of a custom resource.
    pub fn is_flux_definition(&self, object: &str) -> bool {
        object
            .strip_prefix("customresourcedefinition/")
            .and_then(|name| name.split_once('.'))
            .is_some_and(|(_, group)| is_flux_group(group))
    }

    /// Whether the phase of a moment is meant to change an object, or what the object belongs to: a Pod's ReplicaSet, the
    /// Deployment of that.
    pub fn meant(&self, object: &str, t: Nanos) -> bool {
        let Some(phase) = self.phase_at(t).filter(|phase| !phase.info.changes.is_empty()) else { return false };
        let told = |object: &str| phase.info.changes.iter().any(|pattern| matches(self.here(pattern), object));
        if told(object) {
            return true;
        }
        let history = self.cluster.history(object);
        history
            .and_then(|history| history.last_at(t).or_else(|| history.last()))
            .is_some_and(|seen| self.cluster.owners(seen).any(|owner| told(&owner.object)))
    }
}

/// What the operator itself is installed as, when Flux installs it.
fn is_operator_part(seen: &ObjectSeen) -> bool {
    seen.label("app.kubernetes.io/name") == Some("flux-operator")
}

/// Whether `kind/namespace/name` is what a pattern says, with `*` for any part or for any piece of one.
fn matches(pattern: &str, object: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), object.split('/'));
    patterns.clone().count() == parts.clone().count() && patterns.zip(parts).all(|(pattern, part)| glob(pattern, part))
}

fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    // What follows the star may begin anywhere.
    (0..=text.len()).filter(|i| text.is_char_boundary(*i)).any(|i| glob(rest, &text[i..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::testing::{MS, Record, SECOND};
    use rstest::rstest;

    #[rstest]
    #[case("deployment/apps/web", "deployment/apps/web", true)]
    #[case("*/apps/*", "deployment/apps/web", true)]
    #[case("deployment/apps/*", "deployment/apps/web", true)]
    #[case("deployment/apps/web-*-a", "deployment/apps/web-1-a", true)]
    #[case("deployment/apps/web-*-a", "deployment/apps/web-a", false)]
    #[case("*/*", "deployment/apps/web", false)]
    #[case("namespace/*", "namespace/apps", true)]
    #[case("*", "namespace/apps", false)]
    fn patterns(#[case] pattern: &str, #[case] object: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, object), expected);
    }

    #[rstest]
    #[case("deployment/apps/web", true)]
    #[case("namespace/apps", true)]
    #[case("kustomization/apps/team", true)]
    #[case("configmap/default/settings", true)]
    #[case("service/default/kubernetes", false)]
    #[case("deployment/flux-system/source-controller", false)]
    #[case("namespace/flux-system", false)]
    #[case("namespace/default", false)]
    #[case("pod/kube-system/coredns", false)]
    #[case("daemonset/ferry-lab/ferry-agent", false)]
    #[case("clusterrole/unknown", false)]
    #[case("clusterrole/team", true)]
    #[case("clusterrole/crd-controller", false)]
    fn the_fleet_is_what_nobody_else_brought(#[case] object: &str, #[case] expected: bool) {
        let run = Record::good()
            .object(SECOND, "clusterrole/team", |o| o.applied_by("apps"))
            .object(SECOND, "clusterrole/crd-controller", |o| {
                o.applied_by("flux-system");
                o.labels.insert("app.kubernetes.io/part-of".into(), "flux".into());
            })
            .fold();
        assert_eq!(run.is_fleet(object), expected);
    }

    #[test]
    fn the_window_begins_when_everything_is_up() {
        assert_eq!(Record::good().fold().window(), Some(Interval::new(9_500 * MS, 20_500 * MS)));
        assert_eq!(Record::good().fold().watched_window(), Some(Interval::new(9_500 * MS, 19_500 * MS)));
        let failed = Outcome::Failed { error: "no".into(), hint: None };
        let never_up = Record::good().with(9_500 * MS, EventKind::PhaseEnded { phase: 0, outcome: failed });
        assert_eq!(never_up.fold().window(), None);
        let nothing_after: RunState = Record::good().events().iter().take_while(|e| e.t < 9_500 * MS).collect();
        assert_eq!(nothing_after.window(), None);
        assert_eq!(RunState::default().window(), None);
    }

    #[test]
    fn what_a_phase_is_meant_to_change_includes_what_belongs_to_it() {
        let run = Record::good()
            .changes(1, &["deployment/apps/web"])
            .object(5 * SECOND, "deployment/apps/web", |_| {})
            .object(5 * SECOND, "replicaset/apps/web-1", |o| o.owned_by("deployment/apps/web"))
            .object(5 * SECOND, "pod/apps/web-1-a", |o| o.owned_by("replicaset/apps/web-1"))
            .object(5 * SECOND, "pod/apps/other", |_| {})
            .gone(15 * SECOND, "pod/apps/web-1-a")
            .fold();
        assert!(run.meant("deployment/apps/web", 12 * SECOND));
        assert!(run.meant("pod/apps/web-1-a", 15 * SECOND));
        assert!(!run.meant("pod/apps/other", 12 * SECOND));
        assert!(!run.meant("deployment/apps/web", 8 * SECOND), "another phase");
    }
}

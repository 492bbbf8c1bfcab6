//! Clusters beside the first: each is judged as if the run had no other.

use std::borrow::Cow;

use super::{ClusterState, RunState};
use crate::event::{Event, EventKind};

/// The run as it is for one of its clusters.
#[derive(Debug, Clone)]
pub struct View<'r> {
    /// The cluster's name; none where the run has only one.
    pub cluster: Option<&'r str>,
    /// The run, with that cluster's objects, and with such changes as are meant there.
    pub run: Cow<'r, RunState>,
}

impl RunState {
    /// Takes in what an event tells of clusters.
    pub(super) fn of_clusters(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted(run) => {
                // One of which nothing is ever told must not be passed over.
                let others = run.clusters.iter().skip(1).map(|cluster| cluster.name.clone());
                self.beside = others.map(|name| (name, ClusterState::default())).collect();
            }
            EventKind::Beside { cluster, told } => {
                let event = Event { t: event.t, kind: told.as_ref().clone() };
                self.beside.entry(cluster.clone()).or_default().apply(&event);
            }
            // Any cluster may sync what is pushed.
            EventKind::Committed { .. } => {
                self.cluster.apply(event);
                self.beside.values_mut().for_each(|cluster| cluster.apply(event));
            }
            _ => self.cluster.apply(event),
        }
    }

    /// The run as it is for each of its clusters, the first one first.
    pub fn views(&self) -> Vec<View<'_>> {
        let first = self.started.iter().flat_map(|run| &run.clusters).map(|cluster| cluster.name.as_str()).next();
        let first = View { cluster: first, run: Cow::Borrowed(self) };
        let others = self.beside.iter().map(|(name, cluster)| View {
            cluster: Some(name),
            run: Cow::Owned(self.for_cluster(name, cluster.clone())),
        });
        std::iter::once(first).chain(others).collect()
    }

    /// The cluster beside the first that a probe asks, if it asks one of those.
    pub fn beside_of(&self, probe: &str) -> Option<&str> {
        let name = probe.split('/').next().unwrap_or(probe);
        let mut others = self.started.iter().flat_map(|run| &run.clusters).skip(1);
        others.find(|cluster| cluster.probes.iter().any(|probe| probe == name)).map(|cluster| cluster.name.as_str())
    }

    /// What is said to be in the first cluster by that cluster's name is told as what is said without one.
    pub(super) fn here<'p>(&self, change: &'p str) -> &'p str {
        let first = self.started.as_ref().and_then(|run| run.clusters.first());
        first.and_then(|first| change.strip_prefix(&first.name)?.strip_prefix(':')).unwrap_or(change)
    }

    fn for_cluster(&self, name: &str, cluster: ClusterState) -> RunState {
        let mut run = RunState { cluster, beside: Default::default(), ..self.clone() };
        for phase in &mut run.phases {
            // `main:deployment/apps/web` is told of the cluster main alone, and without a name of the first.
            let here = phase.info.changes.iter().filter_map(|change| change.strip_prefix(name)?.strip_prefix(':'));
            phase.info.changes = here.map(str::to_owned).collect();
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ClusterInfo;
    use crate::testing::{Record, SECOND};

    fn names(run: &RunState) -> Vec<(Option<&str>, Vec<String>)> {
        let objects = |run: &RunState| run.cluster.objects().map(|(name, _)| name.to_owned()).collect();
        run.views().iter().map(|view| (view.cluster, objects(&view.run))).collect()
    }

    #[test]
    fn a_single_cluster_has_no_name() {
        let run = Record::good().object(5 * SECOND, "deployment/apps/web", |_| {}).fold();
        assert_eq!(names(&run), [(None, vec!["deployment/apps/web".to_owned()])]);
        assert_eq!(run.beside_of("web/outside/new"), None);
    }

    #[test]
    fn each_cluster_has_its_own_objects_and_changes() {
        let run = Record::good()
            .clusters(&[("edge", &["web"]), ("main", &["web-main"])])
            .changes(1, &["deployment/apps/web", "edge:service/apps/web", "main:pod/apps/*"])
            .object(5 * SECOND, "deployment/apps/web", |_| {})
            .beside(6 * SECOND, "main", "pod/apps/web", |_| {})
            .commit(12 * SECOND, "main@sha1:1")
            .fold();
        let [edge, main] = &run.views()[..] else { panic!("two clusters") };
        assert_eq!(names(&run)[0], (Some("edge"), vec!["deployment/apps/web".to_owned()]));
        assert_eq!(names(&run)[1], (Some("main"), vec!["pod/apps/web".to_owned()]));
        let at = 12 * SECOND;
        let objects = ["deployment/apps/web", "service/apps/web", "pod/apps/web"];
        let meant = |view: &View<'_>| objects.map(|object| view.run.meant(object, at));
        assert_eq!((meant(edge), meant(main)), ([true, true, false], [false, false, true]));
        assert_eq!((edge.run.cluster.commits.len(), main.run.cluster.commits.len()), (1, 1));
        assert_eq!((run.beside_of("web/outside/new"), run.beside_of("web-main/inside/new")), (None, Some("main")));
    }

    #[test]
    fn a_cluster_of_which_nothing_is_told_is_there() {
        let run = Record::good().clusters(&[("edge", &[]), ("main", &[])]).fold();
        assert_eq!(run.views().len(), 2);
        assert!(!run.views()[1].run.cluster.is_watched());
        let info = ClusterInfo { name: "edge".into(), probes: vec![] };
        assert_eq!(run.started.unwrap().clusters[0], info);
    }
}

//! What makes pods: Deployment, StatefulSet, DaemonSet, ReplicaSet.

use ferry_record::cluster::facts;
use kube::api::DynamicObject;

use super::{Facts, each};

pub(super) fn extract(workload: &DynamicObject, found: &mut Facts) {
    let data = &workload.data;
    found.hash(facts::TEMPLATE, data.pointer("/spec/template"));
    found.list(facts::IMAGES, each(data, "/spec/template/spec/containers").filter_map(|c| c["image"].as_str()));
    // Only a DaemonSet counts its pods by nodes; others leave out what is 0, and 1 is the default of what is wanted.
    if data.pointer("/status/desiredNumberScheduled").is_some() {
        found.number(facts::REPLICAS, data, "/status/desiredNumberScheduled", 0);
        found.number(facts::READY, data, "/status/numberReady", 0);
    } else {
        found.number(facts::REPLICAS, data, "/spec/replicas", 1);
        found.number(facts::READY, data, "/status/readyReplicas", 0);
    }
    let labels = workload.metadata.labels.as_ref();
    found.set(facts::TEMPLATE_HASH, labels.and_then(|labels| labels.get("pod-template-hash")).cloned());
}

#[cfg(test)]
mod tests {
    use super::super::testing::{facts_of, kept};
    use ferry_record::cluster::facts;

    const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: apps}
spec:
  replicas: 2
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'workload:1'}]}}
status: {replicas: 2}
";

    #[test]
    fn a_deployment_that_is_not_ready_has_no_ready_replicas() {
        let facts = facts_of(DEPLOYMENT);
        insta::assert_snapshot!(facts, @r"
        images: workload:1
        ready: 0
        replicas: 2
        template: 4c5f31a4a96c8a15
        ");
    }

    #[test]
    fn scaling_changes_the_spec_and_not_the_template() {
        let [two, three] = [DEPLOYMENT.to_owned(), DEPLOYMENT.replace("replicas: 2", "replicas: 3")].map(|y| kept(&y));
        assert_eq!(two.facts[facts::TEMPLATE], three.facts[facts::TEMPLATE]);
        assert_ne!(two.facts[facts::SPEC], three.facts[facts::SPEC]);
        let other = kept(&DEPLOYMENT.replace("workload:1", "workload:2"));
        assert_ne!(two.facts[facts::TEMPLATE], other.facts[facts::TEMPLATE]);
    }

    #[test]
    fn a_daemon_set_counts_nodes() {
        let facts = facts_of(
            "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: ferry-lab}
spec: {template: {spec: {containers: [{name: agent, image: 'agent:1'}]}}}
status: {desiredNumberScheduled: 3, numberReady: 2}
",
        );
        assert!(facts.contains("ready: 2\nreplicas: 3"), "{facts}");
    }

    #[test]
    fn a_replica_set_says_which_template_it_is_of() {
        let facts = facts_of(
            "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-5d8f7c, namespace: apps, labels: {pod-template-hash: 5d8f7c}}
spec: {replicas: 0, template: {}}
status: {replicas: 0}
",
        );
        assert!(facts.contains("ready: 0\nreplicas: 0") && facts.contains("template-hash: 5d8f7c"), "{facts}");
    }
}

//! What leads to pods: Services and their EndpointSlices.

use std::collections::BTreeSet;

use ferry_record::cluster::facts;
use kube::api::DynamicObject;

use super::{Facts, each};

pub(super) fn service(service: &DynamicObject, found: &mut Facts) {
    found.text(facts::CLUSTER_IP, &service.data, "/spec/clusterIP");
    found.hash(facts::SELECTOR, service.data.pointer("/spec/selector"));
}

pub(super) fn endpoint_slice(slice: &DynamicObject, found: &mut Facts) {
    // Absent means ready, as old API servers knew no conditions. Sorted: their order means nothing.
    let ready = each(&slice.data, "/endpoints").filter(|e| e.pointer("/conditions/ready") != Some(&false.into()));
    let addresses: BTreeSet<&str> = ready.flat_map(|e| each(e, "/addresses")).filter_map(|a| a.as_str()).collect();
    found.list(facts::READY_ADDRESSES, addresses);
    let labels = slice.metadata.labels.as_ref();
    found.set(facts::SERVICE, labels.and_then(|labels| labels.get("kubernetes.io/service-name")).cloned());
}

#[cfg(test)]
mod tests {
    use super::super::testing::{facts_of, kept};
    use ferry_record::cluster::facts;
    use rstest::rstest;

    #[test]
    fn a_service() {
        let yaml = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: apps}
spec: {clusterIP: 10.96.12.7, selector: {app: web}, ports: [{port: 80}]}
";
        let [one, other] = [yaml.to_owned(), yaml.replace("app: web", "app: nobody")].map(|yaml| kept(&yaml).facts);
        assert_eq!(one[facts::CLUSTER_IP], "10.96.12.7");
        assert_ne!(one[facts::SELECTOR], other[facts::SELECTOR]);
    }

    #[rstest]
    #[case::some(
        "[{addresses: [10.244.0.9], conditions: {ready: true}}, {addresses: [10.244.0.7], conditions: {}},
          {addresses: [10.244.0.8], conditions: {ready: false, terminating: true}}]",
        "ready-addresses: 10.244.0.7,10.244.0.9\nservice: web"
    )]
    #[case::none("[]", "service: web")]
    #[case::null("null", "service: web")]
    fn an_endpoint_slice(#[case] endpoints: &str, #[case] expected: &str) {
        let facts = facts_of(&format!(
            "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-abc, namespace: apps, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: {endpoints}
"
        ));
        assert_eq!(facts, expected);
    }
}

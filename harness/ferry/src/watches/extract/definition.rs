//! CustomResourceDefinitions: what they define, and in which versions objects are stored.

use ferry_record::cluster::facts;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Facts, each};

pub(super) fn extract(definition: &DynamicObject, found: &mut Facts) {
    let data = &definition.data;
    found.list(facts::STORED_VERSIONS, each(data, "/status/storedVersions").filter_map(Value::as_str));
    let served = each(data, "/spec/versions").filter(|version| version["served"] == true);
    found.list(facts::SERVED_VERSIONS, served.filter_map(|version| version["name"].as_str()));
    let kind = data.pointer("/spec/names/kind").and_then(Value::as_str);
    found.set(facts::DEFINES, kind.map(str::to_lowercase));
}

#[cfg(test)]
mod tests {
    use super::super::testing::facts_of;

    #[test]
    fn a_definition_with_an_old_version() {
        let facts = facts_of(
            "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gitrepositories.source.toolkit.fluxcd.io}
spec:
  group: source.toolkit.fluxcd.io
  names: {kind: GitRepository, plural: gitrepositories}
  versions:
  - {name: v1, served: true, storage: true}
  - {name: v1beta2, served: true, storage: false}
  - {name: v1beta1, served: false, storage: false}
status: {storedVersions: [v1beta2, v1]}
",
        );
        insta::assert_snapshot!(facts, @r"
        defines: gitrepository
        served-versions: v1,v1beta2
        stored-versions: v1beta2,v1
        ");
    }
}

//! From a CustomResourceDefinition as the record keeps it to the resource that is to be watched.

use ferry_record::cluster::{ObjectSeen, facts};
use kube::api::ApiResource;
use kube::core::Version;

use super::scope;

/// What a definition's name in the record begins with.
const KIND: &str = "customresourcedefinition/";

/// The name of the resource that an object of the record defines, e.g. `kustomizations.kustomize.toolkit.fluxcd.io`.
pub fn defined(object: &str) -> Option<&str> {
    object.strip_prefix(KIND)
}

/// The resource that a definition makes the API server serve; none while it is not established.
///
/// In its preferred version, as kubectl would ask for it: one that is served, stable before beta, new before old.
pub fn served(definition: &ObjectSeen) -> Option<ApiResource> {
    let established = definition.conditions.iter().any(|c| c.kind == "Established" && c.status == "True");
    let (plural, group) = defined(&definition.object)?.split_once('.')?;
    let versions = definition.facts.get(facts::SERVED_VERSIONS)?.split(',');
    let version = versions.max_by_key(|version| Version::parse(version).priority())?;
    let kind = definition.facts.get(facts::DEFINES)?;
    established.then(|| scope::resource(group, version, kind, plural))
}

#[cfg(test)]
mod tests {
    use super::super::extract::testing::kept;
    use super::*;
    use rstest::rstest;

    fn definition(versions: &str, established: &str) -> ObjectSeen {
        kept(&format!(
            "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: helmreleases.helm.toolkit.fluxcd.io}}
spec: {{group: helm.toolkit.fluxcd.io, names: {{kind: HelmRelease, plural: helmreleases}}, versions: [{versions}]}}
status: {{conditions: [{{type: NamesAccepted, status: 'True'}}, {{type: Established, status: '{established}'}}]}}
"
        ))
    }

    #[rstest]
    #[case::one("{name: v2, served: true}", Some("v2"))]
    #[case::stable(
        "{name: v2beta2, served: true}, {name: v2, served: true}, {name: v2beta1, served: true}",
        Some("v2")
    )]
    #[case::beta(
        "{name: v2beta1, served: true}, {name: v2beta2, served: true}, {name: v2, served: false}",
        Some("v2beta2")
    )]
    #[case::none("{name: v2, served: false}", None)]
    fn is_asked_for_in_its_preferred_version(#[case] versions: &str, #[case] expected: Option<&str>) {
        let resource = served(&definition(versions, "True"));
        assert_eq!(resource.as_ref().map(|r| r.version.as_str()), expected);
        if let Some(resource) = resource {
            assert_eq!(resource.api_version, format!("helm.toolkit.fluxcd.io/{}", resource.version));
            assert_eq!((resource.kind.as_str(), resource.plural.as_str()), ("helmrelease", "helmreleases"));
        }
    }

    #[test]
    fn is_not_asked_for_before_it_is_established() {
        assert_eq!(served(&definition("{name: v2, served: true}", "False")), None);
    }

    #[test]
    fn other_objects_define_nothing() {
        assert_eq!(served(&kept("{apiVersion: v1, kind: Namespace, metadata: {name: apps}}")), None);
    }
}

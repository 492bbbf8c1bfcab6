//! A FluxInstance that would not take over what bootstrap has left, or not the same twice.

use super::examples::{INSTANCE, TAKE_OVER, instance};
use crate::lint::fleet::Manifest;
use crate::lint::{Course, Findings, Rule, ScenarioRule};
use crate::model::Component;
use crate::steps::{Bootstrap, Step};
use crate::text::Version;

/// The file that most examples change.
const FILE: &str = "example-area/instance.yaml";

/// What the cluster was bootstrapped with, if it was.
pub(super) fn bootstrap<'a>(course: &Course<'a>) -> Option<&'a Bootstrap> {
    course.forward().into_iter().find_map(|stop| match &stop.step.value {
        Step::Bootstrap(bootstrap) => Some(bootstrap),
        _ => None,
    })
}

pub const NAME: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F303",
        name: "instance-name",
        explain: "The API server accepts no FluxInstance but one named `flux`. Its controllers come into its own namespace: in any \
                  other than flux-system there would be a second Flux beside the bootstrapped one.",
        failing: TAKE_OVER,
        failing_files: &[(
            FILE,
            "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {name: main, namespace: flux-system}\n",
        )],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        for instance in findings.instances() {
            let wrong = [("metadata.name", "flux", "name"), ("metadata.namespace", "flux-system", "namespace")];
            for (path, right, what) in wrong {
                let written = instance.text(path);
                if written != Some(right) {
                    let message = match written {
                        Some(written) => format!("the FluxInstance's {what} is `{written}`"),
                        None => format!("the FluxInstance has no {what}"),
                    };
                    findings.report_in(
                        &NAME.rule,
                        instance.source(),
                        instance.span(path),
                        message,
                        format!("write `{what}: {right}`"),
                    );
                }
            }
        }
    },
};

pub const COMPONENTS: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F304",
        name: "omitted-component",
        explain: "A bootstrapped controller that the FluxInstance leaves out is never adopted: it keeps its owner labels, and the \
                  clean-up in git prunes its Deployment and its CRDs, and with those every object of their kinds.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("components: [source-controller, kustomize-controller, helm-controller]"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let scenario = findings.scenario();
        each_instance(findings, |findings, instance, bootstrap| {
            let listed: Vec<&str> = match instance.at("spec.components") {
                Some(list) => list.items().iter().filter_map(|c| c.text()).collect(),
                None => Component::DEFAULTS.iter().map(|c| c.as_str()).collect(),
            };
            for component in bootstrap.components(scenario).iter().filter(|c| !listed.contains(&c.as_str())) {
                findings.report_in(
                    &COMPONENTS.rule,
                    instance.source(),
                    instance.span("spec.components"),
                    format!("{component} was bootstrapped, and is not among the FluxInstance's components: its CRDs would be pruned"),
                    format!("add `{component}` to `components`"),
                );
            }
        });
    },
};

pub const DOWNGRADE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F309",
        name: "downgrade",
        explain: "The operator refuses downgrades, but it only knows what it has installed itself: on the first FluxInstance nothing \
                  stops a Flux older than the bootstrapped one, whose CRDs may not know the objects that are there.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("distribution: {version: 2.8.x}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let (scenario, path) = (findings.scenario(), "spec.distribution.version");
        each_instance(findings, |findings, instance, bootstrap| {
            let before = bootstrap.version(scenario);
            let Some(after) = instance.scalar(path).filter(|after| is_older(after, before)) else { return };
            let message = format!("the FluxInstance would take Flux from {before} back to {after}");
            let help = format!("write {before} or a later version");
            findings.report_in(&DOWNGRADE.rule, instance.source(), instance.span(path), message, help);
        });
    },
};

/// Whether a version, or every version that a range such as `2.8.x` can mean, is older.
fn is_older(version: &str, than: &Version) -> bool {
    let than = than.get();
    if let Ok(version) = semver::Version::parse(version.trim_start_matches('v')) {
        return version < *than;
    }
    let bare = version.trim_start_matches(['v', '~', '^', '=']);
    let is_caret = version.starts_with('^');
    let numbers: Vec<u64> = bare.split('.').map_while(|part| part.parse().ok()).collect();
    match numbers[..] {
        [major] => major < than.major,
        [major, _, ..] if is_caret => major < than.major,
        [major, minor, ..] => (major, minor) < (than.major, than.minor),
        [] => false,
    }
}

pub const FLOATING: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F310",
        name: "floating-version",
        explain: "A range means another Flux tomorrow, without any change of the scenario: a run must be repeatable.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("distribution: {version: 2.x}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let path = "spec.distribution.version";
        for instance in findings.instances() {
            let version = instance.scalar(path);
            if version.is_some_and(|version| semver::Version::parse(version.trim_start_matches('v')).is_ok()) {
                continue;
            }
            let message = match version {
                Some(version) => format!("`{version}` can be another Flux in every run"),
                None => "the FluxInstance does not say which Flux".into(),
            };
            let help = "write an exact version, such as `version: 2.9.4`";
            findings.report_in(&FLOATING.rule, instance.source(), instance.span(path), message, help);
        }
    },
};

pub const ARTIFACT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F311",
        name: "floating-artifact",
        explain: "`distribution.artifact` is fetched again every ten minutes. Behind a tag it changes on its own: pinned instances \
                  have broken by it without any change of their users'.",
        failing: TAKE_OVER,
        failing_files: &[(
            FILE,
            instance!(
                "distribution: {version: 2.9.4, artifact: \"oci://ghcr.io/controlplaneio-fluxcd/flux-operator-manifests:latest\"}"
            ),
        )],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let path = "spec.distribution.artifact";
        for instance in findings.instances() {
            let Some(artifact) = instance.text(path).filter(|artifact| !artifact.contains("@sha256:")) else {
                continue;
            };
            let message = format!("the artifact {artifact} can change in the middle of a run");
            let help = "pin it by its digest (`…@sha256:…`), or leave `artifact` out for the manifests that the operator carries";
            findings.report_in(&ARTIFACT.rule, instance.source(), instance.span(path), message, help);
        }
    },
};

pub const REGISTRY: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F317",
        name: "instance-registry",
        explain: "The lab has Flux' images in its own registry, as `flux bootstrap --registry` takes them from there. From any other \
                  they would be pulled over the network in the middle of the run.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("distribution: {version: 2.9.4, registry: ghcr.io/fluxcd}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let path = "spec.distribution.registry";
        for instance in findings.instances() {
            let registry = instance.text(path).unwrap_or_default();
            if !registry.starts_with("registry.ferry:5000/") {
                let message = match registry {
                    "" => "the FluxInstance names no registry".to_owned(),
                    registry => format!("the images would come from {registry}, which is not in the lab"),
                };
                let help = "write `registry: registry.ferry:5000/fluxcd`";
                findings.report_in(&REGISTRY.rule, instance.source(), instance.span(path), message, help);
            }
        }
    },
};

pub const PATCH_TARGET: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F327",
        name: "patch-target",
        explain: "A JSON patch (`- op: …`) does not say what it changes. Without a `target` the build fails, and the FluxInstance \
                  stalls.",
        failing: TAKE_OVER,
        failing_files: &[(
            FILE,
            instance!("kustomize: {patches: [{patch: \"- {op: remove, path: /spec/replicas}\"}]}"),
        )],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        for instance in findings.instances() {
            for patch in instance.items("spec.kustomize.patches") {
                let is_json =
                    patch.get("patch").and_then(|p| p.text()).is_some_and(|p| p.trim_start().starts_with(['-', '[']));
                if is_json && patch.get("target").is_none() {
                    findings.report_in(
                        &PATCH_TARGET.rule,
                        instance.source(),
                        patch.span,
                        "the JSON patch has no target",
                        "add `target: {kind: Deployment}`, or what else it is for",
                    );
                }
            }
        }
    },
};

pub const WORKLOAD_IDENTITY: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F328",
        name: "workload-identity",
        explain: "The API server rejects `multitenantWorkloadIdentity` without `objectLevelWorkloadIdentity`.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("cluster: {multitenant: true, multitenantWorkloadIdentity: true}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        for instance in findings.instances() {
            let path = "spec.cluster.multitenantWorkloadIdentity";
            if instance.is_true(path) && !instance.is_true("spec.cluster.objectLevelWorkloadIdentity") {
                findings.report_in(
                    &WORKLOAD_IDENTITY.rule,
                    instance.source(),
                    instance.span(path),
                    "multitenantWorkloadIdentity needs objectLevelWorkloadIdentity",
                    "add `objectLevelWorkloadIdentity: true`",
                );
            }
        }
    },
};

pub const STORAGE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F335",
        name: "shard-storage",
        explain: "The API server rejects shards with persistent storage where the FluxInstance does not say which storage.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("sharding: {shards: [shard1], storage: persistent}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        for instance in findings.instances() {
            let path = "spec.sharding.storage";
            if instance.text(path) == Some("persistent") && instance.at("spec.storage").is_none() {
                let message = "persistent shards need `spec.storage`";
                let help = "add `storage: {class: standard, size: 1Gi}`";
                findings.report_in(&STORAGE.rule, instance.source(), instance.span(path), message, help);
            }
        }
    },
};

/// For rules about what a FluxInstance and the bootstrap of its cluster have in common.
pub(super) fn each_instance(
    findings: &mut Findings<'_>,
    mut check: impl FnMut(&mut Findings<'_>, &Manifest, &Bootstrap),
) {
    for course in findings.course().of_each_cluster() {
        let Some(bootstrap) = bootstrap(&course) else { continue };
        for instance in findings.instances_in(&course) {
            check(findings, &instance, bootstrap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("2.9.1", true)]
    #[case("2.9.2", false)]
    #[case("2.9.4", false)]
    #[case("v2.8.0", true)]
    #[case("2.8.x", true)]
    #[case("~2.8.3", true)]
    #[case("2.9.x", false)]
    #[case("2.x", false)]
    #[case("^2.2.0", false)]
    #[case("1.x", true)]
    #[case("*", false)]
    #[case("", false)]
    fn older_versions(#[case] version: &str, #[case] older: bool) {
        assert_eq!(is_older(version, &"2.9.2".parse().unwrap()), older);
    }
}

//! What the lab cannot provide. Without a list of what it can there is nothing to say.

use std::collections::BTreeSet;

use super::examples::{INSTANCE, TAKE_OVER, instance};
use crate::lint::{Rule, ScenarioRule};
use crate::names;
use crate::steps::Step;

pub const RELEASE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F132",
        name: "unknown-release",
        explain: "A run uses pinned images and tools only. A release that is not in the bundle cannot be had in the middle of a run.",
        failing: "flux: {version: 2.9.1}",
        passing: "flux: {version: 2.9.2}",
        ..Rule::ERROR
    },
    check: |findings| {
        let (Some(known), scenario) = (findings.known(), findings.scenario()) else { return };
        let mut flux = vec![&scenario.flux.version];
        let mut operator: Vec<_> = scenario.operator.iter().map(|o| &o.version).collect();
        let mut components: Vec<_> = scenario.flux.components.iter().collect();
        for step in scenario.steps() {
            match &step.value {
                Step::Bootstrap(bootstrap) => {
                    flux.extend(&bootstrap.version);
                    components.extend(bootstrap.components.iter().flatten());
                }
                Step::InstallOperator(install) => operator.extend(&install.version),
                _ => {}
            }
        }
        let versions = flux.iter().map(|v| ("Flux", *v, &known.flux));
        for (what, version, all) in versions.chain(operator.iter().map(|v| ("Flux Operator", *v, &known.operator))) {
            if !all.contains(&version.to_string()) {
                let message = format!("{what} {version} is not in the bundle");
                findings.report(&RELEASE.rule, version.span, message, has(all));
            }
        }
        for component in components.into_iter().filter(|c| !known.components.contains(c.as_str())) {
            let message = format!("{component} is not in the bundle");
            findings.report(&RELEASE.rule, component.span, message, has(&known.components));
        }
    },
};

pub const INSTANCE_RELEASE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F318",
        name: "instance-release",
        explain: "The FluxInstance asks for a release or a controller whose images are not in the bundle: its pods would wait for \
                  images that nobody has.",
        failing: TAKE_OVER,
        failing_files: &[("example-area/instance.yaml", instance!("distribution: {version: 2.9.1}"))],
        passing: TAKE_OVER,
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let Some(known) = findings.known() else { return };
        for instance in findings.instances() {
            let path = "spec.distribution.version";
            let version = instance.scalar(path).unwrap_or_default();
            let is_exact = semver::Version::parse(version).is_ok();
            if is_exact && !known.flux.contains(version) {
                let message = format!("Flux {version} is not in the bundle");
                findings.report_in(
                    &INSTANCE_RELEASE.rule,
                    instance.source(),
                    instance.span(path),
                    message,
                    has(&known.flux),
                );
            }
            for component in instance.items("spec.components") {
                let Some(name) = component.text().filter(|name| !known.components.contains(*name)) else { continue };
                let message = format!("{name} is not in the bundle");
                let help = match names::nearest(name, known.components.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? {}", has(&known.components)),
                    None => has(&known.components),
                };
                findings.report_in(&INSTANCE_RELEASE.rule, instance.source(), component.span, message, help);
            }
        }
    },
};

pub const IMAGE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F319",
        name: "unknown-image",
        explain: "An image that is not in the bundle is pulled in the middle of the run, from a registry that may not answer: then \
                  the workload never comes up, and the run says nothing of the migration.",
        failing_files: &[(
            "fleets/web/apps/web/pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: other}\nspec:\n  containers:\n    - {name: other, image: nginx}\n",
        )],
        passing_files: &[(
            "fleets/web/apps/web/pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: other}\nspec:\n  containers:\n    - {name: other, image: \"ferry.local/workload:dev\"}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        let Some(known) = findings.known() else { return };
        for manifest in findings.manifests() {
            for image in manifest.images() {
                let Some(name) = image.text().filter(|name| !known.images.contains(*name)) else { continue };
                findings.report_in(
                    &IMAGE.rule,
                    manifest.source(),
                    image.span,
                    format!("the image {name} is not in the bundle"),
                    "use the demo workload's image, `ferry.local/workload:dev`, or add the image to the bundle",
                );
            }
        }
    },
};

fn has(known: &BTreeSet<String>) -> String {
    let known: Vec<&String> = known.iter().collect();
    format!("the bundle has {}", names::list(&known))
}

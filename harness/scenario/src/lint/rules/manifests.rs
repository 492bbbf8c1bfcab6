//! Objects that the cluster would not take, or that would lead nowhere.

use super::examples::{INSTANCE, TAKE_OVER};
use super::files::is_committed;
use super::instance::bootstrap;
use crate::folders;
use crate::lint::course::normal;
use crate::lint::fleet::{Manifest, joined, read_manifests};
use crate::lint::{Findings, Rule, ScenarioRule};
use crate::names;
use crate::probes::Probe;
use crate::span::Source;
use crate::steps::{Manifests, Step};

const MORE: &str = "fleets/web/clusters/test/more.yaml";

pub const MALFORMED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F301",
        name: "malformed-manifest",
        explain: "A file of the fleet is not YAML: Flux would stop at it. Templates that ferry renders end in `.j2`.",
        failing_files: &[(MORE, "kind: ConfigMap\n  data: {}\n")],
        passing_files: &[(MORE, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")],
        ..Rule::WARNING
    },
    check: |findings| {
        for broken in findings.fleet().broken() {
            let help = broken.help.clone().unwrap_or_default();
            findings.report_in(&MALFORMED.rule, &broken.source, broken.span, broken.message.clone(), help);
        }
    },
};

pub const APPLIED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F302",
        name: "applied-file",
        explain: "What a step applies must be objects: a file that is not YAML, or that has none, would fail in the middle of the run.",
        failing: "- apply: {file: broken.yaml}",
        failing_files: &[("example-area/broken.yaml", "kind: [\n")],
        passing: "- apply: {file: namespace.yaml}\n- sleep: {for: 1s, reason: soak}",
        passing_files: &[("example-area/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: more}\n")],
        ..Rule::ERROR
    },
    check: |findings| {
        let (scenario, files) = (findings.scenario(), findings.files());
        for step in scenario.steps() {
            let Step::Apply(apply) = &step.value else { continue };
            let Manifests::File(file) = &apply.manifests else { continue };
            let Some(path) = folders::locate(scenario, file, files) else { continue };
            let Some(text) = files.read(&path) else { continue };
            let source = Source::new(&files.shown(&path), &text);
            let help = "an object needs `apiVersion`, `kind` and `metadata.name`, each a text";
            match read_manifests(&path, &source) {
                Err(broken) => {
                    let help = broken.help.clone().unwrap_or_default();
                    findings.report_in(&APPLIED.rule, &source, broken.span, broken.message, help);
                }
                Ok(all) if all.is_empty() => {
                    findings.report(&APPLIED.rule, file.span, format!("`{file}` has no object"), help);
                }
                Ok(all) => {
                    for manifest in all.iter().filter(|m| m.text("apiVersion").is_none() || m.name().is_empty()) {
                        let message = format!("this {} has no `apiVersion` or no `metadata.name`", manifest.kind());
                        findings.report_in(&APPLIED.rule, &source, manifest.span("kind"), message, help);
                    }
                }
            }
        }
    },
};

pub const REMOVED_API: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F324",
        name: "removed-api",
        explain: "Flux 2.7 no longer serves v1beta1 and v2beta1, Flux 2.8 no v1beta2 and v2beta2 (2.9 for images): the objects are \
                  rejected, and those in the cluster cannot be converted (`request to convert CR to an invalid group/version`).",
        failing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1beta2\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\n",
        )],
        passing_files: &[(
            MORE,
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: more, namespace: flux-system}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        let (course, scenario) = (findings.course(), findings.scenario());
        let taken_over = findings.instances();
        let versions =
            taken_over.iter().filter_map(|i| semver::Version::parse(i.scalar("spec.distribution.version")?).ok());
        let before = bootstrap(&course).map(|b| b.version(scenario).get().clone());
        let Some(flux) = versions.chain(before).max() else { return };
        for manifest in findings.manifests() {
            let Some((group, version)) = manifest.text("apiVersion").and_then(|v| v.split_once('/')) else { continue };
            let Some(flux_group) = group.strip_suffix(".toolkit.fluxcd.io") else { continue };
            let removed_in = match version {
                "v1beta1" | "v2beta1" => 7,
                "v1beta2" | "v2beta2" if flux_group == "image" => 9,
                "v1beta2" | "v2beta2" => 8,
                _ => continue,
            };
            if (flux.major, flux.minor) < (2, removed_in) {
                continue;
            }
            let now = match (flux_group, manifest.kind()) {
                ("helm", _) => "v2",
                ("notification", "Alert" | "Provider") => "v1beta3",
                _ => "v1",
            };
            findings.report_in(
                &REMOVED_API.rule,
                manifest.source(),
                manifest.span("apiVersion"),
                format!("Flux {flux} does not serve {group}/{version}: it went away in 2.{removed_in}"),
                format!("write `apiVersion: {group}/{now}`"),
            );
        }
    },
};

pub const CANARY: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F325",
        name: "unproven-policy",
        explain: "Some clusters accept a NetworkPolicy and enforce nothing: then whatever a scenario shows with one, it shows without. \
                  Only a canary that the policy must block proves that it is enforced.",
        failing_files: &[(
            "fleets/web/apps/web/policy.yaml",
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\n",
        )],
        passing_files: &[(
            "fleets/web/apps/web/policy.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: no-policy}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        if findings.scenario().probes.iter().any(|probe| matches!(probe.value, Probe::Canary(_))) {
            return;
        }
        for policy in findings.manifests().iter().filter(|m| m.is("networking.k8s.io", "NetworkPolicy")) {
            findings.report_in(
                &CANARY.rule,
                policy.source(),
                policy.span("kind"),
                format!("nothing proves that {} is enforced", policy.title()),
                "add a `canary` probe of what the policy lets through and what it must block, or allow this with a reason",
            );
        }
    },
};

pub const TOO_EARLY: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F326",
        name: "operator-object-in-sync",
        explain: "Flux applies everything below its path in one go: one object of a kind that the cluster does not know yet makes the \
                  whole sync fail its dry run, the workloads with it.",
        failing_files: &[(MORE, INSTANCE)],
        passing: TAKE_OVER,
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let (course, fleet) = (findings.course(), findings.fleet());
        let bootstraps =
            course.of_each_cluster().iter().filter_map(bootstrap).map(|b| b.path.to_string()).collect::<Vec<_>>();
        for manifest in fleet.synced(&bootstraps).iter().filter(|m| m.group() == "fluxcd.controlplane.io") {
            findings.report_in(
                &TOO_EARLY.rule,
                manifest.source(),
                manifest.span("kind"),
                format!("{} is synced before the operator is installed: its kind does not exist yet", manifest.title()),
                "keep it outside of the synced folders, and commit it after the take-over",
            );
        }
    },
};

pub const MISSING_RESOURCE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F329",
        name: "missing-resource",
        explain: "A kustomization that names a file which is not there does not build, and nothing of it is applied.",
        failing_files: &[(
            "fleets/web/apps/web/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [deploymnet.yaml]\n",
        )],
        passing_files: &[(
            "fleets/web/apps/web/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [deployment.yaml]\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        let fleet = findings.fleet();
        for manifest in fleet.manifests() {
            let Some(file) = fleet.inside(manifest) else { continue };
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            for (resource, span) in manifest.resources() {
                let Some(path) = joined(folder, resource) else { continue };
                // Bootstrap writes these two.
                let is_bootstraps = ["gotk-components.yaml", "gotk-sync.yaml"].contains(&resource);
                let is_rendered = fleet.has_file(&format!("{path}.j2"));
                if !is_bootstraps && !is_rendered && !fleet.has_file(&path) && !fleet.has_folder(&path) {
                    findings.report_in(
                        &MISSING_RESOURCE.rule,
                        manifest.source(),
                        span,
                        format!("the fleet has no `{path}`"),
                        "check the name, or add the file",
                    );
                }
            }
        }
    },
};

pub const SYNC_FOLDER: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F330",
        name: "missing-folder",
        explain: "A Kustomization whose path does not exist is never ready: `kustomization path not found`.",
        failing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/wbe, sourceRef: {kind: GitRepository, name: flux-system}}\n",
        )],
        passing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        let fleet = findings.fleet();
        for manifest in kustomizations(findings) {
            let follows_fleet = manifest.text("spec.sourceRef.kind") == Some("GitRepository")
                && manifest.text("spec.sourceRef.name") == Some("flux-system");
            let Some(path) = manifest.text("spec.path").map(normal) else { continue };
            if follows_fleet && !fleet.has_folder(&path) && !is_committed(&path, findings) {
                findings.report_in(
                    &SYNC_FOLDER.rule,
                    manifest.source(),
                    manifest.span("spec.path"),
                    format!("the fleet has no folder `{path}`"),
                    "name a folder of the fleet, by its path from the fleet's folder",
                );
            }
        }
    },
};

fn kustomizations(findings: &Findings<'_>) -> Vec<std::rc::Rc<Manifest>> {
    let all = findings.manifests().into_iter();
    all.filter(|m| m.is("kustomize.toolkit.fluxcd.io", "Kustomization")).collect()
}

pub const UNKNOWN_SOURCE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F331",
        name: "unknown-source",
        explain: "A Kustomization that follows a source which nobody makes waits forever: `Source artifact not found`.",
        failing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-sytem}}\n",
        )],
        passing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        if findings.fleet().is_generated() {
            return;
        }
        let manifests = findings.manifests();
        let instances = findings.instances();
        for manifest in kustomizations(findings) {
            let (Some(kind), Some(name)) = (manifest.text("spec.sourceRef.kind"), manifest.text("spec.sourceRef.name"))
            else {
                continue;
            };
            let by_bootstrap = (kind, name) == ("GitRepository", "flux-system");
            let by_instance = instances.iter().any(|i| {
                i.text("spec.sync.kind") == Some(kind) && name == i.text("spec.sync.name").unwrap_or("flux-system")
            });
            if !by_bootstrap && !by_instance && !manifests.iter().any(|m| m.kind() == kind && m.name() == name) {
                let sources = manifests.iter().filter(|m| m.kind() == kind).map(|m| m.name()).chain(["flux-system"]);
                let near =
                    names::nearest(name, sources).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                findings.report_in(
                    &UNKNOWN_SOURCE.rule,
                    manifest.source(),
                    manifest.span("spec.sourceRef.name"),
                    format!("nothing makes a {kind} `{name}`{near}"),
                    "name a source of the fleet, or bootstrap's GitRepository `flux-system`",
                );
            }
        }
    },
};

pub const UNKNOWN_DEPENDENCY: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F332",
        name: "unknown-dependency",
        explain: "A Kustomization that depends on one which nobody makes is never applied: `dependency … not found`.",
        failing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}, dependsOn: [{name: aps}]}\n",
        )],
        passing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}, dependsOn: [{name: apps}]}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        if findings.fleet().is_generated() {
            return;
        }
        let all = kustomizations(findings);
        let known = || all.iter().map(|m| m.name()).chain(["flux-system"]);
        for manifest in &all {
            for dependency in manifest.items("spec.dependsOn").iter().filter_map(|d| d.get("name")) {
                let Some(name) = dependency.text().filter(|name| !known().any(|other| other == *name)) else {
                    continue;
                };
                let near =
                    names::nearest(name, known()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                findings.report_in(
                    &UNKNOWN_DEPENDENCY.rule,
                    manifest.source(),
                    dependency.span,
                    format!("nothing makes a Kustomization `{name}`{near}"),
                    "name a Kustomization of the fleet",
                );
            }
        }
    },
};

pub const LATE_RETRY: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F334",
        name: "late-retry",
        explain: "A Kustomization that fails once, because something is not there yet, tries again after its `retryInterval`, or its \
                  `interval` where it has none. When that is longer than any wait, the wait fails and not the migration.",
        failing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {interval: 1h, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}}\n",
        )],
        passing_files: &[(
            MORE,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: more, namespace: flux-system}\nspec: {interval: 1h, retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        let longest = crate::deadlines::DeadlineName::Wait.default().0;
        for manifest in kustomizations(findings) {
            let path = if manifest.at("spec.retryInterval").is_some() { "spec.retryInterval" } else { "spec.interval" };
            let Some(interval) = manifest.text(path).and_then(|i| i.parse::<crate::text::HumanDuration>().ok()) else {
                continue;
            };
            if interval.get() > longest {
                findings.report_in(
                    &LATE_RETRY.rule,
                    manifest.source(),
                    manifest.span(path),
                    format!("{} would try again only after {interval}: longer than a wait lasts", manifest.title()),
                    "add `retryInterval: 10s`",
                );
            }
        }
    },
};

pub const ENCRYPTED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F308",
        name: "undecrypted",
        explain: "A file encrypted with SOPS is applied by a Kustomization without `decryption`: it fails, with everything beside it.",
        failing_files: &[(
            "fleets/web/apps/web/secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nsops: {version: 3.9.0}\n",
        )],
        passing_files: &[
            (
                "fleets/web/apps/web/secret.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nsops: {version: 3.9.0}\n",
            ),
            (
                "fleets/web/clusters/test/apps.yaml",
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, sourceRef: {kind: GitRepository, name: flux-system}, decryption: {provider: sops}}\n",
            ),
        ],
        ..Rule::WARNING
    },
    check: |findings| {
        let fleet = findings.fleet();
        let all = kustomizations(findings);
        for secret in findings.synced().iter().filter(|m| m.at("sops").is_some()) {
            let applies = |m: &&std::rc::Rc<Manifest>| {
                m.text("spec.path").is_some_and(|path| fleet.is_below(secret, &normal(path)))
            };
            // Below bootstrap's own path the sync applies it, whose patches are for other rules.
            let mut appliers = all.iter().filter(applies).peekable();
            if appliers.peek().is_some() && !appliers.any(|m| m.at("spec.decryption").is_some()) {
                findings.report_in(
                    &ENCRYPTED.rule,
                    secret.source(),
                    secret.span("sops"),
                    format!("{} is encrypted, and nothing that applies it has `decryption`", secret.title()),
                    "add `decryption: {provider: sops, …}` to the Kustomization",
                );
            }
        }
    },
};

//! A FluxInstance whose sync is not the bootstrapped one: what Flux applied before it would prune, or lose.

use super::examples::{INSTANCE, TAKE_OVER, instance};
use super::instance::each_instance;
use crate::lint::course::normal;
use crate::lint::{Rule, ScenarioRule};
use crate::steps::Transport;

/// The file that most examples change.
const FILE: &str = "example-area/instance.yaml";

/// Bootstrap's own kustomization, where owners put their patches.
const BOOTSTRAPPED: &str = "fleets/web/clusters/test/flux-system/kustomization.yaml";

pub const PATH: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F305",
        name: "sync-path",
        explain: "The operator's sync has the name of bootstrap's, whose inventory survives: with another path everything that was \
                  applied from the old one is pruned, workloads and all.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("sync: {kind: GitRepository, path: clusters/prod}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        each_instance(findings, |findings, instance, bootstrap| {
            let Some(path) = instance.text("spec.sync.path") else { return };
            if normal(path) != bootstrap.path.as_str() {
                findings.report_in(
                    &PATH.rule,
                    instance.source(),
                    instance.span("spec.sync.path"),
                    format!("the FluxInstance syncs `{path}`, but Flux was bootstrapped from `{}`: all of that would be pruned", bootstrap.path),
                    format!("write `path: {}`", bootstrap.path),
                );
            }
        });
    },
};

pub const PATCHES: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F306",
        name: "lost-patches",
        explain: "Patches beside bootstrap's manifests are how owners tune Flux. The FluxInstance does not know of them: what its \
                  own `spec.kustomize.patches` does not repeat is lost in the take-over.",
        failing: TAKE_OVER,
        failing_files: &[
            (FILE, instance!("distribution: {version: 2.9.4}")),
            (
                BOOTSTRAPPED,
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\npatches:\n  - target: {kind: Deployment}\n    patch: \"- {op: add, path: /spec/replicas, value: 2}\"\n",
            ),
        ],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let fleet = findings.fleet();
        each_instance(findings, |findings, instance, bootstrap| {
            let folder = format!("{}/flux-system", bootstrap.path);
            let own: Vec<String> = patches(instance.items("spec.kustomize.patches"));
            for kustomization in fleet.manifests().iter().filter(|m| fleet.is_below(m, &folder)) {
                for patch in kustomization.items("patches") {
                    let texts = patches(std::slice::from_ref(patch));
                    let lost = texts.iter().filter(|text| !is_decryption(text) && !own.contains(text)).count();
                    if lost > 0 {
                        findings.report_in(
                            &PATCHES.rule,
                            kustomization.source(),
                            patch.span,
                            "this patch of Flux is not in the FluxInstance: it would be lost",
                            format!("copy it to `spec.kustomize.patches` in {}", instance.source().name()),
                        );
                    }
                }
            }
        });
    },
};

/// The patches in a list, without differences in blanks.
fn patches(list: &[crate::parse::tree::Node]) -> Vec<String> {
    let texts = list.iter().filter_map(|patch| patch.get("patch")?.text());
    texts.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn is_decryption(patch: &str) -> bool {
    patch.contains("decryption")
}

pub const DECRYPTION: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F307",
        name: "lost-decryption",
        explain: "`decryption` on bootstrap's own sync is lost in the take-over unless the FluxInstance repeats it as a patch: then \
                  every encrypted Secret fails with `configuring decryption is required for this secret to be reconciled`.",
        failing: TAKE_OVER,
        failing_files: &[
            (FILE, instance!("distribution: {version: 2.9.4}")),
            (
                BOOTSTRAPPED,
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\npatches:\n  - target: {kind: Kustomization}\n    patch: \"- {op: add, path: /spec/decryption, value: {provider: sops}}\"\n",
            ),
        ],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let fleet = findings.fleet();
        each_instance(findings, |findings, instance, bootstrap| {
            if patches(instance.items("spec.kustomize.patches")).iter().any(|patch| is_decryption(patch)) {
                return;
            }
            let folder = format!("{}/flux-system", bootstrap.path);
            for manifest in fleet.manifests().iter().filter(|m| fleet.is_below(m, &folder)) {
                let by_patch = manifest
                    .items("patches")
                    .iter()
                    .find(|patch| patches(std::slice::from_ref(patch)).iter().any(|text| is_decryption(text)));
                let span = match by_patch {
                    Some(patch) => patch.span,
                    None if manifest.at("spec.decryption").is_some() => manifest.span("spec.decryption"),
                    None => continue,
                };
                findings.report_in(
                    &DECRYPTION.rule,
                    manifest.source(),
                    span,
                    "decryption of the sync is not in the FluxInstance: it would be lost",
                    format!(
                        "add a patch of the Kustomization `flux-system` to `spec.kustomize.patches` in {}",
                        instance.source().name()
                    ),
                );
            }
        });
    },
};

pub const NAME: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F312",
        name: "sync-name",
        explain: "Bootstrap calls its GitRepository and Kustomization `flux-system`. A sync of another name is a second one beside \
                  it: both apply the same objects, and deleting the old one deletes them.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("sync: {kind: GitRepository, name: fleet, path: clusters/test}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        each_instance(findings, |findings, instance, _| {
            let Some(name) = instance.text("spec.sync.name").filter(|name| *name != "flux-system") else { return };
            findings.report_in(
                &NAME.rule,
                instance.source(),
                instance.span("spec.sync.name"),
                format!("the sync is called `{name}`, bootstrap's is called `flux-system`"),
                "write `name: flux-system`, or leave it out",
            );
        });
    },
};

pub const KIND: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F313",
        name: "sync-kind",
        explain: "When the sync's source is no longer a GitRepository, the operator removes the old one. Kustomizations and \
                  HelmReleases that still follow it stand still from then on: they have to be switched first.",
        failing: TAKE_OVER,
        failing_files: &[(
            FILE,
            instance!("sync: {kind: OCIRepository, url: \"oci://registry.ferry:5000/fleet\", ref: latest, path: ./}"),
        )],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let synced = findings.synced();
        each_instance(findings, |findings, instance, _| {
            let Some(kind) = instance.text("spec.sync.kind").filter(|kind| *kind != "GitRepository") else { return };
            let follows = |path: &str| {
                synced.iter().find(|m| {
                    m.text(&format!("{path}.kind")) == Some("GitRepository")
                        && m.text(&format!("{path}.name")) == Some("flux-system")
                })
            };
            let Some(left) = ["spec.sourceRef", "spec.chart.spec.sourceRef"].into_iter().find_map(follows) else {
                return;
            };
            findings.report_in(
                &KIND.rule,
                instance.source(),
                instance.span("spec.sync.kind"),
                format!(
                    "the sync's source becomes {kind}, but {} still follows GitRepository `flux-system`, which goes away",
                    left.title()
                ),
                format!(
                    "let it follow {kind} `flux-system` first ({})",
                    left.source().place(left.span("spec.sourceRef"))
                ),
            );
        });
    },
};

pub const URL: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F314",
        name: "sync-url",
        explain: "The fleet's repository is on the lab's git server; bootstrap has stored the credentials for one way to it. Any other \
                  URL cannot be reached, or not with those.",
        failing: TAKE_OVER,
        failing_files: &[(
            FILE,
            instance!("sync: {kind: GitRepository, url: \"https://github.com/org/fleet\", path: clusters/test}"),
        )],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        each_instance(findings, |findings, instance, bootstrap| {
            if instance.text("spec.sync.kind") != Some("GitRepository") {
                return;
            }
            let right = match bootstrap.transport {
                Transport::Ssh => "ssh://git@git.ferry/srv/git/fleet.git",
                Transport::Http => "http://git.ferry/fleet.git",
            };
            let Some(url) = instance.text("spec.sync.url").filter(|url| *url != right) else { return };
            findings.report_in(
                &URL.rule,
                instance.source(),
                instance.span("spec.sync.url"),
                format!("{url} is not the repository that Flux was bootstrapped from"),
                format!("write `url: {right}`"),
            );
        });
    },
};

pub const REF: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F315",
        name: "sync-ref",
        explain: "The fleet is pushed to the branch main, and scenarios commit there. A sync of another ref never sees it.",
        failing: TAKE_OVER,
        failing_files: &[(FILE, instance!("sync: {kind: GitRepository, ref: refs/heads/master, path: clusters/test}"))],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        each_instance(findings, |findings, instance, _| {
            if instance.text("spec.sync.kind") != Some("GitRepository") {
                return;
            }
            let Some(name) = instance.text("spec.sync.ref").filter(|name| *name != "refs/heads/main") else { return };
            findings.report_in(
                &REF.rule,
                instance.source(),
                instance.span("spec.sync.ref"),
                format!("the fleet has no `{name}`"),
                "write `ref: refs/heads/main`",
            );
        });
    },
};

pub const SECRET: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F316",
        name: "pull-secret",
        explain: "Bootstrap keeps the repository's credentials in the Secret `flux-system`. A FluxInstance that does not name it \
                  cannot read the repository any more.",
        failing: TAKE_OVER,
        failing_files: &[(
            FILE,
            instance!(
                "sync: {kind: GitRepository, url: \"ssh://git@git.ferry/srv/git/fleet.git\", path: clusters/test}"
            ),
        )],
        passing: TAKE_OVER,
        passing_files: &[(FILE, INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        let others: Vec<String> =
            findings.manifests().iter().filter(|m| m.kind() == "Secret").map(|m| m.name().to_owned()).collect();
        each_instance(findings, |findings, instance, _| {
            if instance.text("spec.sync.kind") != Some("GitRepository") {
                return;
            }
            let message = match instance.text("spec.sync.pullSecret") {
                Some("flux-system") => return,
                Some(secret) if others.iter().any(|other| other == secret) => return,
                Some(secret) => format!("nothing makes a Secret `{secret}`: bootstrap's is called `flux-system`"),
                None => "the sync names no pullSecret: the repository cannot be read without one".into(),
            };
            let span = instance.span("spec.sync.pullSecret");
            findings.report_in(&SECRET.rule, instance.source(), span, message, "write `pullSecret: flux-system`");
        });
    },
};

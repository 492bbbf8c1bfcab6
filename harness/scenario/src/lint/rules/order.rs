//! Steps in an order that cannot work, or that works by luck.

use super::examples::{INSTANCE, TAKE_OVER};
use super::instance::bootstrap;
use super::workload::base;
use crate::lint::course::{Course, normal};
use crate::lint::{Findings, Rule, ScenarioRule, Stop};
use crate::steps::{Condition, Step, Wait};
use crate::text::ObjectRef;

const KUSTOMIZATION: &str = "fleets/web/clusters/test/apps.yaml";
const PRUNING: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}\n";
const ORPHANING: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, prune: true, deletionPolicy: Orphan, sourceRef: {kind: GitRepository, name: flux-system}}\n";

fn is_instance(object: &ObjectRef) -> bool {
    base(&object.kind) == "fluxinstance"
}

/// Checks the steps of each cluster as if there were no other: what is done in one has no part in the order of another.
fn in_each_cluster(findings: &mut Findings<'_>, check: impl Fn(&mut Findings<'_>, &Course<'_>)) {
    for course in findings.course().of_each_cluster() {
        check(findings, &course);
    }
}

/// Whether a step ends only when a FluxInstance is ready.
pub(super) fn proves_take_over(stop: &Stop<'_>) -> bool {
    match &stop.step.value {
        Step::Wait(Wait { until: Condition::Gone(_), .. }) => false,
        // However the condition is made up, it names what it is about.
        Step::Wait(wait) => wait.until.to_string().contains("fluxinstance"),
        _ => false,
    }
}

pub const TOO_SOON: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F209",
        name: "commit-before-flux",
        explain: "A commit is announced to Flux, and a revision arrives by Flux: before it is there, neither can be.",
        failing: "phases: [{phase: a, steps: [commit: {message: m, delete: [apps/web.yaml]}, wait: {revision: head}, bootstrap: {path: clusters/test}]}, {phase: b, steps: [sleep: {for: 1s, reason: x}]}]",
        passing: "phases: [{phase: a, steps: [bootstrap: {path: clusters/test}, commit: {message: m, delete: [apps/web.yaml]}, wait: {revision: head}]}, {phase: b, steps: [sleep: {for: 1s, reason: x}]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        in_each_cluster(findings, |findings, course| {
            for stop in course.forward().into_iter().filter(|stop| !stop.is_elsewhere) {
                let is_there = matches!(stop.step.value, Step::Bootstrap(_)) || stop.brings("FluxInstance");
                // Steps that bring Flux by other means are not known here.
                if is_there || ["flux", "exec"].contains(&stop.step.kind()) {
                    return;
                }
                if matches!(&stop.step.value, Step::Commit(_) | Step::Wait(Wait { until: Condition::Revision(_), .. }))
                {
                    let message = format!("`{}` needs Flux, which is not there yet", stop.step.kind());
                    findings.report(&TOO_SOON.rule, stop.step.span, message, "put it behind the `bootstrap`");
                }
            }
        });
    },
};

pub const UNAWAITED_COMMIT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F210",
        name: "unawaited-commit",
        explain: "A commit ends with its push. Without a wait Flux applies it whenever it comes to it: in another phase, under another \
                  budget, or after the last sample.",
        failing: "- commit: {message: m, delete: [apps/web.yaml]}\n- sleep: {for: 5s, reason: soak}",
        passing: "- commit: {message: m, delete: [apps/web.yaml]}\n- wait: {revision: head}",
        ..Rule::WARNING
    },
    check: |findings| {
        let course = findings.course();
        for (at, stop) in course.all().iter().enumerate() {
            if !matches!(stop.step.value, Step::Commit(_)) {
                continue;
            }
            let same = |other: &&Stop<'_>| (other.phase, other.is_rollback) == (stop.phase, stop.is_rollback);
            if !course.all()[at + 1..].iter().take_while(same).any(|later| later.looks()) {
                let message = "nothing in this phase waits for Flux to apply the commit";
                findings.report(
                    &UNAWAITED_COMMIT.rule,
                    stop.step.span,
                    message,
                    "add `- wait: {revision: head}` behind it",
                );
            }
        }
    },
};

pub const UNAWAITED_INSTANCE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F211",
        name: "unawaited-take-over",
        explain: "Applying a FluxInstance only asks for the take-over, which lasts most of a minute. A scenario that does not wait for \
                  it ends, or goes on, as if it had happened.",
        failing: "operator: {version: 0.59.0}\n- install-operator: {}\n- apply: {file: instance.yaml}\n- sleep: {for: 5s, reason: soak}",
        passing: TAKE_OVER,
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        in_each_cluster(findings, |findings, course| {
            let forward = course.forward();
            for (at, stop) in forward.iter().enumerate() {
                let awaits = |later: &&&Stop<'_>| {
                    // What else can look at an instance is not known here.
                    let is_other = later.looks()
                        && !matches!(
                            later.step.value,
                            Step::Wait(_) | Step::Assert(_) | Step::Delete(_) | Step::Rollout(_)
                        );
                    proves_take_over(later) || is_other
                };
                if matches!(stop.step.value, Step::Apply(_))
                    && stop.brings("FluxInstance")
                    && !forward[at + 1..].iter().any(|s| awaits(&s))
                {
                    let message = "nothing waits for the FluxInstance to be ready";
                    let help = "add `- wait: {ready: fluxinstance/flux-system/flux, within: 5m}`";
                    findings.report(&UNAWAITED_INSTANCE.rule, stop.step.span, message, help);
                }
            }
        });
    },
};

pub const NO_OPERATOR: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F212",
        name: "instance-before-operator",
        explain: "The operator brings the kind FluxInstance: before it is installed the API server knows no such thing.",
        failing: "- apply: {file: instance.yaml}\n- wait: {ready: fluxinstance/flux-system/flux}",
        passing: TAKE_OVER,
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        in_each_cluster(findings, |findings, course| {
            if findings.synced().iter().any(|m| ["HelmRelease", "ResourceSet"].contains(&m.kind())) {
                return;
            }
            for stop in course.forward() {
                // Flux itself, or a command, may bring the operator as well.
                if ["install-operator", "flux", "exec"].contains(&stop.step.kind()) || stop.brings("HelmRelease") {
                    return;
                }
                if matches!(stop.step.value, Step::Apply(_)) && stop.brings("FluxInstance") {
                    let message =
                        "the FluxInstance is applied before the operator is installed: its kind does not exist yet";
                    findings.report(
                        &NO_OPERATOR.rule,
                        stop.step.span,
                        message,
                        "put `- install-operator: {}` before it",
                    );
                }
            }
        });
    },
};

pub const EARLY_CLEAN_UP: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F213",
        name: "early-clean-up",
        explain: "Bootstrap's manifests may leave git only when the operator owns their objects. Before that Flux prunes itself: \
                  controllers, CRDs, and with them every object of theirs.",
        failing: "- commit: {message: Clean up, delete: [clusters/test/flux-system]}\n- wait: {revision: head}",
        passing: "operator: {version: 0.59.0}\n- install-operator: {}\n- apply: {file: instance.yaml}\n- wait: {ready: fluxinstance/flux-system/flux}\n- commit: {message: Clean up, delete: [clusters/test/flux-system]}\n- wait: {revision: head}",
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        in_each_cluster(findings, |findings, course| {
            let Some(bootstrap) = bootstrap(course) else { return };
            let folder = format!("{}/flux-system", bootstrap.path);
            for stop in course.forward() {
                if proves_take_over(stop) {
                    return;
                }
                let Step::Commit(commit) = &stop.step.value else { continue };
                let deleted = commit.delete.iter().filter(|_| commit.is_to_main());
                for path in deleted.filter(|path| format!("{folder}/").starts_with(&format!("{path}/"))) {
                    findings.report(
                        &EARLY_CLEAN_UP.rule,
                        path.span,
                        format!("`{path}` is deleted before a FluxInstance is ready: Flux would prune itself"),
                        "first `- wait: {ready: fluxinstance/flux-system/flux}`",
                    );
                }
            }
        });
    },
};

pub const HARD_DELETE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F215",
        name: "hard-delete",
        explain: "Deleting a FluxInstance removes controllers, CRDs and every Flux object. Only with its reconciliation disabled first \
                  is it let go with everything left in place: that is the gentle way back.",
        failing: "operator: {version: 0.59.0}\n- install-operator: {}\n- apply: {file: instance.yaml}\n- wait: {ready: fluxinstance/flux-system/flux}\n- delete: fluxinstance/flux-system/flux",
        passing: "operator: {version: 0.59.0}\n- install-operator: {}\n- apply: {file: instance.yaml}\n- wait: {ready: fluxinstance/flux-system/flux}\n- patch: {object: fluxinstance/flux-system/flux, merge: {metadata: {annotations: {fluxcd.controlplane.io/reconcile: disabled}}}}\n- delete: fluxinstance/flux-system/flux",
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        in_each_cluster(findings, |findings, course| {
            let mut is_let_go = false;
            for stop in course.all() {
                match &stop.step.value {
                    Step::Patch(patch) if is_instance(&patch.object) => {
                        let annotation = patch.merge.get("metadata").and_then(|m| m.get("annotations")?.get("fluxcd.controlplane.io/reconcile"));
                        is_let_go |= annotation.is_some_and(|value| value == "disabled");
                    }
                    Step::Delete(delete) if is_instance(&delete.0) && !is_let_go => findings.report(
                        &HARD_DELETE.rule,
                        stop.step.span,
                        "with the FluxInstance go the controllers, the CRDs and every Flux object",
                        "first set its annotation `fluxcd.controlplane.io/reconcile: disabled`, or allow this with a reason",
                    ),
                    _ => is_let_go |= ["suspend", "flux", "exec"].contains(&stop.step.kind()),
                }
            }
        });
    },
};

pub const ORPHANED_INSTANCE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F216",
        name: "operator-gone-first",
        explain: "A FluxInstance has a finalizer that only the operator removes: once the operator is gone, deleting it never ends.",
        failing: "- delete: deployment/flux-system/flux-operator\n- delete: fluxinstance/flux-system/flux",
        passing: "operator: {version: 0.59.0}\n- install-operator: {}\n- apply: {file: instance.yaml}\n- wait: {ready: fluxinstance/flux-system/flux}\n- patch: {object: fluxinstance/flux-system/flux, merge: {metadata: {annotations: {fluxcd.controlplane.io/reconcile: disabled}}}}\n- delete: fluxinstance/flux-system/flux\n- delete: deployment/flux-system/flux-operator",
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        in_each_cluster(findings, |findings, course| {
            let mut is_gone = false;
            for stop in course.all() {
                match &stop.step.value {
                    Step::Delete(delete)
                        if base(&delete.0.kind) == "deployment" && delete.0.name == "flux-operator" =>
                    {
                        is_gone = true
                    }
                    Step::InstallOperator(_) => is_gone = false,
                    Step::Delete(delete) if is_gone && is_instance(&delete.0) => findings.report(
                        &ORPHANED_INSTANCE.rule,
                        stop.step.span,
                        "the operator is gone already: nobody is left to finish this",
                        "delete the FluxInstance before the operator",
                    ),
                    _ => {}
                }
            }
        });
    },
};

pub const TWO_OWNERS: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F217",
        name: "two-owners",
        explain: "Bootstrapping a cluster whose FluxInstance is still reconciled gives Flux two owners, which undo each other's changes \
                  for ever.",
        failing: "operator: {version: 0.59.0}\n- install-operator: {}\n- apply: {file: instance.yaml}\n- wait: {ready: fluxinstance/flux-system/flux}\n- bootstrap: {path: clusters/test}",
        passing: "operator: {version: 0.59.0}\n- install-operator: {}\n- apply: {file: instance.yaml}\n- wait: {ready: fluxinstance/flux-system/flux}\n- patch: {object: fluxinstance/flux-system/flux, merge: {metadata: {annotations: {fluxcd.controlplane.io/reconcile: disabled}}}}\n- delete: fluxinstance/flux-system/flux\n- bootstrap: {path: clusters/test}",
        passing_files: &[("example-area/instance.yaml", INSTANCE)],
        ..Rule::WARNING
    },
    check: |findings| {
        in_each_cluster(findings, |findings, course| {
            let mut is_owned = false;
            for stop in course.all() {
                match &stop.step.value {
                    _ if stop.brings("FluxInstance") => is_owned = true,
                    Step::Delete(delete) if is_instance(&delete.0) => is_owned = false,
                    Step::Patch(patch) if is_instance(&patch.object) => is_owned = false,
                    Step::Bootstrap(_) if is_owned => findings.report(
                        &TWO_OWNERS.rule,
                        stop.step.span,
                        "Flux is bootstrapped while a FluxInstance owns it",
                        "first disable the FluxInstance and delete it",
                    ),
                    _ if ["suspend", "flux", "exec"].contains(&stop.step.kind()) => is_owned = false,
                    _ => {}
                }
            }
        });
    },
};

pub const OWN_OUTAGE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F218",
        name: "own-outage",
        explain: "A scenario that takes its own workload away loses requests by that and not by the migration. If it means to, it says \
                  so by a budget or by the verdict that it expects.",
        failing: "workloads: [deployment/apps/web]\n- scale: {object: deployment/apps/web, replicas: 0}\n- sleep: {for: 1s, reason: nobody serves}",
        passing: "workloads: [deployment/apps/web]\nexpect: {verdict: fail, rule: no-lost-request}\n- scale: {object: deployment/apps/web, replicas: 0}\n- sleep: {for: 1s, reason: nobody serves}",
        ..Rule::WARNING
    },
    check: |findings| {
        let (course, scenario) = (findings.course(), findings.scenario());
        if scenario.expect.is_some() {
            return;
        }
        for stop in course.forward().into_iter().filter(|stop| stop.phase > 0) {
            let budget = scenario.phases[stop.phase].budget;
            if budget.failed > 0 || !budget.longest.get().is_zero() {
                continue;
            }
            let gone = match &stop.step.value {
                Step::Scale(scale) if scale.replicas == 0 => &scale.object,
                Step::Delete(delete) => &delete.0,
                _ => continue,
            };
            let carries = |w: &ObjectRef| {
                *w == gone.value || base(&gone.kind) == "namespace" && w.namespace.as_deref() == Some(&gone.name)
            };
            if scenario.workloads.iter().any(|w| carries(w)) {
                findings.report(
                    &OWN_OUTAGE.rule,
                    gone.span,
                    format!(
                        "this takes the workload away, and `{}` may lose nothing",
                        scenario.phases[stop.phase].phase
                    ),
                    "give the phase a budget, or say what verdict is expected",
                );
            }
        }
    },
};

pub const PRUNED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F219",
        name: "pruning-delete",
        explain: "With a Kustomization that has `prune: true` go all objects that it has applied, workloads too, unless its \
                  `deletionPolicy` is `Orphan`.",
        failing: "- delete: kustomization/flux-system/apps",
        failing_files: &[(KUSTOMIZATION, PRUNING)],
        passing: "- delete: kustomization/flux-system/apps",
        passing_files: &[(KUSTOMIZATION, ORPHANING)],
        ..Rule::WARNING
    },
    check: |findings| {
        let course = findings.course();
        for stop in course.all() {
            match &stop.step.value {
                Step::Delete(delete) if base(&delete.0.kind) == "kustomization" => {
                    let name = &delete.0.name;
                    if let Some(path) = pruned_with(findings, |m| m.name() == name) {
                        report_pruned(findings, stop, name, &path);
                    }
                }
                Step::Commit(commit) if commit.is_to_main() => {
                    let fleet = findings.fleet();
                    for path in &commit.delete {
                        // Whole folders go with what they lead to; that is what their authors mean.
                        let is_it = |m: &crate::lint::fleet::Manifest| fleet.inside(m) == Some(path.as_str());
                        if let Some(below) = pruned_with(findings, is_it) {
                            report_pruned(findings, stop, path.as_str(), &below);
                        }
                    }
                }
                _ => {}
            }
        }
    },
};

/// The path of a Kustomization that deletes what it has applied.
fn pruned_with(findings: &Findings<'_>, is_it: impl Fn(&crate::lint::fleet::Manifest) -> bool) -> Option<String> {
    let synced = findings.synced();
    let found = synced.iter().find(|m| m.is("kustomize.toolkit.fluxcd.io", "Kustomization") && is_it(m))?;
    let prunes = found.is_true("spec.prune") && found.text("spec.deletionPolicy") != Some("Orphan");
    prunes.then(|| found.text("spec.path").map(normal)).flatten()
}

fn report_pruned(findings: &mut Findings<'_>, stop: &Stop<'_>, what: &str, path: &str) {
    findings.report(
        &PRUNED.rule,
        stop.step.span,
        format!("with `{what}` goes everything that it has applied from `{path}`"),
        "set `deletionPolicy: Orphan` first, or allow this with a reason",
    );
}

pub const DELETED_FILE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F220",
        name: "deleted-file",
        explain: "git refuses to remove what is not there.",
        failing: "- commit: {message: m, delete: [apps/wbe.yaml]}\n- wait: {revision: head}",
        passing: "- commit: {message: m, delete: [apps/web.yaml]}\n- wait: {revision: head}",
        ..Rule::ERROR
    },
    check: |findings| {
        let (fleet, scenario) = (findings.fleet(), findings.scenario());
        if !fleet.has_folder("") {
            return;
        }
        let mut added: Vec<String> = Vec::new();
        for step in scenario.steps() {
            match &step.value {
                // Bootstrap adds its own folder.
                Step::Bootstrap(bootstrap) => added.push(format!("{}/flux-system/gotk-sync.yaml", bootstrap.path)),
                Step::Commit(commit) => {
                    for path in &commit.delete {
                        let was_added = added.iter().any(|file| {
                            format!("{file}/").starts_with(&format!("{path}/"))
                                || path.as_str().starts_with(&format!("{file}/"))
                        });
                        if !was_added
                            && !fleet.has_file(path.as_str())
                            && !fleet.has_folder(path.as_str())
                            && !fleet.has_file(&format!("{path}.j2"))
                        {
                            findings.report(
                                &DELETED_FILE.rule,
                                path.span,
                                format!("the fleet has no `{path}`"),
                                "name a file or folder of the fleet, by its path from the fleet's folder",
                            );
                        }
                    }
                    added.extend(commit.write.keys().chain(commit.r#move.values()).map(ToString::to_string));
                }
                _ => {}
            }
        }
    },
};

pub const MOVED_PATH: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F221",
        name: "moved-path",
        explain: "A Kustomization with `prune: true` whose path changes deletes what the old path held and makes what the new one \
                  holds: even the same objects are recreated if anything of their names differs, with new addresses.",
        failing: "- commit: {message: m, replace: {clusters/test/apps.yaml: {\"path: ./apps/web\": \"path: ./apps/next\"}}}\n- wait: {revision: head}",
        failing_files: &[(KUSTOMIZATION, PRUNING)],
        passing: "- commit: {message: m, replace: {clusters/test/apps.yaml: {\"path: ./apps/web\": \"path: ./apps/next\"}}}\n- wait: {revision: head}",
        passing_files: &[(
            KUSTOMIZATION,
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\nspec: {retryInterval: 10s, path: ./apps/web, prune: false, sourceRef: {kind: GitRepository, name: flux-system}}\n",
        )],
        ..Rule::WARNING
    },
    check: |findings| {
        let fleet = findings.fleet();
        for step in findings.scenario().steps() {
            let Step::Commit(commit) = &step.value else { continue };
            for (path, texts) in &commit.replace {
                let is_it = |m: &crate::lint::fleet::Manifest| fleet.inside(m) == Some(path.as_str());
                let Some(old) = pruned_with(findings, is_it) else { continue };
                for (from, to) in texts {
                    let changes = from.contains("path:")
                        && from.value != *to
                        && from.contains(old.as_str())
                        && !to.contains(old.as_str());
                    if changes {
                        findings.report(
                            &MOVED_PATH.rule,
                            from.span,
                            format!(
                                "the Kustomization prunes: everything from `{old}` is deleted when its path changes"
                            ),
                            "set `prune: false` before the move, or allow this with a reason",
                        );
                    }
                }
            }
        }
    },
};

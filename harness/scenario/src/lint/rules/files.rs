//! Files that the scenario names must exist.

use crate::folders::Found;
use crate::lint::{Findings, Rule, ScenarioRule};
use crate::span::Spanned;
use crate::steps::{Commit, Content, Manifests, PushArtifact, Step};
use crate::text::RelPath;

pub const FLEET: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F110",
        name: "fleet",
        explain: "The fleet is a folder under scenarios; without it there is nothing that Flux could sync.",
        failing: "fleet: fleets/wbe",
        passing: "fleet: fleets/web",
        ..Rule::ERROR
    },
    check: |findings| {
        let fleet = &findings.scenario().fleet;
        let why = match findings.files().find(fleet.as_str()) {
            Some(Found::Folder) => return,
            Some(Found::File) => "is a file",
            None => "does not exist",
        };
        findings.report(
            &FLEET.rule,
            fleet.span,
            format!("the fleet `{fleet}` {why}"),
            "name a folder under scenarios, such as `fleets/web`",
        );
    },
};

pub const STEP_FILE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F111",
        name: "step-file",
        explain: "A file that a step needs is looked for beside the scenario, then in its fleet, before anything starts.",
        failing: "- apply: {file: namesapce.yaml}",
        passing: "- apply: {file: namespace.yaml}\n- sleep: {for: 1s, reason: soak}",
        ..Rule::ERROR
    },
    check: |findings| {
        for file in step_files(findings) {
            if findings.is_file() && findings.locate(file).is_none() {
                findings.report(
                    &STEP_FILE.rule,
                    file.span,
                    format!("there is no file `{file}` beside the scenario or in its fleet"),
                    "check the name, or add the file",
                );
            }
        }
    },
};

fn step_files<'a>(findings: &Findings<'a>) -> Vec<&'a Spanned<RelPath>> {
    let mut files = Vec::new();
    for step in findings.scenario().steps() {
        match &step.value {
            Step::Apply(apply) => {
                if let Manifests::File(file) = &apply.manifests {
                    files.push(file);
                }
            }
            Step::Commit(commit) => files.extend(commit.write.values().filter_map(|content| match content {
                Content::File(file) => Some(file),
                Content::Text(_) => None,
            })),
            _ => {}
        }
    }
    files
}

pub const REPLACED_FILE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F112",
        name: "replaced-file",
        explain: "`replace` changes a file of the fleet: the file and the text must be there, in the fleet or by an earlier commit.",
        failing: "- commit: {message: m, replace: {apps/wbe.yaml: {old: new}}}",
        passing: "- commit: {message: m, replace: {apps/web.yaml: {old: new}}}\n- wait: {revision: head}",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let mut written: Vec<&RelPath> = Vec::new();
        for step in scenario.steps() {
            let Step::Commit(commit) = &step.value else { continue };
            for (path, texts) in &commit.replace {
                if written.iter().any(|written| is_below(written.as_str(), path.as_str())) {
                    continue;
                }
                let Some(content) = findings.read_in_fleet(path) else {
                    if findings.find_in_fleet(path).is_some() {
                        continue; // A template that cannot be rendered is reported by itself.
                    }
                    findings.report(
                        &REPLACED_FILE.rule,
                        path.span,
                        format!("the fleet has no file `{path}`"),
                        "name a file of the fleet, by its path from the fleet's folder",
                    );
                    continue;
                };
                for text in texts.keys().filter(|text| !content.contains(text.as_str())) {
                    findings.report(
                        &REPLACED_FILE.rule,
                        text.span,
                        format!("`{path}` does not contain this text"),
                        "copy the text from the file, with its blanks",
                    );
                }
                // From here on the file is another than the one on disk.
                written.push(&path.value);
            }
            written.extend(commit.write.keys().chain(commit.r#move.values()).map(|path| &path.value));
        }
    },
};

pub const MOVED_FILE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F259",
        name: "moved-file",
        explain: "`move` needs something to move: a file or folder of the fleet, of an earlier commit, or one that `bootstrap` makes.",
        failing: "- commit: {message: m, move: {apps/wbe.yaml: apps/new.yaml}}",
        passing: "- commit: {message: m, move: {apps/web.yaml: apps/new.yaml}}\n- wait: {revision: head}",
        ..Rule::ERROR
    },
    check: |findings| {
        for commit in commits(findings) {
            for path in commit.r#move.keys() {
                if !is_in_fleet(path, findings) {
                    findings.report(
                        &MOVED_FILE.rule,
                        path.span,
                        format!("the fleet has nothing at `{path}` to move"),
                        "name a file or folder of the fleet, by its path from the fleet's folder",
                    );
                }
            }
        }
    },
};

pub const ARTIFACT_PATH: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F255",
        name: "artifact-path",
        explain: "An artifact is made from a folder of the fleet, or from one that a commit has added.",
        failing: "- push-artifact: {path: app, to: fleet}",
        passing: "- push-artifact: {path: apps, to: fleet}",
        ..Rule::ERROR
    },
    check: |findings| {
        for step in findings.scenario().steps() {
            let Step::PushArtifact(PushArtifact { path: Some(path), .. }) = &step.value else { continue };
            if !is_in_fleet(path, findings) {
                findings.report(
                    &ARTIFACT_PATH.rule,
                    path.span,
                    format!("the fleet has nothing at `{path}` to push"),
                    "name a folder of the fleet, or leave `path` out for all of it",
                );
            }
        }
    },
};

fn commits<'a>(findings: &Findings<'a>) -> impl Iterator<Item = &'a Commit> + use<'a> {
    findings.scenario().steps().filter_map(|step| match &step.value {
        Step::Commit(commit) => Some(commit),
        _ => None,
    })
}

/// Whether a path is another, or leads into it.
fn is_below(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a commit makes a path, something in it, or what it is in.
pub(super) fn is_committed(path: &str, findings: &Findings<'_>) -> bool {
    let mut made = commits(findings).flat_map(|commit| commit.write.keys().chain(commit.r#move.values()));
    made.any(|made| is_below(made.as_str(), path) || is_below(path, made.as_str()))
}

/// Whether a path is in the fleet, or may come to be by a commit or by `flux bootstrap`.
fn is_in_fleet(path: &RelPath, findings: &Findings<'_>) -> bool {
    let bootstrapped = || {
        findings.scenario().steps().any(|step| match &step.value {
            Step::Bootstrap(bootstrap) => {
                let rest = path.as_str().strip_prefix(bootstrap.path.as_str()).unwrap_or_default();
                rest == "/flux-system" || rest.starts_with("/flux-system/gotk-")
            }
            _ => false,
        })
    };
    findings.find_in_fleet(path).is_some() || is_committed(path.as_str(), findings) || bootstrapped()
}

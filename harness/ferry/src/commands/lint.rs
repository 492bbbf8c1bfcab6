//! `ferry lint`: what is wrong with scenario files, for people and for programs.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferry_lab::bundle::{self, Bundle};
use ferry_scenario::lint::{Known, Linter, explain, format};
use ferry_scenario::{Diagnostic, Diagnostics, Disk, Entry, MAX_BYTES, Sets};

use super::scenarios;
use crate::cli::{LintArgs, LintFormat};
use crate::edge::{Exit, Problem};
use crate::run::stage;

/// What a scenario from standard input is called.
const STDIN: &str = "<stdin>";

/// Checks files, folders, standard input, or everything.
pub fn lint(arguments: &LintArgs) -> Result<ExitCode, Problem> {
    if let Some(asked) = &arguments.explain {
        let text = explain(asked)
            .map_err(|e| Problem::usage(e).hint("findings show the code and the name of their rule".to_string()))?;
        print!("{text}");
        return Ok(Exit::Pass.into());
    }
    let known = known(&bundle::load()?);
    let (mut errors, mut warned) = (0, 0);
    // Scenarios that share a fleet share its findings.
    let mut all: Vec<Diagnostic> = vec![];
    let entries = entries(arguments)?;
    for group in entries.chunk_by(|(_, a), (_, b)| a == b) {
        let disk = Disk::new(&group[0].1);
        let linter = Linter::new(&disk).knowing(&known);
        for (entry, _) in group {
            let found = in_every_cell(entry, &linter);
            errors += usize::from(found.has_errors());
            warned += usize::from(!found.has_errors() && !found.is_empty());
            for diagnostic in found {
                if !all.contains(&diagnostic) {
                    all.push(diagnostic);
                }
            }
        }
    }
    match arguments.format {
        LintFormat::Text => {
            scenarios::show(&Diagnostics::from(all));
            let warnings = if warned > 0 { format!(", {warned} with warnings") } else { String::new() };
            println!("{} scenario(s), {errors} with errors{warnings}", entries.len());
        }
        LintFormat::Json => print!("{}", format::json(&all)),
        LintFormat::Github => print!("{}", format::github(&all)),
        LintFormat::Sarif => print!("{}", format::sarif(&all)),
    }
    let is_wrong = errors > 0 || arguments.deny_warnings && warned > 0;
    Ok(if is_wrong { Exit::Usage } else { Exit::Pass }.into())
}

/// What is wrong with a scenario in any cell of its matrix, each thing once.
fn in_every_cell(entry: &Entry, linter: &Linter<'_>) -> Diagnostics {
    let first = match &entry.scenario {
        Ok(scenario) => scenario,
        Err(found) => return found.clone(),
    };
    let mut all: Vec<Diagnostic> = linter.lint(first).into_iter().collect();
    for cell in first.cells.iter().skip(1) {
        let found = match entry.load(Some(cell), &Sets::new()) {
            Ok(scenario) => linter.lint(&scenario),
            Err(found) => found,
        };
        all.extend(found.into_iter().filter(|diagnostic| !all.contains(diagnostic)).collect::<Vec<_>>());
    }
    all.into()
}

/// What is to be checked, each with the folder that holds all scenarios.
fn entries(arguments: &LintArgs) -> Result<Vec<(Entry, PathBuf)>, Problem> {
    let folder = &arguments.folder;
    let below = |path: &Path| -> Result<Vec<_>, Problem> {
        Ok(scenarios::all(path)?.into_iter().map(|entry| (entry, path.to_path_buf())).collect())
    };
    if arguments.paths.is_empty() {
        return below(&folder.scenarios);
    }
    let mut entries = vec![];
    for path in &arguments.paths {
        if path.as_os_str() == "-" {
            entries.push((from_stdin()?, folder.scenarios.clone()));
        } else if path.is_dir() {
            entries.extend(below(path)?);
        } else {
            entries.push(scenarios::find(&path.to_string_lossy(), folder)?);
        }
    }
    Ok(entries)
}

/// A scenario that an editor or a script passes on: it has no area, and no file beside it.
fn from_stdin() -> Result<Entry, Problem> {
    let mut bytes = vec![];
    std::io::stdin()
        .lock()
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Problem::usage("standard input cannot be read".to_string()).because(e))?;
    let text = String::from_utf8(bytes)
        .map_err(|e| Problem::usage("standard input is not UTF-8 text".to_string()).because(e))?;
    let scenario = ferry_scenario::parse(STDIN, &text);
    Ok(Entry { area: String::new(), name: STDIN.into(), path: STDIN.into(), scenario })
}

/// What the bundle holds, in the words of scenarios.
pub fn known(bundle: &Bundle) -> Known {
    let after = |prefix: &str| {
        let names = bundle.components.keys().filter_map(|name| name.strip_prefix(prefix));
        names
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.contains('-'))
            .map(str::to_owned)
            .collect()
    };
    let images = bundle.components.values().filter_map(|component| component.image.clone());
    let controllers = bundle.components.values().filter_map(|component| {
        let image = component.image.as_deref()?.strip_prefix("ghcr.io/fluxcd/")?;
        image.split(':').next().map(str::to_owned)
    });
    Known {
        flux: after("flux-cli-"),
        operator: after("flux-operator-"),
        components: controllers.collect(),
        images: images.chain([stage::WORKLOAD_IMAGE.to_owned()]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_in_the_words_of_scenarios() {
        let known = known(&bundle::load().unwrap());
        insta::assert_debug_snapshot!((&known.flux, &known.operator, &known.components), @r#"
        (
            {
                "2.9.2",
                "2.9.4",
            },
            {
                "0.59.0",
            },
            {
                "helm-controller",
                "kustomize-controller",
                "notification-controller",
                "source-controller",
            },
        )
        "#);
        assert!(known.images.contains("ferry.local/workload:dev"));
    }
}

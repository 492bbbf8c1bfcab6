//! `ferry new`: a commented scenario and its fleet to start from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferry_scenario::discover::NOT_AREAS;
use ferry_scenario::text::Name;

use crate::cli::{ScenarioFolder, Template};
use crate::edge::{Exit, Problem};

/// The fleet that new ones are copies of, as it is in this repository: what the scenarios prove to work.
macro_rules! fleet {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../../scenarios/fleets/web/", $path)))),+]
    };
}

/// Path in the fleet → text.
const FLEET: &[(&str, &str)] = fleet![
    "instance.yaml",
    "clusters/test/apps.yaml",
    "clusters/test/flux-system/gotk-components.yaml",
    "clusters/test/flux-system/gotk-sync.yaml",
    "clusters/test/flux-system/kustomization.yaml",
    "apps/web/deployment.yaml",
    "apps/web/disruption-budget.yaml",
    "apps/web/kustomization.yaml",
    "apps/web/namespace.yaml",
    "apps/web/service.yaml",
];

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Official => include_str!("official.yaml"),
            Self::Minimal => include_str!("minimal.yaml"),
        }
    }
}

/// Writes a scenario and its fleet, and says what to do next.
pub fn new(id: &str, template: Template, folder: &ScenarioFolder) -> Result<ExitCode, Problem> {
    let written = write(id, template, &folder.scenarios)?;
    for path in &written {
        println!("{}", path.display());
    }
    println!();
    println!("next: change the scenario, its summary first; `ferry explain` says what can be written");
    println!("      ferry lint {}", folder.scenarios.join(format!("{id}.yaml")).display());
    println!("      ferry plan {id}");
    println!("      ferry run {id}");
    Ok(Exit::Pass.into())
}

/// Writes nothing, unless all of it can be written.
fn write(id: &str, template: Template, scenarios: &Path) -> Result<Vec<PathBuf>, Problem> {
    let form = "call it AREA/NAME, such as single-tenant/by-helm: the area is its folder under scenarios";
    let (area, name) =
        id.split_once('/').ok_or_else(|| Problem::usage(format!("`{id}` names no area")).hint(form.to_owned()))?;
    for part in [area, name] {
        part.parse::<Name>().map_err(|e| Problem::usage(e.message).hint(e.hint))?;
    }
    if NOT_AREAS.contains(&area) {
        return Err(
            Problem::usage(format!("{area} is not an area: no scenario is looked for there")).hint(form.to_owned())
        );
    }
    if !scenarios.is_dir() {
        return Err(Problem::usage(format!("there is no folder {}", scenarios.display()))
            .hint("run ferry from the repository's root, or say where with --scenarios".to_owned()));
    }
    let scenario = scenarios.join(area).join(format!("{name}.yaml"));
    let fleet = scenarios.join("fleets").join(name);
    for path in [&scenario, &fleet] {
        if path.exists() {
            return Err(Problem::usage(format!("{} exists, and is left as it is", path.display()))
                .hint("choose another name, or remove it first".to_owned()));
        }
    }
    let text = template.text().replace("NAME", name);
    let files = FLEET.iter().map(|(path, text)| (fleet.join(path), (*text).to_owned()));
    let mut written = Vec::new();
    for (path, text) in std::iter::once((scenario, text)).chain(files) {
        let parent = path.parent().unwrap_or(scenarios);
        fs_err::create_dir_all(parent)
            .and_then(|()| fs_err::write(&path, text))
            .map_err(|e| Problem::infra(format!("{} cannot be written", path.display())).because(e))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_scenario::{Cell, Disk, discover, find, lint, plan};
    use rstest::rstest;

    /// What is offered as a start is in order, comments and all.
    #[rstest]
    #[case(Template::Official, 4)]
    #[case(Template::Minimal, 2)]
    fn lints_clean_and_plans(#[case] template: Template, #[case] phases: usize) {
        let folder = tempfile::tempdir().unwrap();
        write("my-area/by-hand", template, folder.path()).unwrap();
        let files = Disk::new(folder.path());
        let entry = find(folder.path(), "my-area/by-hand").unwrap();
        let scenario = entry.scenario.unwrap_or_else(|found| panic!("{}", found.to_text()));
        let found = lint(&scenario, &files);
        assert!(found.is_empty(), "{}", found.to_text());
        let plan = plan(&scenario, &Cell::default(), &files);
        assert_eq!(plan.phases.len(), phases);
        assert_eq!(plan.fleet, "fleets/by-hand");
        // The FluxInstance of the fleet was found and read.
        assert!(plan.needs.flux.contains_key("2.9.4"), "{:?}", plan.needs);
        let text = fs_err::read_to_string(&entry.path).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=../schema/scenario.v1.json\n"));
        assert!(!text.contains("NAME"), "{text}");
        assert_eq!(discover(folder.path()).unwrap().len(), 1, "the fleet holds no scenarios");
    }

    /// A copy of the fleet is the whole fleet: a file that is added to it must be added here.
    #[test]
    fn the_fleet_is_complete() {
        fn list(folder: &Path, below: &Path, found: &mut Vec<String>) {
            for entry in fs_err::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    list(&path, below, found);
                } else {
                    found.push(path.strip_prefix(below).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/fleets/web");
        let mut there = Vec::new();
        list(&fleet, &fleet, &mut there);
        there.sort();
        let mut here: Vec<String> = FLEET.iter().map(|(path, _)| (*path).to_owned()).collect();
        here.sort();
        assert_eq!(here, there);
    }

    #[test]
    fn writes_over_nothing() {
        let folder = tempfile::tempdir().unwrap();
        write("area/one", Template::Minimal, folder.path()).unwrap();
        let said = |id: &str| {
            let problem = write(id, Template::Official, folder.path()).unwrap_err();
            let text = format!("{problem} ({})", problem.help_text().unwrap_or_default());
            text.replace(&folder.path().display().to_string(), "[SCENARIOS]")
        };
        // The second has the first's fleet.
        let texts = ["area/one", "other/one", "one", "Area/one", "area/one/two", "fleets/one", "../x"].map(said);
        insta::assert_snapshot!(texts.join("\n"), @"
        [SCENARIOS]/area/one.yaml exists, and is left as it is (choose another name, or remove it first)
        [SCENARIOS]/fleets/one exists, and is left as it is (choose another name, or remove it first)
        `one` names no area (call it AREA/NAME, such as single-tenant/by-helm: the area is its folder under scenarios)
        `Area` is not a name: it contains 'A' (write `area`)
        `one/two` is not a name: it contains '/' (write `one-two`)
        fleets is not an area: no scenario is looked for there (call it AREA/NAME, such as single-tenant/by-helm: the area is its folder under scenarios)
        `..` is not a name: it contains '.' (use lower-case letters, digits and inner hyphens, such as `web-outside`)
        ");
        assert!(!folder.path().join("other").exists(), "nothing was begun");
    }
}

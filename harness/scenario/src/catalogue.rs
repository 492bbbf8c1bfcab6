//! `scenarios/README.md`: every scenario on one page, made of the scenarios themselves.

use std::fmt::Write as _;

use crate::cell::Cell;
use crate::discover::Entry;
use crate::folders::Files;
use crate::model::{Budget, Scenario};
use crate::plan::{Plan, PlannedPhase, plan};
use crate::select::{Candidate, Suites};
use crate::text::HumanDuration;

/// The page. Scenarios that are broken are listed with the first thing that is wrong with them.
pub fn catalogue(entries: &[Entry], suites: &Suites, files: &dyn Files) -> String {
    let mut page = HEAD.to_owned();
    page += "\n| scenario | proves | ends | suites |\n|---|---|---|---|\n";
    for entry in entries {
        let id = entry.id();
        match &entry.scenario {
            Ok(scenario) => {
                let proves = cell_text(&scenario.summary);
                let ends = ending(scenario);
                let _ = writeln!(
                    page,
                    "| [{id}](#{}) | {proves} | {ends} | {} |",
                    anchor(&id),
                    suites_of(entry, scenario, suites).join(", ")
                );
            }
            Err(found) => {
                let what = found.first().map(|d| cell_text(&d.message)).unwrap_or_default();
                let _ = writeln!(page, "| [{id}]({id}.yaml) | broken: {what} | | |");
            }
        }
    }
    suites_table(&mut page, entries, suites);
    let mut area = "";
    for entry in entries {
        let Ok(scenario) = &entry.scenario else { continue };
        if entry.area != area {
            area = &entry.area;
            let _ = writeln!(page, "\n## {area}");
        }
        section(&mut page, entry, scenario, suites, files);
    }
    page
}

const HEAD: &str = "\
<!-- Written by `ferry catalogue` from the scenarios: change those, then run
     `UPDATE_CATALOGUE=1 cargo test -p ferry-scenario --test committed`. -->
# Scenarios

Each is a file `AREA/NAME.yaml`: `ferry plan AREA/NAME` shows every step with its deadline, `ferry run AREA/NAME` runs it,
`ferry explain` says what can be written in one, `ferry new AREA/NAME` starts one.
";

/// Every cell that a scenario runs in.
fn cells(scenario: &Scenario) -> &[Cell] {
    &scenario.cells
}

fn suites_of<'s>(entry: &Entry, scenario: &Scenario, suites: &'s Suites) -> Vec<&'s str> {
    let tags: Vec<&str> = scenario.tags.iter().map(|tag| tag.as_str()).collect();
    let mut found: Vec<&str> = Vec::new();
    for cell in cells(scenario) {
        let candidate = Candidate { area: &entry.area, name: &entry.name, tags: &tags, suites: &[], cell };
        found.extend(suites.of(&candidate));
    }
    // In the order of the file, whichever cell brought them in.
    suites.all().iter().map(|suite| suite.name.as_str()).filter(|name| found.contains(name)).collect()
}

fn suites_table(page: &mut String, entries: &[Entry], suites: &Suites) {
    if suites.all().is_empty() {
        return;
    }
    *page += "\n| suite | what it is for | scenarios |\n|---|---|---|\n";
    for suite in suites.all() {
        let members = entries.iter().filter(|entry| {
            entry
                .scenario
                .as_ref()
                .is_ok_and(|scenario| suites_of(entry, scenario, suites).contains(&suite.name.as_str()))
        });
        let _ = writeln!(page, "| `{}` | {} | {} |", suite.name, cell_text(&suite.summary), members.count());
    }
}

fn section(page: &mut String, entry: &Entry, scenario: &Scenario, suites: &Suites, files: &dyn Files) {
    let id = entry.id();
    let cells = cells(scenario);
    let plan = plan(scenario, cells.first().unwrap_or(&Cell::default()), files);
    let _ = write!(page, "\n### {id}\n\n{}. [{id}.yaml]({id}.yaml)\n\n", scenario.summary.trim_end_matches('.'));
    let mut line = |what: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(page, "- {what}: {text}");
        }
    };
    line("route", route(&plan));
    line("cluster", format!("{}, fleet [{}]({})", plan.cluster, plan.fleet, plan.fleet));
    line("cells", cells.iter().map(|cell| format!("`{cell}`")).collect::<Vec<_>>().join(", "));
    for probe in &plan.probes {
        line("probe", format!("`{}` {} at {}", probe.name, probe.target, probe.rate));
    }
    line("judged", plan.invariants.iter().map(|i| format!("`{i}`")).collect::<Vec<_>>().join(", "));
    line("proof", plan.proof.to_string());
    line("ends", ending(scenario));
    line("tags", scenario.tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(", "));
    line("suites", suites_of(entry, scenario, suites).join(", "));
    line(
        "takes",
        format!(
            "about {} and {:.1} GiB once images are cached; steps at most {}",
            HumanDuration::from(plan.estimate.expected),
            plan.estimate.memory_mib as f64 / 1024.0,
            HumanDuration::from(plan.estimate.steps_at_most)
        ),
    );
    *page += "\n";
    *page += &diagram(&plan.phases, scenario);
}

/// From which Flux to which operator.
fn route(plan: &Plan) -> String {
    let from = plan.needs.flux_cli.iter().map(|version| format!("Flux {version} by `flux bootstrap`"));
    let to = plan.needs.operator.iter().map(|version| format!("Flux Operator {version}"));
    let with =
        plan.needs.flux.keys().filter(|version| !plan.needs.flux_cli.contains(*version)).map(|v| format!("Flux {v}"));
    let ways: Vec<String> = from.chain(to).chain(with).collect();
    ways.join(" → ")
}

fn ending(scenario: &Scenario) -> String {
    scenario.expect.as_ref().map_or_else(|| "pass".into(), |expect| expect.value.to_string())
}

/// Phases as a chain; ways back are dotted.
fn diagram(phases: &[PlannedPhase], scenario: &Scenario) -> String {
    let mut text = "```mermaid\nflowchart LR\n".to_owned();
    for (i, phase) in phases.iter().enumerate() {
        let steps = match phase.steps.len() {
            1 => "1 step".to_owned(),
            many => format!("{many} steps"),
        };
        let _ = writeln!(text, "  p{i}[\"{}<br/>{steps}, {}\"]", label(&phase.name), budget(phase.budget));
    }
    let _ = writeln!(text, "  end_([\"{}\"])", label(&ending(scenario)));
    for (i, phase) in phases.iter().enumerate() {
        let next = if i + 1 == phases.len() { "end_".to_owned() } else { format!("p{}", i + 1) };
        let _ = writeln!(text, "  p{i} --> {next}");
        if !phase.rollback.is_empty() {
            let back = if i == 0 { i } else { i - 1 };
            let _ = writeln!(text, "  p{i} -. rollback .-> p{back}");
        }
    }
    text + "```\n"
}

fn budget(Budget { failed, longest }: Budget) -> String {
    match (failed, longest.get().is_zero()) {
        (0, true) => "nothing may fail".into(),
        (failed, _) => format!("{failed} may fail, {longest} at most"),
    }
}

/// Text inside a mermaid node's quotes.
fn label(text: &str) -> String {
    text.replace('&', "#amp;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;").replace('\n', " ")
}

/// Text inside a table.
fn cell_text(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folders::tests::Memory;
    use crate::parse::tests::example;
    use crate::select::suites;

    #[test]
    fn a_page() {
        let entry = |name: &str, text: &str| Entry {
            area: "area".into(),
            name: name.into(),
            path: format!("scenarios/area/{name}.yaml").into(),
            scenario: crate::parse(&format!("scenarios/area/{name}.yaml"), text),
        };
        let phases = "\
summary: Tells \"this\" | that
tags: [smoke]
expect: {verdict: fail, rule: budget}
phases:
  - phase: bootstrap
    steps: [{bootstrap: {path: clusters/test}}]
  - phase: take <over>
    budget: {failed: 3, longest: 2s}
    steps: [{install-operator: {}}, {wait: {revision: head}}]
    rollback: [{bootstrap: {path: clusters/test}}]
operator: {version: 0.59.0}";
        let entries = [entry("broken", "scenario: [\n"), entry("example", &example(phases))];
        let suites = suites::load("suites.yaml", "quick: {summary: A minute, filter: tag(smoke)}", &[]).unwrap();
        insta::assert_snapshot!(catalogue(&entries, &suites, &Memory::default()), @r#"
        <!-- Written by `ferry catalogue` from the scenarios: change those, then run
             `UPDATE_CATALOGUE=1 cargo test -p ferry-scenario --test committed`. -->
        # Scenarios

        Each is a file `AREA/NAME.yaml`: `ferry plan AREA/NAME` shows every step with its deadline, `ferry run AREA/NAME` runs it,
        `ferry explain` says what can be written in one, `ferry new AREA/NAME` starts one.

        | scenario | proves | ends | suites |
        |---|---|---|---|
        | [area/broken](area/broken.yaml) | broken: unclosed bracket '[' | | |
        | [area/example](#areaexample) | Tells "this" \| that | fail by budget | quick |

        | suite | what it is for | scenarios |
        |---|---|---|
        | `quick` | A minute | 1 |

        ## area

        ### area/example

        Tells "this" | that. [area/example.yaml](area/example.yaml)

        - route: Flux 2.9.2 by `flux bootstrap` → Flux Operator 0.59.0
        - cluster: single-node, fleet [fleets/web](fleets/web)
        - cells: `k8s_1_34::kind`
        - probe: `web/outside/new` GET node port 30080/ at 20/s
        - probe: `web/outside/reused` GET node port 30080/ at 20/s
        - judged: `no-lost-request`
        - proof: the probes' own, 10s of quiet before, 10s of soak after
        - ends: fail by budget
        - tags: `smoke`
        - suites: quick
        - takes: about 47s and 1.3 GiB once images are cached; steps at most 10m

        ```mermaid
        flowchart LR
          p0["bootstrap<br/>1 step, nothing may fail"]
          p1["take #lt;over#gt;<br/>2 steps, 3 may fail, 2s at most"]
          end_(["fail by budget"])
          p0 --> p1
          p1 --> end_
          p1 -. rollback .-> p0
        ```
        "#);
    }
}

//! What a run would do, with every deadline and everything that it needs; no side effects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use crate::cell::Cell;
use crate::deadlines::Deadline;
use crate::folders::{self, Files};
use crate::lint::Linter;
use crate::model::{Budget, Component, Expect, Judged, Proof, Scenario};
use crate::probes::{Connection, From, Probe, Sampled};
use crate::span::{Place, Spanned};
use crate::steps::{Manifests, Step};
use crate::text::Version;

mod estimate;

pub use estimate::Estimate;

/// How names of images begin that are in every run's nodes: those of the demo workload and the agent.
const OWN_IMAGES: &str = "ferry.local/";

/// A run, before it happens.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// `area/name`.
    pub scenario: String,
    /// What it proves.
    pub summary: String,
    /// The combination of dimensions that it runs in.
    pub cell: Cell,
    /// The cluster's profile.
    pub cluster: String,
    /// The fleet's folder, under scenarios.
    pub fleet: String,
    /// Every probe as it samples: one for each vantage and kind of connection.
    pub probes: Vec<PlannedProbe>,
    /// Phases in order.
    pub phases: Vec<PlannedPhase>,
    /// Rules that are judged.
    pub invariants: Vec<Judged>,
    /// What happens around the phases.
    pub proof: Proof,
    /// How it must end, if not by passing.
    pub expect: Option<Expect>,
    /// What it needs beyond every run's own tools and images.
    pub needs: Needs,
    /// What it costs in memory and time.
    pub estimate: Estimate,
}

/// A probe as it samples.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedProbe {
    /// Unique: `name/vantage/connection`, such as `web/outside/new`.
    pub name: String,
    /// Kind of probe.
    pub kind: &'static str,
    /// What is asked, in words.
    pub target: String,
    /// Where from.
    pub from: From,
    /// How.
    pub connection: Connection,
    /// Samples for each unit of time.
    pub rate: String,
}

/// A phase with its steps.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedPhase {
    /// Its name.
    pub name: String,
    /// What it may cost.
    pub budget: Budget,
    /// What it is meant to change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What is done.
    pub steps: Vec<PlannedStep>,
    /// What leads back if it fails.
    pub rollback: Vec<PlannedStep>,
}

/// A step with its deadline.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedStep {
    /// The key in the file.
    pub kind: &'static str,
    /// What it does, in words.
    pub title: String,
    /// How long it may take.
    pub deadline: Deadline,
    /// Where it is written.
    pub place: Place,
    /// The steps within it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PlannedStep>,
}

/// What a run needs, by the names that its steps know it by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Needs {
    /// Controllers of Flux, by release.
    pub flux: BTreeMap<String, BTreeSet<String>>,
    /// Releases of the flux command.
    pub flux_cli: BTreeSet<String>,
    /// Releases of Flux Operator.
    pub operator: BTreeSet<String>,
    /// Other tools.
    pub tools: BTreeSet<String>,
    /// Images of the fleet's own pods, as manifests name them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub images: BTreeSet<String>,
    /// Whether the probe agent must be in the cluster.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub agent: bool,
}

impl Needs {
    /// Flux as `flux bootstrap` installs it: the command and the controllers' images.
    pub fn flux(&mut self, version: &Version, components: &[Spanned<Component>]) {
        self.flux_cli(version);
        self.controllers(&version.to_string(), components.iter().map(|c| c.to_string()));
    }

    /// A release of the flux command.
    pub fn flux_cli(&mut self, version: &Version) {
        self.flux_cli.insert(version.to_string());
    }

    /// Images of controllers of a release of Flux.
    pub fn controllers(&mut self, version: &str, components: impl IntoIterator<Item = String>) {
        self.flux.entry(version.into()).or_default().extend(components);
    }

    /// A release of Flux Operator.
    pub fn operator(&mut self, version: &Version) {
        self.operator.insert(version.to_string());
    }

    /// A command.
    pub fn tool(&mut self, name: &str) {
        self.tools.insert(name.into());
    }

    /// What a manifest makes the cluster pull: the controllers of a FluxInstance.
    fn manifest(&mut self, manifest: &Value) {
        if manifest["kind"] != "FluxInstance" {
            return;
        }
        let Some(version) = manifest["spec"]["distribution"]["version"].as_str() else { return };
        match manifest["spec"]["components"].as_array() {
            Some(named) => self.controllers(version, named.iter().filter_map(Value::as_str).map(Into::into)),
            None => self.controllers(version, Component::DEFAULTS.map(|c| c.to_string())),
        }
    }
}

/// Plans a scenario for a cell. It should have passed lint: what lint rejects is left out here.
pub fn plan(scenario: &Scenario, cell: &Cell, files: &dyn Files) -> Plan {
    let agent = scenario.probes.iter().any(|probe| probe.asks_from(From::Inside));
    let mut images = Linter::new(files).images(scenario);
    images.retain(|image| !image.starts_with(OWN_IMAGES));
    let mut needs = Needs { agent, images, ..Needs::default() };
    for step in scenario.steps() {
        step.action().needs(scenario, &mut needs);
        if let Step::Apply(apply) = &step.value {
            match &apply.manifests {
                Manifests::Inline(manifest) => needs.manifest(&Value::Object(manifest.value.clone())),
                Manifests::File(file) => {
                    let text = folders::locate(scenario, file, files).and_then(|path| files.read(&path));
                    let documents = text.and_then(|text| serde_saphyr::from_str_multiple::<Value, Vec<_>>(&text).ok());
                    documents.iter().flatten().for_each(|manifest| needs.manifest(manifest));
                }
            }
        }
    }
    let planned = |step: &Spanned<Step>| planned_step(step, scenario);
    let phases = scenario.phases.iter().map(|phase| PlannedPhase {
        name: phase.phase.value.clone(),
        budget: phase.budget,
        changes: phase.changes.iter().map(ToString::to_string).collect(),
        steps: phase.steps.iter().map(planned).collect(),
        rollback: phase.rollback.iter().map(planned).collect(),
    });
    let phases: Vec<PlannedPhase> = phases.collect();
    let estimate = Estimate::of(scenario, cell, &needs, &phases, files);
    Plan {
        scenario: scenario.id(),
        summary: scenario.summary.value.clone(),
        cell: cell.clone(),
        cluster: scenario.cluster.to_string(),
        fleet: scenario.fleet.to_string(),
        probes: scenario.probes.iter().flat_map(|probe| planned_probes(probe)).collect(),
        phases,
        invariants: scenario.invariants.iter().map(|judged| judged.value.clone()).collect(),
        proof: scenario.proof.clone(),
        expect: scenario.expect.as_ref().map(|e| e.value.clone()),
        needs,
        estimate,
    }
}

fn planned_step(step: &Spanned<Step>, scenario: &Scenario) -> PlannedStep {
    let action = step.action();
    PlannedStep {
        kind: step.kind(),
        title: action.title(scenario),
        deadline: action.deadline(scenario),
        place: scenario.place(step.span),
        steps: action.nested().iter().map(|step| planned_step(step, scenario)).collect(),
    }
}

fn planned_probes(probe: &Probe) -> Vec<PlannedProbe> {
    let (kind, rate) = (probe.kind(), probe.question().rate().to_string());
    let planned = |sampled: Sampled| PlannedProbe {
        name: sampled.name,
        kind,
        target: sampled.target,
        from: sampled.from,
        connection: sampled.connection,
        rate: rate.clone(),
    };
    probe.question().sampled().into_iter().map(planned).collect()
}

/// As `ferry plan` prints it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} — {}", self.scenario, self.summary)?;
        writeln!(f, "  cell     {}", self.cell)?;
        writeln!(f, "  cluster  {}", self.cluster)?;
        writeln!(f, "  fleet    {}", self.fleet)?;
        for probe in &self.probes {
            writeln!(f, "  probe    {} {} at {}", probe.name, probe.target, probe.rate)?;
        }
        if !self.invariants.is_empty() {
            writeln!(f, "  judged   {}", crate::names::and(&self.invariants))?;
        }
        writeln!(f, "  proof    {}", self.proof)?;
        if let Some(expect) = &self.expect {
            writeln!(f, "  expect   {expect}")?;
        }
        let mut number = 0;
        for phase in &self.phases {
            let Budget { failed, longest } = phase.budget;
            writeln!(f, "\n{} (budget: {failed} failed, outage {longest})", phase.name)?;
            if !phase.changes.is_empty() {
                writeln!(f, "      meant to change {}", crate::names::and(&phase.changes))?;
            }
            for (steps, mark) in [(&phase.steps, ""), (&phase.rollback, "rollback: ")] {
                steps.iter().try_for_each(|step| line(f, step, mark, 0, &mut number))?;
            }
        }
        writeln!(f, "\nneeds")?;
        f.write_str(&self.needs.to_string())?;
        write!(f, "\nestimate\n{}", self.estimate)
    }
}

/// A step and those within it, indented.
fn line(f: &mut fmt::Formatter<'_>, step: &PlannedStep, mark: &str, depth: usize, number: &mut usize) -> fmt::Result {
    *number += 1;
    let limit = crate::text::HumanDuration::from(step.deadline.limit);
    writeln!(f, "  {number:>2}  {:depth$}{mark}{} (≤ {limit})", "", step.title)?;
    step.steps.iter().try_for_each(|inner| line(f, inner, "", depth + 2, number))
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (version, components) in &self.flux {
            let components: Vec<&str> = components.iter().map(String::as_str).collect();
            writeln!(text, "  Flux {version}: {}", components.join(", "))?;
        }
        self.flux_cli.iter().try_for_each(|version| writeln!(text, "  flux command {version}"))?;
        self.operator.iter().try_for_each(|version| writeln!(text, "  Flux Operator {version}"))?;
        self.tools.iter().try_for_each(|tool| writeln!(text, "  {tool}"))?;
        self.images.iter().try_for_each(|image| writeln!(text, "  {image}"))?;
        if self.agent {
            text += "  the probe agent\n";
        }
        f.write_str(if text.is_empty() { "  nothing beyond every run's own\n" } else { &text })
    }
}

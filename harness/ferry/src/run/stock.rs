//! What of the bundle a run needs: its nodes, its tools, and the images that its pods run.

use std::collections::BTreeSet;
use std::path::Path;

use ferry_lab::bundle::Bundle;
use ferry_lab::bundle::model::Recipe;
use ferry_lab::cluster::{Profile, ProviderName};
use ferry_scenario::plan::Needs;
use ferry_scenario::probes::From as Vantage;
use ferry_scenario::steps::{ExecIn, Step};
use ferry_scenario::text::Version;
use ferry_scenario::{Cell, Place, Scenario};

use super::stage::{AGENT_IMAGE, DNS_IMAGE, WORKLOAD_IMAGE};
use crate::cli::Images;
use crate::edge::Problem;

/// The image of the pod that proves that names resolve, for nodes whose own image does not hold it.
pub const DNS: &str = "busybox-image";

/// The demo workload's image.
const WORKLOAD: &str = "ferry-workload-image";

/// The probe agent's image.
const AGENT: &str = "ferry-agent-image";

/// What charts are installed with.
const HELM: &str = "helm";

/// The tools that ferry itself calls.
const TOOLBOX: &str = "toolbox";

/// These and all others, which take some minutes more to build.
const TOOLBOX_FULL: &str = "toolbox-full";

/// What every run needs.
const ALWAYS: [&str; 2] = ["gitserver", "registry-lab"];

/// Ending of the name of kind's nodes that have its own pod network.
const OWN_NETWORK: &str = "lab";

/// A run's part of the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// All components.
    pub components: Vec<String>,
    /// The component that nodes are made from.
    pub node: String,
    /// The component that the toolbox is made from.
    pub toolbox: String,
    /// Images that are loaded into the nodes: the component, and the name that manifests use.
    pub loaded: Vec<(String, String)>,
}

impl Stock {
    /// Of a scenario in a cell, whose pods run `images`.
    ///
    /// # Errors
    /// When the bundle lacks a release that is asked for.
    pub fn of(
        scenario: &Scenario,
        cell: &Cell,
        profile: &Profile,
        images: &BTreeSet<String>,
        bundle: &Bundle,
    ) -> Result<Self, Problem> {
        let node = node(scenario, cell, profile, bundle)?;
        let held = held(bundle, &node);
        let agent = asks_from_inside(scenario).then(|| (AGENT.to_owned(), AGENT_IMAGE.to_owned()));
        let loaded: Vec<_> = std::iter::once((WORKLOAD.to_owned(), WORKLOAD_IMAGE.to_owned()))
            .chain(agent)
            .chain(
                images
                    .iter()
                    .filter(|image| !held.contains(image.as_str()))
                    .filter_map(|image| Some((published(bundle, image)?, image.clone()))),
            )
            .collect();
        let mut wanted: BTreeSet<String> = ALWAYS.iter().map(ToString::to_string).collect();
        wanted.extend(loaded.iter().map(|(component, _)| component.clone()));
        wanted.insert(node.clone());
        if provider(scenario, cell)? == ProviderName::K3s {
            wanted.insert(DNS.into());
        }
        let place = scenario.place(scenario.flux.version.span);
        wanted.insert(component(bundle, "Flux", "flux-cli", &scenario.flux.version.to_string(), &place)?);
        let mut tools = BTreeSet::from([format!("flux-{}", scenario.flux.version)]);
        for step in scenario.steps() {
            let mut needs = Needs::default();
            step.action().needs(scenario, &mut needs);
            let place = scenario.place(step.span);
            for version in &needs.flux_cli {
                wanted.insert(component(bundle, "Flux", "flux-cli", version, &place)?);
                tools.insert(format!("flux-{version}"));
            }
            for version in &needs.operator {
                // Its image is part of the registry and of the nodes, its manifests and its chart are part of the toolbox.
                component(bundle, "Flux Operator", "flux-operator", version, &place)?;
            }
            tools.extend(needs.tools.contains(HELM).then(|| HELM.to_owned()));
        }
        let toolbox = toolbox(scenario, &tools, bundle).to_owned();
        wanted.insert(toolbox.clone());
        Ok(Self { components: wanted.into_iter().collect(), node, toolbox, loaded })
    }

    /// Refuses what cannot be had the way that images are to be had, before anything is started for it.
    ///
    /// # Errors
    /// When something can only be pulled, and all is to be built.
    pub fn can_be_had(&self, scenario: &Scenario, bundle: &Bundle, images: Images) -> Result<(), Problem> {
        if images != Images::Source {
            return Ok(());
        }
        let component = |name: &String| bundle.components.get(name).filter(|component| component.source.is_none());
        let pulled = self.components.iter().find_map(component).and_then(|component| component.registry.as_ref());
        let Some(registry) = pulled else { return Ok(()) };
        let what = format!("{}: {} cannot be built from source, only pulled", scenario.id(), registry.reference);
        let instead = "run it with `--images registry` where that can be reached, or the other cells: `--filter 'provider(kind)'`";
        Err(Problem::infra(what).hint(instead.to_string()))
    }
}

/// Who makes the clusters of a cell.
fn provider(scenario: &Scenario, cell: &Cell) -> Result<ProviderName, Problem> {
    cell.provider.parse().map_err(|e| Problem::infra(format!("{}: its cluster", scenario.id())).because(e))
}

/// The bundle's component that nodes of a cell are made from.
pub fn node(scenario: &Scenario, cell: &Cell, profile: &Profile, bundle: &Bundle) -> Result<String, Problem> {
    let network = profile.pod_network.as_deref();
    let (before, after) = match provider(scenario, cell)? {
        ProviderName::Kind => ("node-", format!("-{}", network.unwrap_or(OWN_NETWORK))),
        ProviderName::K3s => ("k3s-", String::new()),
    };
    let releases: Vec<&str> = bundle
        .components
        .keys()
        .filter_map(|name| name.strip_prefix(before)?.strip_suffix(after.as_str()))
        .filter(|version| is_release(version))
        .collect();
    let wanted = format!("{}.", cell.kubernetes);
    if let Some(version) = releases.iter().find(|version| version.starts_with(&wanted)) {
        return Ok(format!("{before}{version}{after}"));
    }
    let with = network.map(|network| format!(" with the pod network {network}")).unwrap_or_default();
    let what =
        format!("{}: Kubernetes {} of {}{with} is not in the bundle", scenario.id(), cell.kubernetes, cell.provider);
    let has = if releases.is_empty() { "nothing with that network".to_string() } else { releases.join(" and ") };
    Err(Problem::infra(what).hint(format!("the bundle has {has}")))
}

/// The tools of a run. A command of the scenario's own may call any of them.
fn toolbox(scenario: &Scenario, tools: &BTreeSet<String>, bundle: &Bundle) -> &'static str {
    let recipe = bundle.components.get(TOOLBOX).and_then(|component| component.source.as_ref());
    let has = |tool: &String| match recipe {
        Some(Recipe::Dockerfile(recipe)) => recipe.inputs.contains_key(&format!("bin/{tool}")),
        _ => false,
    };
    let calls = |step: &Step| matches!(step, Step::Exec(exec) if exec.r#in.value == ExecIn::Toolbox);
    let is_enough = tools.iter().all(has) && !scenario.steps().any(|step| calls(&step.value));
    if is_enough { TOOLBOX } else { TOOLBOX_FULL }
}

/// The images that a node's own image holds; on k3s the one that is loaded when it boots.
fn held<'a>(bundle: &'a Bundle, node: &'a str) -> BTreeSet<&'a str> {
    let mut held = BTreeSet::from([DNS_IMAGE]);
    let mut next = Some(node);
    while let Some(component) = next.and_then(|name| bundle.components.get(name)) {
        next = match &component.source {
            Some(Recipe::Commit(recipe)) => {
                held.extend(recipe.images.keys().map(String::as_str));
                Some(&recipe.base)
            }
            Some(Recipe::Dockerfile(recipe)) => recipe.base.as_deref(),
            _ => None,
        };
    }
    held
}

/// The component whose image has a name that manifests use.
fn published(bundle: &Bundle, image: &str) -> Option<String> {
    let mut components = bundle.components.iter();
    components.find_map(|(name, component)| (component.image.as_deref() == Some(image)).then(|| name.clone()))
}

/// Whether a probe of it needs an agent in the cluster.
fn asks_from_inside(scenario: &Scenario) -> bool {
    scenario.probes.iter().any(|probe| probe.asks_from(Vantage::Inside))
}

/// The bundle's component `name-version`, if there is one.
fn component(bundle: &Bundle, what: &str, name: &str, version: &str, place: &Place) -> Result<String, Problem> {
    let wanted = format!("{name}-{version}");
    if bundle.components.contains_key(&wanted) {
        return Ok(wanted);
    }
    let versions = bundle.components.keys().filter_map(|known| known.strip_prefix(name)?.strip_prefix('-'));
    let known: Vec<_> = versions.filter(|version| is_release(version)).collect();
    Err(Problem::usage(format!("{place}: {what} {version} is not in the bundle"))
        .hint(format!("the bundle has {}", known.join(" and "))))
}

/// Whether a part of a component's name is a release, and not `0.59.0-image`.
fn is_release(version: &str) -> bool {
    version.parse::<Version>().is_ok_and(|version| version.get().pre.is_empty())
}

/// The cluster profile that a scenario names, for a cell.
pub fn profile(scenarios: &Path, scenario: &Scenario, cell: &Cell) -> Result<Profile, Problem> {
    let profiles = scenarios.join("../kind-configs");
    Profile::load(&profiles, provider(scenario, cell)?, &scenario.cluster.value.to_string()).map_err(|e| {
        Problem::usage(format!("{}: the cluster's profile", scenario.place(scenario.cluster.span))).because(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "
scenario: example
summary: s
cluster: single-node
fleet: fleets/web
flux: {version: 2.9.2}
probes: []
phases:
  - phase: a
    steps: [STEP]
";

    fn profile(name: &str) -> Profile {
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kind-configs");
        Profile::load(&profiles, ProviderName::Kind, name).unwrap()
    }

    #[test]
    fn a_profile_with_a_pod_network_has_nodes_of_its_own() {
        let scenario =
            ferry_scenario::parse("a/example.yaml", &SCENARIO.replace("STEP", "sleep: {for: 1s, reason: r}"));
        let (scenario, bundle) = (scenario.unwrap(), ferry_lab::bundle::load().unwrap());
        let node = |profile: &Profile| {
            node(&scenario, &scenario.cell, profile, &bundle)
                .map_err(|problem| format!("{problem} ({})", problem.help_text().unwrap_or_default()))
        };
        assert_eq!(node(&profile("single-node")).unwrap(), "node-1.34.4-lab");
        assert_eq!(node(&profile("cilium")).unwrap(), "node-1.34.4-cilium");
        let unknown = Profile { pod_network: Some("weave".into()), ..profile("cilium") };
        insta::assert_snapshot!(node(&unknown).unwrap_err(), @"a/example: Kubernetes 1.34 of kind with the pod network weave is not in the bundle (the bundle has nothing with that network)");
    }

    fn of(step: &str) -> Result<Vec<String>, String> {
        let scenario = ferry_scenario::parse("a/example.yaml", &SCENARIO.replace("STEP", step)).unwrap();
        let profile = profile("single-node");
        Stock::of(&scenario, &scenario.cell, &profile, &BTreeSet::new(), &ferry_lab::bundle::load().unwrap())
            .map(|stock| stock.components)
            .map_err(|problem| format!("{problem} ({})", problem.help_text().unwrap_or_default()))
    }

    #[test]
    fn a_k3s_cell_takes_its_nodes_from_a_registry_or_says_so_at_once() {
        let scenario =
            ferry_scenario::parse("a/example.yaml", &SCENARIO.replace("STEP", "sleep: {for: 1s, reason: r}"));
        let (scenario, bundle) = (scenario.unwrap(), ferry_lab::bundle::load().unwrap());
        for kubernetes in ["1.33", "1.34", "1.35", "1.36"] {
            let cell = Cell { kubernetes: kubernetes.into(), provider: "k3s".into(), ..scenario.cell.clone() };
            let stock = Stock::of(&scenario, &cell, &profile("single-node"), &BTreeSet::new(), &bundle).unwrap();
            let wanted = &stock.components;
            assert!(wanted.iter().any(|name| name.starts_with(&format!("k3s-{kubernetes}."))), "{wanted:?}");
            assert!(
                wanted.contains(&DNS.to_owned())
                    && !wanted.iter().any(|name| name.ends_with("-lab") && name.starts_with("node-"))
            );
            assert!(stock.can_be_had(&scenario, &bundle, Images::Registry).is_ok());
            let refused = stock.can_be_had(&scenario, &bundle, Images::Source).unwrap_err();
            assert!(refused.to_string().contains("docker.io/rancher/k3s:v1.3"), "{refused}");
            assert_eq!(refused.exit(), crate::edge::Exit::Infra);
        }
        let kind = Stock::of(&scenario, &scenario.cell, &profile("single-node"), &BTreeSet::new(), &bundle).unwrap();
        assert!(kind.can_be_had(&scenario, &bundle, Images::Source).is_ok());
    }

    #[test]
    fn a_release_that_a_provider_lacks_is_told_with_those_it_has() {
        let scenario =
            ferry_scenario::parse("a/example.yaml", &SCENARIO.replace("STEP", "sleep: {for: 1s, reason: r}"));
        let (scenario, bundle) = (scenario.unwrap(), ferry_lab::bundle::load().unwrap());
        let cell = Cell { kubernetes: "1.20".into(), provider: "k3s".into(), ..scenario.cell.clone() };
        let error = node(&scenario, &cell, &profile("single-node"), &bundle).unwrap_err();
        assert_eq!(error.to_string(), "a/example: Kubernetes 1.20 of k3s is not in the bundle");
        assert!(error.help_text().unwrap().starts_with("the bundle has 1.33."));
    }

    #[test]
    fn every_flux_command_that_a_step_calls_is_a_component() {
        let tools = |step| of(step).unwrap().into_iter().filter(|name| name.starts_with("flux-")).collect::<Vec<_>>();
        assert_eq!(tools("sleep: {for: 1s, reason: r}"), ["flux-cli-2.9.2"]);
        assert_eq!(tools("flux: {args: [check], version: 2.9.4}"), ["flux-cli-2.9.2", "flux-cli-2.9.4"]);
        assert_eq!(tools("push-artifact: {to: fleet, version: 2.9.4}"), ["flux-cli-2.9.2", "flux-cli-2.9.4"]);
        assert_eq!(tools("install-operator: {version: 0.59.0, via: helm}"), ["flux-cli-2.9.2"]);
    }

    #[test]
    fn a_version_that_is_not_in_the_bundle_is_told_at_its_step() {
        let steps = ["flux: {args: [check], version: 2.8.0}", "install-operator: {version: 0.58.0}"];
        insta::assert_snapshot!(steps.map(|step| of(step).unwrap_err()).join("\n"), @r"
        a/example.yaml:10:13: Flux 2.8.0 is not in the bundle (the bundle has 2.9.2 and 2.9.4)
        a/example.yaml:10:13: Flux Operator 0.58.0 is not in the bundle (the bundle has 0.59.0)
        ");
    }

    #[test]
    fn an_image_that_the_fleet_runs_is_loaded_if_the_bundle_has_it_and_the_node_does_not() {
        let scenario =
            ferry_scenario::parse("a/example.yaml", &SCENARIO.replace("STEP", "sleep: {for: 1s, reason: r}")).unwrap();
        let bundle = ferry_lab::bundle::load().unwrap();
        let held = ["registry.ferry:5000/lab/busybox:v1", "registry.k8s.io/coredns/coredns:v1.12.1"];
        let images = ["registry.ferry:5000/lab/prometheus:v1", "docker.io/library/nginx:1"];
        let images = images.into_iter().chain(held).map(str::to_owned).collect();
        let stock = Stock::of(&scenario, &scenario.cell, &profile("single-node"), &images, &bundle).unwrap();
        let extra = ("prometheus-image".to_owned(), "registry.ferry:5000/lab/prometheus:v1".to_owned());
        assert_eq!(stock.loaded, [(WORKLOAD.to_owned(), WORKLOAD_IMAGE.to_owned()), extra]);
        assert!(stock.components.contains(&"prometheus-image".to_owned()));
        assert!(!of("sleep: {for: 1s, reason: r}").unwrap().contains(&"prometheus-image".to_owned()));
    }

    #[test]
    fn all_tools_are_there_for_a_scenario_that_calls_more_than_ferry_does() {
        let toolbox = |step| {
            let wanted = of(step).unwrap();
            wanted.into_iter().filter(|name| name.starts_with("toolbox")).collect::<Vec<_>>()
        };
        assert_eq!(toolbox("sleep: {for: 1s, reason: r}"), [TOOLBOX]);
        assert_eq!(toolbox("flux: {args: [check]}"), [TOOLBOX]);
        assert_eq!(toolbox("exec: {in: host, command: [helm]}"), [TOOLBOX]);
        for more in [
            "flux: {args: [check], version: 2.9.4}",
            "install-operator: {version: 0.59.0, via: helm}",
            "exec: {in: toolbox, command: [sh, -c, helm list]}",
            "parallel: [exec: {in: toolbox, command: [kubectl, version]}]",
        ] {
            assert_eq!(toolbox(more), [TOOLBOX_FULL], "{more}");
        }
    }
}

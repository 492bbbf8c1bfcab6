//! The lab as one run uses it: network, git server, registry, toolbox and cluster, made together and removed together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferry_lab::bundle::{Bundle, Prepared};
use ferry_lab::cluster::{
    Cluster as LabCluster, ClusterRequest, Deadlines, K3s, Kind, Profile, Provider, ProviderName,
};
use ferry_lab::container::ContainerError;
use ferry_lab::engine::Engine;
use ferry_lab::git::GitServer;
use ferry_lab::hog;
use ferry_lab::network::Network;
use ferry_lab::registry::Registry;
use ferry_lab::run::{Credentials, RunScope};
use ferry_lab::toolbox::Toolbox;
use ferry_record::EventKind;
use ferry_record::event::Level;
use ferry_scenario::plan::Needs;
use ferry_scenario::probes::From as Vantage;
use ferry_scenario::text::{RelPath, Version};
use ferry_scenario::vars::TEMPLATE;
use ferry_scenario::{Cell, Disk, Place, Scenario, folders};

use super::fleet::{self, Fleet};
use super::recorder::Recorder;
use crate::cli::Images;
use crate::edge::Problem;
use crate::steps::StepError;

/// Where Flux' images are in the lab's registry, as `flux bootstrap --registry` and FluxInstance name it.
pub const FLUX_REGISTRY: &str = "registry.ferry:5000/fluxcd";

/// The operator's image in the lab's registry, without its tag.
pub const OPERATOR_IMAGE: &str = "registry.ferry:5000/controlplaneio-fluxcd/flux-operator";

/// The demo workload's image as fleets name it; it is loaded into the nodes and never pulled.
pub const WORKLOAD_IMAGE: &str = "ferry.local/workload:dev";

/// Where the operator's release manifests and its chart are in the toolbox.
const OPERATOR_FILES: &str = "/usr/local/share/flux-operator";

/// That image in the bundle, for nodes whose own image does not hold it.
const DNS: &str = "busybox-image";

/// The image, in every node, of the pod that proves that names resolve.
const DNS_IMAGE: &str = "registry.ferry:5000/lab/busybox:v1";

/// What a run's cluster is called where there is only one.
const CLUSTER: &str = "main";

/// The probe agent's image, by which its manifest names it.
pub const AGENT_IMAGE: &str = "ferry.local/agent:dev";

/// The demo workload's image in the bundle.
const WORKLOAD: &str = "ferry-workload-image";

/// The probe agent's image in the bundle.
const AGENT: &str = "ferry-agent-image";

/// Components of the bundle that every run needs.
const ALWAYS: [&str; 4] = ["toolbox", "gitserver", "registry-lab", WORKLOAD];

/// What the lab is built from and by, before anything of it stands.
#[derive(Debug)]
pub struct Plot {
    engine: Engine,
    scope: RunScope,
    prepared: Prepared,
    profile: Profile,
    /// The nodes' image in the bundle.
    node: String,
    network: Network,
    /// Whom the OCI registry lets in. Known before it starts, as some nodes must know it when they boot.
    credentials: Credentials,
    /// Names of the clusters, the first one first.
    pub clusters: Vec<String>,
    /// Makes the clusters.
    pub provider: Arc<dyn Provider>,
}

/// The whole lab of one run, ready for its scenario, as it is around one of its clusters.
#[derive(Debug)]
pub struct Stage {
    engine: Engine,
    scope: RunScope,
    scenarios: PathBuf,
    git: Arc<GitServer>,
    registry: Arc<Registry>,
    toolbox: Toolbox,
    toolbox_image: String,
    name: String,
    cluster: LabCluster,
    provider: Arc<dyn Provider>,
    profile: Profile,
    /// The same around the run's other clusters.
    others: Vec<Stage>,
}

/// Ending of the name of kind's nodes that have its own pod network.
const OWN_NETWORK: &str = "lab";

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

/// Refuses what cannot be had the way that images are to be had, before anything is started for it.
pub fn can_be_had(scenario: &Scenario, wanted: &[String], bundle: &Bundle, images: Images) -> Result<(), Problem> {
    if images != Images::Source {
        return Ok(());
    }
    let component = |name: &String| bundle.components.get(name).filter(|component| component.source.is_none());
    let Some(registry) = wanted.iter().find_map(component).and_then(|component| component.registry.as_ref()) else {
        return Ok(());
    };
    Err(Problem::infra(format!("{}: {} cannot be built from source, only pulled", scenario.id(), registry.reference))
        .hint(
        "run it with `--images registry` where that can be reached, or the other cells: `--filter 'provider(kind)'`"
            .to_string(),
    ))
}

/// The bundle's components that a run of the scenario in a cell needs.
pub fn components(
    scenario: &Scenario,
    cell: &Cell,
    profile: &Profile,
    bundle: &Bundle,
) -> Result<Vec<String>, Problem> {
    let mut wanted: BTreeSet<String> = ALWAYS.iter().map(ToString::to_string).collect();
    wanted.insert(node(scenario, cell, profile, bundle)?);
    if provider(scenario, cell)? == ProviderName::K3s {
        wanted.insert(DNS.into());
    }
    if asks_from_inside(scenario) {
        wanted.insert(AGENT.into());
    }
    let place = scenario.place(scenario.flux.version.span);
    wanted.insert(component(bundle, "Flux", "flux-cli", &scenario.flux.version.to_string(), &place)?);
    for step in scenario.steps() {
        let mut needs = Needs::default();
        step.action().needs(scenario, &mut needs);
        let place = scenario.place(step.span);
        for version in &needs.flux_cli {
            wanted.insert(component(bundle, "Flux", "flux-cli", version, &place)?);
        }
        for version in &needs.operator {
            // Its image is part of the registry and of the nodes, its manifests and its chart are part of the toolbox.
            component(bundle, "Flux Operator", "flux-operator", version, &place)?;
        }
    }
    Ok(wanted.into_iter().collect())
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

impl Plot {
    /// Makes the run's network.
    pub async fn stake(
        engine: &Engine,
        scope: &RunScope,
        prepared: Prepared,
        profile: Profile,
        node: String,
        scenario: &Scenario,
    ) -> Result<Self, Problem> {
        let network = Network::create(engine, scope).await.map_err(|e| broken("the run's network", e))?;
        let (engine, run) = (engine.clone(), scope.clone());
        let provider: Arc<dyn Provider> = match profile.provider {
            ProviderName::Kind => {
                let toolbox_image = prepared.image("toolbox")?.to_string();
                Arc::new(Kind { engine: engine.clone(), run, network: network.clone(), toolbox_image })
            }
            ProviderName::K3s => Arc::new(K3s { engine: engine.clone(), run, network: network.clone() }),
        };
        let credentials = Credentials::random("flux");
        let scope = scope.clone();
        let clusters = clusters(scenario);
        Ok(Self { engine, scope, prepared, profile, node, network, credentials, clusters, provider })
    }

    /// Builds everything: the servers, with the fleet pushed, while the clusters boot.
    pub async fn build(&self, scenarios: &Path, scenario: &Scenario, recorder: &Recorder) -> Result<Stage, Problem> {
        let booting = self.clusters.iter().map(|name| self.cluster(name, scenario, recorder));
        let ((git, registry, toolbox), booted) =
            tokio::try_join!(self.servers(scenarios, scenario, recorder), futures::future::try_join_all(booting))?;
        let (git, registry) = (Arc::new(git), Arc::new(registry));
        let mut stages = Vec::new();
        for (name, cluster) in self.clusters.iter().zip(booted) {
            let toolbox = if stages.is_empty() { toolbox.clone() } else { toolbox.beside(name) };
            let known = toolbox.know_cluster(&cluster.internal_kubeconfig.0);
            known.await.map_err(|e| broken("the toolbox", e))?;
            stages.push(Stage {
                engine: self.engine.clone(),
                scope: self.scope.clone(),
                scenarios: scenarios.to_path_buf(),
                git: Arc::clone(&git),
                registry: Arc::clone(&registry),
                toolbox,
                toolbox_image: self.prepared.image("toolbox")?.into(),
                name: name.clone(),
                cluster,
                provider: self.provider.clone(),
                profile: self.profile.clone(),
                others: vec![],
            });
        }
        let mut stages = stages.into_iter();
        let first = stages.next().ok_or_else(|| Problem::infra("a run has a cluster"))?;
        Ok(Stage { others: stages.collect(), ..first })
    }

    async fn servers(
        &self,
        scenarios: &Path,
        scenario: &Scenario,
        recorder: &Recorder,
    ) -> Result<(GitServer, Registry, Toolbox), Problem> {
        let image = |name: &str| self.prepared.image(name).map_err(Problem::from);
        let (git, registry, tools) = (image("gitserver")?, image("registry-lab")?, image("toolbox")?);
        let (engine, scope, network) = (&self.engine, &self.scope, &self.network);
        let (registry, git, toolbox) = tokio::try_join!(
            async {
                let started = Registry::start(engine, scope, network, registry, self.credentials.clone());
                started.await.map_err(|e| broken("the OCI registry", e))
            },
            async { GitServer::start(engine, scope, network, git).await.map_err(|e| broken("the git server", e)) },
            async { Toolbox::start(engine, scope, network, tools).await.map_err(|e| broken("the toolbox", e)) },
        )?;
        for secret in [&git.credentials.password, &registry.credentials.password, &registry.credentials.basic()] {
            recorder.conceal(secret);
        }
        toolbox.know_servers(&git, &registry).await.map_err(|e| broken("the toolbox", e))?;
        Fleet::push_first(&toolbox, &git.ssh_url(), &scenarios.join(scenario.fleet.value.as_str()), scenario)
            .await
            .map_err(|e| Problem::infra("the fleet could not be pushed to the git server").because(e))?;
        Ok((git, registry, toolbox))
    }

    /// A cluster, usable, with the demo workload's image on its nodes.
    async fn cluster(&self, name: &str, scenario: &Scenario, recorder: &Recorder) -> Result<LabCluster, Problem> {
        // kind's nodes hold it from the start.
        let images = match self.profile.provider {
            ProviderName::Kind => vec![],
            ProviderName::K3s => vec![(self.prepared.image(DNS)?.into(), DNS_IMAGE.into())],
        };
        let request = ClusterRequest {
            name: name.into(),
            profile: self.profile.clone(),
            node_image: self.prepared.image(&self.node)?.into(),
            images,
            dns_image: DNS_IMAGE.into(),
            resolvable: vec![ferry_lab::git::HOST.into()],
            registry: self.credentials.clone(),
            deadlines: Deadlines::default(),
        };
        let not_yet = |why: ferry_lab::cluster::NotUsableYet| {
            let of = if self.clusters.len() > 1 { format!("{name}: ") } else { String::new() };
            let message = format!("not yet: {of}{}: {}", why.stage, why.reason);
            recorder.emit(EventKind::Log { level: Level::Debug, message });
        };
        let cluster =
            self.provider.create(&request, &not_yet).await.map_err(|e| {
                broken("the cluster", e).hint("`--keep on-failure` leaves it to be looked at".to_string())
            })?;
        let first = self.clusters.first().is_some_and(|first| first == name);
        recorder.fact(&if first { "cluster".to_owned() } else { format!("cluster.{name}") }, &cluster.name);
        let agent = asks_from_inside(scenario).then_some((AGENT, AGENT_IMAGE));
        for (component, image) in [(WORKLOAD, WORKLOAD_IMAGE)].into_iter().chain(agent) {
            let loaded = self.provider.load_image(&cluster, self.prepared.image(component)?, image).await;
            loaded.map_err(|e| broken(&format!("the image {image} could not be loaded into the nodes"), e))?;
        }
        Ok(cluster)
    }
}

/// Names of the clusters that a run of a scenario has, the first one first.
fn clusters(scenario: &Scenario) -> Vec<String> {
    match scenario.clusters.as_slice() {
        [] => vec![CLUSTER.to_owned()],
        several => several.iter().map(|name| name.to_string()).collect(),
    }
}

impl Stage {
    /// The lab around each of the run's clusters, the first one first.
    pub fn all(&self) -> impl Iterator<Item = &Stage> {
        std::iter::once(self).chain(&self.others)
    }

    /// What the scenario calls the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kubeconfig for this host.
    pub fn kubeconfig(&self) -> &Path {
        &self.cluster.kubeconfig
    }

    /// The git server.
    pub fn git(&self) -> &GitServer {
        &self.git
    }

    /// The OCI registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The cluster, from outside.
    pub fn cluster(&self) -> &LabCluster {
        &self.cluster
    }

    /// What made the cluster, and can do to it what its own API cannot.
    pub fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    /// The container in which flux, kubectl, helm and git run.
    pub fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    /// Leaves next to no processor time on the engine's machine for anything else, for `time`.
    pub async fn starve(&self, time: Duration) -> Result<(), ContainerError> {
        hog::starve(&self.engine, &self.scope, &self.toolbox_image, time).await
    }

    /// The loopback port of this host on which a node port of the profile answers.
    pub fn published(&self, node_port: u16) -> Result<u16, StepError> {
        let name = self.profile.ports.iter().find_map(|(name, port)| (*port == node_port).then_some(name));
        name.and_then(|name| self.cluster.ports.get(name)).copied().ok_or_else(|| {
            let known: Vec<_> = self.profile.ports.values().map(u16::to_string).collect();
            StepError::mismatch(
                format!("the cluster's profile publishes no node port {node_port}"),
                format!("it publishes {}", known.join(", ")),
            )
        })
    }

    /// The text of a file that a step names: beside the scenario, or in its fleet.
    pub fn scenario_file(&self, scenario: &Scenario, file: &RelPath) -> Result<String, StepError> {
        let files = Disk::new(&self.scenarios);
        let path = folders::locate(scenario, file, &files)
            .ok_or_else(|| StepError::mismatch(format!("there is no file {file}"), None))?;
        let text = fs_err::read_to_string(files.path(&path))?;
        if path.ends_with(TEMPLATE) { fleet::render(scenario, &path, &text) } else { Ok(text) }
    }

    /// The install manifests of Flux Operator, as upstream releases them.
    pub async fn operator_manifests(&self) -> Result<String, StepError> {
        Ok(self.toolbox().exec(["cat".to_string(), format!("{OPERATOR_FILES}/install.yaml")]).succeed().await?.stdout)
    }

    /// Where the operator's chart is in the toolbox.
    pub fn operator_chart(version: &Version) -> String {
        format!("{OPERATOR_FILES}/flux-operator-{version}.tgz")
    }
}

/// The cluster profile that a scenario names, for a cell.
pub fn profile(scenarios: &Path, scenario: &Scenario, cell: &Cell) -> Result<Profile, Problem> {
    let profiles = scenarios.join("../kind-configs");
    Profile::load(&profiles, provider(scenario, cell)?, &scenario.cluster.value.to_string()).map_err(|e| {
        Problem::usage(format!("{}: the cluster's profile", scenario.place(scenario.cluster.span))).because(e)
    })
}

fn broken(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Problem {
    Problem::infra(what).because(error)
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
        components(&scenario, &scenario.cell, &profile, &ferry_lab::bundle::load().unwrap())
            .map_err(|problem| format!("{problem} ({})", problem.help_text().unwrap_or_default()))
    }

    #[test]
    fn a_k3s_cell_takes_its_nodes_from_a_registry_or_says_so_at_once() {
        let scenario =
            ferry_scenario::parse("a/example.yaml", &SCENARIO.replace("STEP", "sleep: {for: 1s, reason: r}"));
        let (scenario, bundle) = (scenario.unwrap(), ferry_lab::bundle::load().unwrap());
        for kubernetes in ["1.33", "1.34", "1.35", "1.36"] {
            let cell = Cell { kubernetes: kubernetes.into(), provider: "k3s".into(), ..scenario.cell.clone() };
            let wanted = components(&scenario, &cell, &profile("single-node"), &bundle).unwrap();
            assert!(wanted.iter().any(|name| name.starts_with(&format!("k3s-{kubernetes}."))), "{wanted:?}");
            assert!(
                wanted.contains(&DNS.to_owned())
                    && !wanted.iter().any(|name| name.ends_with("-lab") && name.starts_with("node-"))
            );
            assert!(can_be_had(&scenario, &wanted, &bundle, Images::Registry).is_ok());
            let refused = can_be_had(&scenario, &wanted, &bundle, Images::Source).unwrap_err();
            assert!(refused.to_string().contains("docker.io/rancher/k3s:v1.3"), "{refused}");
            assert_eq!(refused.exit(), crate::edge::Exit::Infra);
        }
        let kind = components(&scenario, &scenario.cell, &profile("single-node"), &bundle).unwrap();
        assert!(can_be_had(&scenario, &kind, &bundle, Images::Source).is_ok());
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
}

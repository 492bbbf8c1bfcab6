//! The lab as one run uses it: network, git server, registry, toolbox and cluster, made together and removed together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferry_lab::bundle::Prepared;
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
use ferry_scenario::text::{RelPath, Version};
use ferry_scenario::vars::TEMPLATE;
use ferry_scenario::{Disk, Scenario, folders};

use super::fleet::{self, Fleet};
use super::recorder::Recorder;
use super::stock::{DNS, Stock};
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

/// The image, in every node, of the pod that proves that names resolve.
pub const DNS_IMAGE: &str = "registry.ferry:5000/lab/busybox:v1";

/// What a run's cluster is called where there is only one.
const CLUSTER: &str = "main";

/// The probe agent's image, by which its manifest names it.
pub const AGENT_IMAGE: &str = "ferry.local/agent:dev";

/// What the lab is built from and by, before anything of it stands.
#[derive(Debug)]
pub struct Plot {
    engine: Engine,
    scope: RunScope,
    prepared: Prepared,
    profile: Profile,
    stock: Stock,
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

impl Plot {
    /// Makes the run's network.
    pub async fn stake(
        engine: &Engine,
        scope: &RunScope,
        prepared: Prepared,
        profile: Profile,
        stock: Stock,
        scenario: &Scenario,
    ) -> Result<Self, Problem> {
        let network = Network::create(engine, scope).await.map_err(|e| broken("the run's network", e))?;
        let (engine, run) = (engine.clone(), scope.clone());
        let provider: Arc<dyn Provider> = match profile.provider {
            ProviderName::Kind => {
                let toolbox_image = prepared.image(&stock.toolbox)?.to_string();
                Arc::new(Kind { engine: engine.clone(), run, network: network.clone(), toolbox_image })
            }
            ProviderName::K3s => Arc::new(K3s { engine: engine.clone(), run, network: network.clone() }),
        };
        let credentials = Credentials::random("flux");
        let scope = scope.clone();
        let clusters = clusters(scenario);
        Ok(Self { engine, scope, prepared, profile, stock, network, credentials, clusters, provider })
    }

    /// Builds everything: the servers, with the fleet pushed, while the clusters boot.
    pub async fn build(&self, scenarios: &Path, scenario: &Scenario, recorder: &Recorder) -> Result<Stage, Problem> {
        let booting = self.clusters.iter().map(|name| self.cluster(name, recorder));
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
                toolbox_image: self.prepared.image(&self.stock.toolbox)?.into(),
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
        let (git, registry, tools) = (image("gitserver")?, image("registry-lab")?, image(&self.stock.toolbox)?);
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

    /// A cluster, usable, with the demo workload's image and the fleet's own on its nodes.
    async fn cluster(&self, name: &str, recorder: &Recorder) -> Result<LabCluster, Problem> {
        // kind's nodes hold it from the start.
        let images = match self.profile.provider {
            ProviderName::Kind => vec![],
            ProviderName::K3s => vec![(self.prepared.image(DNS)?.into(), DNS_IMAGE.into())],
        };
        let request = ClusterRequest {
            name: name.into(),
            profile: self.profile.clone(),
            node_image: self.prepared.image(&self.stock.node)?.into(),
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
        for (component, image) in &self.stock.loaded {
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

fn broken(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Problem {
    Problem::infra(what).because(error)
}

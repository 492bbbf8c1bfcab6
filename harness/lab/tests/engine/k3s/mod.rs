//! Clusters of k3s, on a stand-in that keeps the contract of k3s' image, as that image can be neither built nor pulled
//! everywhere. What is proven here is the lab's half of the contract; what k3s itself does is not.

mod image;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use ferry_lab::cluster::{
    Cluster, ClusterError, ClusterRequest, Deadlines, K3s, NotUsable, Profile, Provider, ProviderName, Stage, cut,
};
use ferry_lab::container::ContainerError;
use ferry_lab::gc;
use ferry_lab::git::{self, GitServer};
use ferry_lab::labels;
use ferry_lab::network::Network;
use ferry_lab::run::{Credentials, RunScope};
use ferry_lab::toolbox::Toolbox;

use crate::support::Lab;
use image::with_stand_in;

trials![
    two_nodes_of_k3s_are_usable_loadable_and_leave_nothing,
    a_k3s_server_that_dies_at_boot_is_quoted_at_once,
    a_k3s_agent_that_does_not_join_is_named_at_its_deadline,
    a_k3s_server_that_never_answers_ends_at_its_deadline,
    a_k3s_image_that_is_missing_is_named_and_not_pulled,
    a_dead_run_leaves_no_k3s_nodes,
];

const BUSYBOX: &str = "registry.ferry:5000/lab/busybox:v1";

/// A run's network, a provider on it, and a request for the two nodes of the committed profile.
struct Site {
    k3s: K3s,
    network: Network,
    request: ClusterRequest,
}

impl Site {
    async fn of(lab: &Lab, run: &RunScope, node_image: &str) -> Self {
        let network = Network::create(&lab.engine, run).await.unwrap();
        let k3s = K3s { engine: lab.engine.clone(), run: run.clone(), network: network.clone() };
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kind-configs");
        let request = ClusterRequest {
            name: "main".into(),
            profile: Profile::load(&configs, ProviderName::K3s, "two-node").unwrap(),
            node_image: node_image.into(),
            images: vec![(lab.image("busybox-image").into(), BUSYBOX.into())],
            dns_image: BUSYBOX.into(),
            resolvable: vec![git::HOST.into()],
            registry: Credentials::random("flux"),
            deadlines: Deadlines::default(),
        };
        Self { k3s, network, request }
    }

    /// Makes the stand-in fail: all servers, or all agents.
    fn failing(mut self, server: &str, agent: &str) -> Self {
        let settings = self.request.profile.k3s.as_mut().unwrap();
        settings.server.push(format!("--stand-in={server}"));
        settings.agent.push(format!("--stand-in={agent}"));
        self
    }

    async fn create(&self) -> Result<Cluster, ClusterError> {
        self.k3s.create(&self.request, &|_| ()).await
    }
}

/// Time enough for whatever does happen, on a machine that is busy.
fn short() -> Deadlines {
    let seconds = Duration::from_secs;
    Deadlines { create: seconds(20), api: seconds(20), nodes: seconds(8), dns: seconds(20) }
}

async fn inspect(lab: &Lab, name: &str) -> ContainerInspectResponse {
    lab.engine.docker.inspect_container(name, None::<InspectContainerOptions>).await.unwrap()
}

async fn two_nodes_of_k3s_are_usable_loadable_and_leave_nothing() {
    with_stand_in(two_nodes).await;
}

async fn two_nodes(lab: &Lab, image: &str) {
    let begun = Instant::now();
    let say = |what: &str| eprintln!("{:6.2} s  {what}", begun.elapsed().as_secs_f64());
    let site = Site::of(lab, &lab.run, image).await;
    let _git = GitServer::start(&lab.engine, &lab.run, &site.network, lab.image("gitserver")).await.unwrap();
    let toolbox = Toolbox::start(&lab.engine, &lab.run, &site.network, lab.image("toolbox")).await.unwrap();
    say("git server and toolbox");
    let cluster = match site.create().await {
        Ok(cluster) => cluster,
        Err(error) => panic!("{error}"),
    };
    say("usable");
    let names: Vec<_> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, [format!("{}-control-plane", cluster.name), format!("{}-worker", cluster.name)]);

    kubeconfigs(lab, &cluster, &toolbox).await;
    options(lab, &site, &cluster).await;
    names_from_pods(&cluster).await;
    cuts(&cluster).await;
    say("options, kubeconfigs, names and cuts are right");

    let loaded = "ferry.local/loaded:dev";
    site.k3s.load_image(&cluster, lab.image("busybox-image"), loaded).await.unwrap();
    for node in &cluster.nodes {
        let stored = node.container.exec(["ctr", "--namespace=k8s.io", "images", "list", "--quiet"]).succeed();
        let stored = stored.await.unwrap().stdout;
        assert!([loaded, BUSYBOX].iter().all(|name| stored.lines().any(|line| line == *name)), "{stored}");
    }
    let none = site.k3s.load_image(&cluster, "flux-ferry/none:1", loaded).await.unwrap_err();
    assert!(none.to_string().starts_with("the engine has no image flux-ferry/none:1"), "{none}");
    say("images loaded");

    faults(&site.k3s, &cluster).await;
    say("nodes frozen, killed and back");

    // A node that has ended has logs all the same.
    site.k3s.kill_node(&cluster, "worker").await.unwrap();
    let logs = tempfile::tempdir().unwrap();
    assert_eq!(site.k3s.export_logs("main", logs.path()).await, [""; 0]);
    for node in &cluster.nodes {
        let read = |file: &str| fs_err::read_to_string(logs.path().join(&node.name).join(file)).unwrap();
        assert!(read("k3s.log").contains("Starting k3s"));
        assert!(read("containerd.log").contains("containerd successfully booted"));
        assert_eq!(read("pods/kube-system_coredns_0/coredns/0.log"), "stands in\n");
    }
    say("logs exported");

    site.k3s.delete("main").await.unwrap();
    let things = lab.things(&lab.run.id).await;
    assert!(!things.iter().any(|thing| thing.contains("-main-") || thing.starts_with("volume")), "{things:?}");
    say("deleted");
}

/// One kubeconfig is for this host alone and leads through loopback, the other leads to the server's name.
async fn kubeconfigs(lab: &Lab, cluster: &Cluster, toolbox: &Toolbox) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs_err::metadata(&cluster.kubeconfig).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(cluster.kubeconfig.starts_with(&lab.run.dir), "{}", cluster.kubeconfig.display());
    let text = fs_err::read_to_string(&cluster.kubeconfig).unwrap();
    assert!(text.contains("server: https://127.0.0.1:") && !text.contains(":6443"), "{text}");
    assert!(is_ready(cluster).await);

    toolbox.know_cluster(&cluster.internal_kubeconfig.0).await.unwrap();
    let ready = toolbox.exec(["kubectl", "get", "--raw", "/readyz"]).succeed().await.unwrap();
    assert_eq!(ready.stdout, "ok");
    // Nobody else is let in.
    let stranger =
        format!("curl -sk -o /dev/null -w '%{{http_code}}' https://{}-control-plane:6443/readyz", cluster.name);
    assert_eq!(toolbox.exec(["sh", "-c", &stranger]).succeed().await.unwrap().stdout, "401");
}

async fn is_ready(cluster: &Cluster) -> bool {
    let client = cluster.client().await.unwrap();
    let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(1), client.request_text(request)).await;
    matches!(answer, Ok(Ok(text)) if text == "ok")
}

/// What the engine was asked for.
async fn options(lab: &Lab, site: &Site, cluster: &Cluster) {
    for node in &cluster.nodes {
        let inspected = inspect(lab, &node.name).await;
        let (config, host) = (inspected.config.unwrap(), inspected.host_config.unwrap());
        let labels: BTreeMap<_, _> = config.labels.unwrap().into_iter().collect();
        let expected = lab.run.labels("node");
        assert!(expected.iter().all(|(key, value)| labels.get(key) == Some(value)), "{labels:?}");
        assert_eq!((&labels[labels::CLUSTER], &labels[labels::NODE_ROLE]), (&cluster.name, &node.role));
        assert_eq!(config.hostname.as_deref(), Some(node.name.as_str()));
        assert_eq!(host.privileged, Some(true));
        assert_eq!(host.network_mode.as_deref(), Some(site.network.name.as_str()));

        let mounts = inspected.mounts.unwrap();
        let of = |kind: &str| {
            let of_kind = mounts.iter().filter(|mount| mount.typ.as_deref() == Some(kind));
            let mut targets: Vec<_> = of_kind.filter_map(|mount| mount.destination.clone()).collect();
            targets.sort();
            targets
        };
        assert_eq!(of("tmpfs"), ["/run", "/var/run"]);
        assert_eq!(of("bind"), ["/lib/modules"]);
        assert!(
            mounts.iter().any(|mount| mount.destination.as_deref() == Some("/lib/modules") && mount.rw == Some(false))
        );
        assert_eq!(of("volume"), ["/var/lib/cni", "/var/lib/kubelet", "/var/lib/rancher/k3s", "/var/log"]);
        for volume in mounts.iter().filter(|mount| mount.typ.as_deref() == Some("volume")) {
            let volume = lab.engine.docker.inspect_volume(volume.name.as_deref().unwrap()).await.unwrap();
            assert_eq!(volume.labels[labels::RUN], lab.run.id.to_string());
        }

        let ports = inspected.network_settings.unwrap().ports.unwrap();
        let bound: Vec<_> = ports.into_values().flatten().flatten().collect();
        let all_on_loopback = bound.iter().all(|binding| binding.host_ip.as_deref() == Some("127.0.0.1"));
        assert_eq!((bound.len(), all_on_loopback), (if node.role == "control-plane" { 3 } else { 0 }, true));

        let listed =
            node.container.exec(["stat", "-c", "%a %U", "/etc/rancher/k3s/registries.yaml", "/etc/ferry/token"]);
        assert_eq!(listed.succeed().await.unwrap().stdout, "600 root\n600 root\n");
        let registries = node.container.download("/etc/rancher/k3s/registries.yaml").await.unwrap();
        let password = &site.request.registry.password;
        assert!(String::from_utf8(registries).unwrap().contains(password.as_str()));
        let told = format!("{:?} {:?}", config.cmd, config.env);
        let token = String::from_utf8(node.container.download("/etc/ferry/token").await.unwrap()).unwrap();
        assert!(!told.contains(&token) && !told.contains(password.as_str()), "{told}");
    }
    assert_eq!(cluster.ports.keys().collect::<Vec<_>>(), ["proof", "web"]);
}

/// A pod has a network namespace of its own, where Docker's name server does not answer.
async fn names_from_pods(cluster: &Cluster) {
    const ASK: &str = "set -e
        ip netns add pod; ip link add cni0 type veth peer name eth0 netns pod
        ip addr add 10.99.0.1/24 dev cni0; ip link set cni0 up
        ip -n pod addr add 10.99.0.2/24 dev eth0; ip -n pod link set eth0 up; ip -n pod route add default via 10.99.0.1
        echo 1 >/proc/sys/net/ipv4/ip_forward
        mkdir -p /etc/netns/pod; cp /etc/resolv.conf /etc/netns/pod/; cat /etc/resolv.conf
        ip netns exec pod getent ahostsv4 git.ferry; ip link del cni0; ip netns del pod";
    for node in &cluster.nodes {
        let asked = node.container.exec(["sh", "-c", ASK]).succeed().await.unwrap().stdout;
        assert!(asked.contains("git.ferry") && !asked.contains("127.0.0.11"), "{asked}");
    }
}

/// What cuts pods off is for any node's shell and packet filter.
async fn cuts(cluster: &Cluster) {
    let node = &cluster.nodes[0].container;
    let time = Duration::from_millis(300);
    let cut = cut::cut(node, &["10.99.0.2".parse().unwrap()], &[], time).await.unwrap();
    let lasted = cut.lifted.0 - cut.imposed.1;
    assert!(lasted >= time && lasted < time + cut::CUT_DEADLINE, "{cut:?}");
    let rules = node.exec(["iptables-save"]).succeed().await.unwrap().stdout;
    assert!(!rules.contains("ferry-cut"), "{rules}");
}

/// Freezing, killing and booting nodes, with the same kubeconfig before and after.
async fn faults(k3s: &K3s, cluster: &Cluster) {
    k3s.pause_node(cluster, "control-plane").await.unwrap();
    assert!(!is_ready(cluster).await, "a frozen server must not answer");
    k3s.resume_node(cluster, "control-plane").await.unwrap();
    until_ready(cluster).await;
    k3s.kill_node(cluster, "control-plane").await.unwrap();
    assert!(!is_ready(cluster).await, "a killed server must not answer");
    k3s.start_node(cluster, "control-plane").await.unwrap();
    until_ready(cluster).await;
    k3s.restart_node(cluster, "worker", Duration::ZERO).await.unwrap();
    let image = ["ctr", "--namespace=k8s.io", "images", "list", "--quiet"];
    let worker = &cluster.node("worker").unwrap().container;
    let begun = Instant::now();
    while !worker.exec(image).run().await.unwrap().stdout.contains(BUSYBOX) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the worker must be back with its images");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Docker's rules for names are new after each start.
    names_from_pods(cluster).await;
    assert!(k3s.kill_node(cluster, "worker2").await.unwrap_err().to_string().contains("has no node worker2"));
}

async fn until_ready(cluster: &Cluster) {
    let begun = Instant::now();
    while !is_ready(cluster).await {
        assert!(begun.elapsed() < Duration::from_secs(30), "the server must be back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_k3s_server_that_dies_at_boot_is_quoted_at_once() {
    with_stand_in(async |lab, image| {
        let site = Site::of(lab, &lab.run, image).await.failing("dies", "");
        let begun = Instant::now();
        let error = site.create().await.unwrap_err();
        let ClusterError::NodeEnded { node, exit_code, log, said, .. } = &error else { panic!("{error}") };
        assert!(node.ends_with("-main-control-plane") && *exit_code == 1, "{error}");
        assert!(said.contains("bootstrap data already found"), "{said}");
        assert!(fs_err::read_to_string(log).unwrap().contains("Starting k3s"));
        assert!(begun.elapsed() < site.request.deadlines.create / 2, "it must not wait for its deadline");
        // What failed stays for its logs, and goes when it is told to. What it never wrote cannot be had.
        let logs = tempfile::tempdir().unwrap();
        let missing = site.k3s.export_logs("main", logs.path()).await;
        assert!(missing.iter().any(|what| what.contains("-main-control-plane: ")), "{missing:?}");
        let kept = fs_err::read_to_string(logs.path().join(node).join("k3s.log")).unwrap();
        assert!(kept.contains("bootstrap data already found"), "{kept}");
        site.k3s.delete("main").await.unwrap();
    })
    .await;
}

async fn a_k3s_agent_that_does_not_join_is_named_at_its_deadline() {
    with_stand_in(async |lab, image| {
        let mut site = Site::of(lab, &lab.run, image).await.failing("", "never-joins");
        site.request.deadlines = short();
        let error = site.create().await.unwrap_err();
        let ClusterError::NotUsable { source: NotUsable::Deadline { stage: Stage::Nodes, missing, .. }, .. } = &error
        else {
            panic!("{error}")
        };
        assert!(missing.contains("of 2 nodes have not registered") && missing.ends_with("-main-worker"), "{missing}");
    })
    .await;
}

async fn a_k3s_server_that_never_answers_ends_at_its_deadline() {
    with_stand_in(async |lab, image| {
        let mut site = Site::of(lab, &lab.run, image).await.failing("silent", "");
        site.request.deadlines = Deadlines { create: Duration::from_secs(5), ..short() };
        let error = site.create().await.unwrap_err();
        let ClusterError::CreateDeadline { tool: "k3s", said, .. } = &error else { panic!("{error}") };
        assert!(said.contains("Starting k3s"), "{said}");
    })
    .await;
}

async fn a_k3s_image_that_is_missing_is_named_and_not_pulled() {
    Lab::with(async |lab| {
        let site = Site::of(lab, &lab.run, "flux-ferry/k3s-none:1").await;
        let error = site.create().await.unwrap_err();
        assert!(matches!(&error, ClusterError::Container(ContainerError::NoImage { .. })), "{error}");
        assert!(error.to_string().contains("flux-ferry/k3s-none:1"), "{error}");
        assert_eq!(lab.things(&lab.run.id).await, [format!("network {}", lab.run.prefix())]);
    })
    .await;
}

async fn a_dead_run_leaves_no_k3s_nodes() {
    with_stand_in(async |lab, image| {
        let dead = lab.dead_run();
        let mut site = Site::of(lab, &dead, image).await.failing("silent", "never-joins");
        site.request.deadlines = Deadlines { create: Duration::from_secs(2), ..short() };
        site.create().await.unwrap_err();
        let things = lab.things(&dead.id).await;
        let of = |kind: &str| things.iter().filter(|thing| thing.starts_with(kind)).count();
        assert_eq!((of("container"), of("volume"), of("network")), (2, 8, 1), "{things:?}");
        let swept = gc::sweep_from(&lab.engine, &lab.here).await.unwrap();
        assert!(swept[dead.id.as_str()].is_clean(), "{swept:?}");
        assert_eq!(lab.things(&dead.id).await, [""; 0]);
    })
    .await;
}

//! A whole cluster. One for all checks, with more than one node: scenarios run on single nodes all the time, and what holds for
//! three (pod network across nodes, an image on each, logs of all) holds for one.

use std::path::Path;

use ferry_lab::cluster::{ClusterRequest, Deadlines, Kind, NotUsableYet, Profile, Provider, ProviderName};
use ferry_lab::git::{self, GitServer};
use ferry_lab::network::Network;
use ferry_lab::registry::{self, Registry};
use ferry_lab::run::Credentials;
use ferry_lab::toolbox::Toolbox;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};

use crate::support::Lab;

trials![a_cluster_is_usable_loadable_and_leaves_nothing];

const NODES: usize = 3;
const BUSYBOX: &str = "registry.ferry:5000/lab/busybox:v1";

async fn a_cluster_is_usable_loadable_and_leaves_nothing() {
    Lab::with(cluster).await;
}

async fn cluster(lab: &Lab) {
    let (engine, run) = (&lab.engine, &lab.run);
    let begun = std::time::Instant::now();
    let say = |what: &str| eprintln!("{:6.2} s  {what}", begun.elapsed().as_secs_f64());
    let network = Network::create(engine, run).await.unwrap();
    let credentials = Credentials::random("flux");
    let registry =
        Registry::start(engine, run, &network, lab.image("registry-image"), credentials.clone()).await.unwrap();
    say("network and registry");

    let toolbox_image = lab.image("toolbox").to_owned();
    let kind = Kind { engine: engine.clone(), run: run.clone(), network: network.clone(), toolbox_image };
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kind-configs");
    let request = ClusterRequest {
        name: "main".into(),
        profile: Profile::load(&configs, ProviderName::Kind, "three-node").unwrap(),
        node_image: lab.image("node-1.34.4-lab").to_owned(),
        images: vec![],
        dns_image: BUSYBOX.into(),
        resolvable: vec![git::HOST.into()],
        registry: credentials,
        deadlines: Deadlines::default(),
    };
    let not_yet = |waiting: NotUsableYet| say(&format!("not until {}: {}", waiting.stage, waiting.reason));
    let gitserver = lab.image("gitserver");
    let (git, toolbox, cluster) = tokio::join!(
        async {
            let git = GitServer::start(engine, run, &network, gitserver).await.unwrap();
            say("git server");
            git
        },
        async {
            let toolbox = Toolbox::start(engine, run, &network, &kind.toolbox_image).await.unwrap();
            say("toolbox");
            toolbox
        },
        kind.create(&request, &not_yet),
    );
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(error) => {
            // Not in the run's folder, which goes with the trial.
            let logs = std::env::temp_dir().join(format!("ferry-failed-{}", run.id));
            let missing = kind.export_logs("main", &logs).await;
            panic!("{error} (logs in {}; not had: {missing:?})", logs.display());
        }
    };
    say("usable");
    assert_eq!(cluster.nodes.len(), NODES);

    toolbox.know_cluster(&cluster.internal_kubeconfig.0).await.unwrap();
    toolbox.know_servers(&git, &registry).await.unwrap();
    let listed = toolbox.exec(["kubectl", "get", "nodes", "--no-headers"]).succeed().await.unwrap();
    assert_eq!(listed.stdout.matches(" Ready ").count(), NODES, "{}", listed.stdout);
    say("kubectl in the toolbox");

    // An image that only the engine has, under another name.
    let loaded = "ferry.local/loaded:dev";
    kind.load_image(&cluster, lab.image("busybox-image"), loaded).await.unwrap();
    say("image loaded");
    // An image that only the registry has, pulled by a pod that names no pull secret.
    push(lab, &registry, lab.image("busybox-image")).await;
    say("image pushed");
    let client = cluster.client().await.unwrap();
    let pods = Api::<Pod>::namespaced(client, "default");
    for (name, image) in [("loaded", loaded), ("pulled", "registry.ferry:5000/test/pulled:1")] {
        let pod = serde_json::json!({
            "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": image, "command": ["true"]}]},
        });
        pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }
    let wait =
        ["kubectl", "wait", "pod/loaded", "pod/pulled", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"];
    let waited = toolbox.exec(wait).succeed().await;
    let why = toolbox.exec(["kubectl", "describe", "pods"]).succeed().await.unwrap().stdout;
    waited.unwrap_or_else(|error| panic!("{error}\n{why}"));
    say("pods of both images have run");

    let logs = tempfile::tempdir().unwrap();
    assert_eq!(kind.export_logs("main", logs.path()).await, [""; 0]);
    let node = logs.path().join(&cluster.nodes[0].name);
    assert!(fs_err::read_to_string(node.join("journal.log")).unwrap().contains("kubelet"));
    assert!(fs_err::read_dir(node.join("pods")).unwrap().count() > 3);
    say("logs exported");

    kind.delete("main").await.unwrap();
    say("deleted");
    let things = lab.things(&run.id).await;
    assert!(!things.iter().any(|thing| thing.contains("-main-")), "{things:?}");
}

/// Pushes through the published port, as the engine cannot resolve the registry's name.
async fn push(lab: &Lab, registry: &Registry, image: &str) {
    use bollard::query_parameters::{PushImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
    use futures::TryStreamExt;
    let name = format!("127.0.0.1:{}/test/pulled", registry.host_port().await.unwrap());
    let tag = TagImageOptionsBuilder::new().repo(&name).tag("1").build();
    lab.engine.docker.tag_image(image, Some(tag)).await.unwrap();
    let credentials = bollard::auth::DockerCredentials {
        username: Some(registry.credentials.username.clone()),
        password: Some(registry.credentials.password.clone()),
        ..Default::default()
    };
    let options = PushImageOptionsBuilder::new().tag("1").build();
    let pushed: Result<Vec<_>, _> =
        lab.engine.docker.push_image(&name, Some(options), Some(credentials)).try_collect().await;
    lab.engine.docker.remove_image(&format!("{name}:1"), None::<RemoveImageOptions>, None).await.unwrap();
    pushed.unwrap();
    assert_eq!(registry::ADDRESS, "registry.ferry:5000");
}

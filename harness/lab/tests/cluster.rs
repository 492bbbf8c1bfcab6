//! Whole clusters on a real engine: `cargo test -p ferry-lab --test cluster -- --ignored --test-threads 1`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test shows how long its parts took")]

mod support;

use std::path::Path;

use ferry_lab::cluster::{ClusterRequest, Deadlines, Kind, NotUsableYet, Profile, Provider, ProviderName};
use ferry_lab::git::{self, GitServer};
use ferry_lab::network::Network;
use ferry_lab::registry::{self, Registry};
use ferry_lab::toolbox::Toolbox;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use rstest::rstest;
use support::Lab;

const BUSYBOX: &str = "registry.ferry:5000/lab/busybox:v1";

#[rstest]
#[case::single_node("single-node", 1)]
#[case::three_node("three-node", 3)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Docker"]
async fn a_cluster_is_usable_loadable_and_leaves_nothing(#[case] profile: &str, #[case] nodes: usize) {
    let lab = Lab::new().await;
    let (engine, run) = (&lab.engine, &lab.run);
    let begun = std::time::Instant::now();
    let say = |what: &str| eprintln!("{:6.2} s  {what}", begun.elapsed().as_secs_f64());
    let network = Network::create(engine, run).await.unwrap();
    let registry = Registry::start(engine, run, &network, &lab.image("registry-image").await).await.unwrap();
    say("network and registry");

    let toolbox_image = lab.image("toolbox").await;
    let kind = Kind { engine: engine.clone(), run: run.clone(), network: network.clone(), toolbox_image };
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kind-configs");
    let request = ClusterRequest {
        name: "main".into(),
        profile: Profile::load(&configs, ProviderName::Kind, profile).unwrap(),
        node_image: lab.image("node-1.34.4").await,
        dns_image: BUSYBOX.into(),
        resolvable: vec![git::HOST.into()],
        node_files: vec![registry.node_file()],
        deadlines: Deadlines::default(),
    };
    let not_yet = |waiting: NotUsableYet| say(&format!("not until {}: {}", waiting.stage, waiting.reason));
    let gitserver = lab.image("gitserver").await;
    let (git, toolbox, cluster) = tokio::join!(
        async {
            let git = GitServer::start(engine, run, &network, &gitserver).await.unwrap();
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
            let missing = kind.export_logs("main", Path::new("/tmp/ferry-failed-cluster")).await;
            lab.teardown().await;
            panic!("{error} (logs in /tmp/ferry-failed-cluster; not had: {missing:?})");
        }
    };
    say("usable");
    assert_eq!(cluster.nodes.len(), nodes);

    toolbox.know_cluster(&cluster.internal_kubeconfig.0).await.unwrap();
    toolbox.know_servers(&git, &registry).await.unwrap();
    let listed = toolbox.exec(["kubectl", "get", "nodes", "--no-headers"]).succeed().await.unwrap();
    assert_eq!(listed.stdout.matches(" Ready ").count(), nodes, "{}", listed.stdout);
    say("kubectl in the toolbox");

    // An image that only the engine has, under another name.
    let loaded = "ferry.local/loaded:dev";
    kind.load_image(&cluster, &lab.image("busybox-image").await, loaded).await.unwrap();
    say("image loaded");
    // An image that only the registry has, pulled by a pod that names no pull secret.
    push(&lab, &registry, &lab.image("busybox-image").await).await;
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
    assert!(!lab.things().await.iter().any(|thing| thing.contains("-main-")), "{:?}", lab.things().await);
    lab.teardown().await;
    say("torn down");
}

/// Pushes through the published port, as the engine cannot resolve the registry's name.
async fn push(lab: &Lab, registry: &Registry, image: &str) {
    use bollard::query_parameters::{PushImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
    use futures::TryStreamExt;
    let name = format!("127.0.0.1:{}/test/pulled", registry.host_port);
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

//! Runs side by side on one engine, and servers that are killed in the midst of a run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bollard::query_parameters::{InspectContainerOptions, InspectNetworkOptions};
use ferry_lab::container::{ContainerRef, File};
use ferry_lab::gc;
use ferry_lab::git::GitServer;
use ferry_lab::network::Network;
use ferry_lab::registry::Registry;
use ferry_lab::run::{Credentials, RunScope};
use ferry_lab::toolbox::Toolbox;

use crate::support::Lab;

trials![runs_at_once_share_no_name_no_address_no_port_and_no_server, a_killed_server_comes_back_with_what_it_holds,];

/// A run's network and what is beside its cluster.
struct Beside {
    network: Network,
    git: GitServer,
    registry: Registry,
    toolbox: Toolbox,
}

impl Beside {
    async fn start(lab: &Lab, run: &RunScope) -> Self {
        let network = Network::create(&lab.engine, run).await.unwrap();
        let (git, registry, toolbox) = tokio::join!(
            GitServer::start(&lab.engine, run, &network, lab.image("gitserver")),
            Registry::start(&lab.engine, run, &network, lab.image("registry-image"), Credentials::random("flux")),
            Toolbox::start(&lab.engine, run, &network, lab.image("toolbox")),
        );
        let (git, registry, toolbox) = (git.unwrap(), registry.unwrap(), toolbox.unwrap());
        toolbox.know_servers(&git, &registry).await.unwrap();
        Self { network, git, registry, toolbox }
    }

    /// Pushes a commit with this greeting to what this run knows as `git.ferry`.
    async fn push(&self, greeting: &str) {
        let push = format!(
            "git clone -q {url} /work/a && cd /work/a && git config user.email a@b && git config user.name a &&
             echo {greeting} > greeting && git add . && git commit -qm m && git push -q origin HEAD:main",
            url = self.git.ssh_url()
        );
        self.toolbox.exec(["sh", "-ec", &push]).succeed().await.unwrap();
    }

    /// What a fresh clone says.
    async fn pulled(&self) -> String {
        let pull = format!("rm -rf /work/b && git clone -q {} /work/b && cat /work/b/greeting", self.git.http_url());
        self.toolbox.exec(["sh", "-ec", &pull]).succeed().await.unwrap().stdout
    }
}

/// The first and the last address of a network.
async fn subnet(lab: &Lab, network: &Network) -> (u32, u32) {
    let inspected = lab.engine.docker.inspect_network(&network.name, None::<InspectNetworkOptions>).await.unwrap();
    let subnet = inspected.ipam.unwrap().config.unwrap().remove(0).subnet.unwrap();
    let (address, bits) = subnet.split_once('/').unwrap();
    let (first, bits) = (u32::from(address.parse::<std::net::Ipv4Addr>().unwrap()), bits.parse::<u32>().unwrap());
    (first, first + (u32::MAX >> bits))
}

/// The host's ports that a container is published on.
async fn ports(lab: &Lab, container: &ContainerRef) -> Vec<String> {
    let inspected =
        lab.engine.docker.inspect_container(&container.name, None::<InspectContainerOptions>).await.unwrap();
    let ports = inspected.network_settings.unwrap().ports.unwrap();
    ports.into_values().flatten().flatten().filter_map(|binding| binding.host_port).collect()
}

async fn runs_at_once_share_no_name_no_address_no_port_and_no_server() {
    Lab::with(async |lab| {
        let other_run = lab.another_run();
        let (one, other) = tokio::join!(Beside::start(lab, &lab.run), Beside::start(lab, &other_run));

        let (mine, others) = (lab.things(&lab.run.id).await, lab.things(&other_run.id).await);
        assert_eq!((mine.len(), others.len()), (4, 4), "three containers and a network each");
        let all: BTreeSet<&String> = mine.iter().chain(&others).collect();
        assert_eq!(all.len(), 8, "{all:?}");

        let (a, b) = (subnet(lab, &one.network).await, subnet(lab, &other.network).await);
        assert!(a.1 < b.0 || b.1 < a.0, "the networks overlap: {a:?} {b:?}");
        let (a, b) = (ports(lab, one.registry.container()).await, ports(lab, other.registry.container()).await);
        assert!(!a.is_empty() && !b.is_empty() && a.iter().all(|port| !b.contains(port)), "{a:?} {b:?}");

        // Both call it git.ferry, and each means its own.
        tokio::join!(one.push("one"), other.push("other"));
        assert_eq!((one.pulled().await, other.pulled().await), ("one\n".into(), "other\n".into()));
        // By address there is no way from one to the other.
        let address = |at: &ContainerRef| {
            let at = at.clone();
            async move { at.exec(["hostname", "-i"]).succeed().await.unwrap().stdout.trim().to_owned() }
        };
        let reach = format!("timeout 3 bash -c '</dev/tcp/{}/22'", address(other.git.container()).await);
        assert_ne!(one.toolbox.exec(["bash", "-c", &reach]).run().await.unwrap().exit_code, 0);
        assert_eq!(other.toolbox.exec(["bash", "-c", &reach]).run().await.unwrap().exit_code, 0);

        // What ends for one ends for that one alone.
        assert!(gc::teardown(&lab.engine, &lab.run.id).await.unwrap().is_clean());
        assert_eq!(lab.things(&lab.run.id).await, [""; 0]);
        assert_eq!(lab.things(&other_run.id).await, others);
        assert_eq!(other.pulled().await, "other\n");
    })
    .await;
}

async fn a_killed_server_comes_back_with_what_it_holds() {
    Lab::with(async |lab| {
        let beside = Beside::start(lab, &lab.run).await;
        beside.push("kept").await;
        let kept = "/var/lib/registry/kept";
        beside.registry.container().upload(&[File::public(kept, "kept")]).await.unwrap();

        let down = Duration::from_secs(2);
        let ask = "sleep 1; ! bash -c '</dev/tcp/git.ferry/22'";
        let begun = Instant::now();
        let (asked, restarted) = tokio::join!(beside.toolbox.exec(["bash", "-c", ask]).run(), beside.git.restart(down));
        restarted.unwrap();
        assert!(begun.elapsed() >= down);
        assert_eq!(asked.unwrap().exit_code, 0, "it answered while it should have been dead");
        assert_eq!(beside.pulled().await, "kept\n");

        beside.registry.restart(Duration::ZERO).await.unwrap();
        assert_eq!(beside.registry.container().download(kept).await.unwrap(), b"kept");
    })
    .await;
}

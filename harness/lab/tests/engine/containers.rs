//! The lab's containers on a real engine.

use std::time::{Duration, Instant};

use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::InspectContainerOptions;
use ferry_lab::container::{Container, ContainerError, ContainerSpec, ExecError, File, Stream};
use ferry_lab::gc;
use ferry_lab::git::GitServer;
use ferry_lab::hog;
use ferry_lab::labels::Life;
use ferry_lab::network::Network;
use ferry_lab::registry::Registry;
use ferry_lab::run::{Credentials, RunScope};
use ferry_lab::toolbox::Toolbox;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::Lab;

trials![
    what_a_run_makes_is_found_by_its_label_and_goes_with_it,
    a_sweep_removes_what_dead_owners_left_and_nothing_else,
    a_kept_run_outlives_its_owner_until_it_is_torn_down,
    a_network_that_others_use_is_given_up_soon_and_they_are_named,
    a_missing_image_is_named_and_not_pulled,
    commands_in_a_container_are_fed_heard_judged_and_bounded,
    files_go_in_and_out_with_their_modes,
    one_repository_answers_over_ssh_and_http_to_its_own_run_alone,
    the_registry_answers_on_loopback_and_to_its_own_run_alone,
    who_takes_the_processors_comes_before_all_and_goes_by_itself,
];

async fn toolbox(lab: &Lab, run: &RunScope) -> (Network, Toolbox) {
    let network = Network::create(&lab.engine, run).await.unwrap();
    let toolbox = Toolbox::start(&lab.engine, run, &network, lab.image("toolbox")).await.unwrap();
    (network, toolbox)
}

async fn registry(lab: &Lab, network: &Network) -> Registry {
    let credentials = Credentials::random("flux");
    Registry::start(&lab.engine, &lab.run, network, lab.image("registry-image"), credentials).await.unwrap()
}

async fn what_a_run_makes_is_found_by_its_label_and_goes_with_it() {
    Lab::with(async |lab| {
        let (_network, toolbox) = toolbox(lab, &lab.run).await;
        let prefix = lab.run.prefix();
        assert_eq!(lab.things(&lab.run.id).await, [format!("container {prefix}-toolbox"), format!("network {prefix}")]);

        gc::sweep_from(&lab.engine, &lab.here).await.unwrap();
        assert_eq!(lab.things(&lab.run.id).await.len(), 2, "a sweep must not touch a live run");

        let swept = gc::teardown(&lab.engine, &lab.run.id).await.unwrap();
        assert!(swept.is_clean(), "{swept:?}");
        assert_eq!(swept.removed.len(), 2);
        assert_eq!(lab.things(&lab.run.id).await, [""; 0]);
        drop(toolbox);
    })
    .await;
}

async fn a_sweep_removes_what_dead_owners_left_and_nothing_else() {
    Lab::with(async |lab| {
        let dead = lab.dead_run();
        let (_network, _toolbox) = toolbox(lab, &lab.run).await;
        let (_dead_network, dead_toolbox) = toolbox(lab, &dead).await;
        let found = gc::find_from(&lab.engine, &lab.here).await.unwrap();
        let life = |run: &RunScope| found.iter().find(|found| found.run == run.id.as_str()).unwrap().life;
        assert_eq!((life(&lab.run), life(&dead)), (Life::Alive, Life::Dead));

        let swept = gc::sweep_from(&lab.engine, &lab.here).await.unwrap();
        assert_eq!(swept[dead.id.as_str()].removed.len(), 2);
        assert_eq!(swept.len(), 1, "only what can be judged from here may be swept: {swept:?}");
        assert_eq!(lab.things(&dead.id).await, [""; 0]);
        assert_eq!(lab.things(&lab.run.id).await.len(), 2);
        drop(dead_toolbox);
    })
    .await;
}

async fn a_kept_run_outlives_its_owner_until_it_is_torn_down() {
    Lab::with(async |lab| {
        let dead = lab.dead_run();
        Network::create(&lab.engine, &dead).await.unwrap();
        gc::keep(&lab.engine, &dead).await.unwrap();
        let swept = gc::sweep_from(&lab.engine, &lab.here).await.unwrap();
        assert!(!swept.contains_key(dead.id.as_str()), "{swept:?}");
        assert_eq!(lab.things(&dead.id).await.len(), 2, "the network and the mark");
        let swept = gc::teardown(&lab.engine, &dead.id).await.unwrap();
        assert!(swept.is_clean(), "{swept:?}");
        assert_eq!(lab.things(&dead.id).await, [""; 0]);
    })
    .await;
}

async fn a_network_that_others_use_is_given_up_soon_and_they_are_named() {
    Lab::with(async |lab| {
        let other = lab.another_run();
        let (network, _toolbox) = toolbox(lab, &lab.run).await;
        let (_others, _stranger) = toolbox(lab, &other).await;
        let stranger = format!("{}-toolbox", other.prefix());
        let join = NetworkConnectRequest { container: stranger.clone(), ..Default::default() };
        lab.engine.docker.connect_network(&network.name, join).await.unwrap();

        let start = Instant::now();
        let swept = gc::teardown(&lab.engine, &lab.run.id).await.unwrap();
        assert!(start.elapsed() < gc::DEADLINE / 2, "{:?}", start.elapsed());
        assert_eq!(swept.removed.len(), 1, "the toolbox goes all the same: {swept:?}");
        let [(thing, reason)] = swept.left.as_slice() else { panic!("{swept:?}") };
        assert_eq!(thing.to_string(), format!("network {}", network.name));
        let named = format!("used by what is not of this run: {stranger}; disconnect it, then `ferry gc`");
        assert!(reason.ends_with(&named), "{reason}");

        assert!(gc::teardown(&lab.engine, &other.id).await.unwrap().is_clean());
        assert!(gc::teardown(&lab.engine, &lab.run.id).await.unwrap().is_clean());
    })
    .await;
}

async fn a_missing_image_is_named_and_not_pulled() {
    Lab::with(async |lab| {
        let spec = ContainerSpec { role: "x".into(), image: "flux-ferry/none:1".into(), ..Default::default() };
        let error = Container::start(&lab.engine, &lab.run, spec).await.unwrap_err();
        assert!(matches!(error, ContainerError::NoImage { .. }), "{error}");
        assert_eq!(lab.things(&lab.run.id).await, [""; 0]);
    })
    .await;
}

async fn commands_in_a_container_are_fed_heard_judged_and_bounded() {
    Lab::with(async |lab| {
        let (_network, toolbox) = toolbox(lab, &lab.run).await;

        let mut lines = Vec::new();
        let output = toolbox
            .exec(["sh", "-c", "echo one; echo $WHO; wc -c; echo wrong >&2; exit 3"])
            .env("WHO", "two")
            .input("four")
            .lines(|stream, line| lines.push((stream, line.to_owned())))
            .run()
            .await
            .unwrap();
        assert_eq!((output.exit_code, output.stdout.as_str(), output.stderr.as_str()), (3, "one\ntwo\n4\n", "wrong\n"));
        let of = |wanted| {
            lines.iter().filter(|(stream, _)| *stream == wanted).map(|(_, line)| line.as_str()).collect::<Vec<_>>()
        };
        assert_eq!((of(Stream::Out), of(Stream::Err)), (vec!["one", "two", "4"], vec!["wrong"]));

        let failed =
            toolbox.exec(["sh", "-c", "echo no such thing >&2; exit 4"]).succeed().await.unwrap_err().to_string();
        assert!(failed.contains("ended with 4: no such thing"), "{failed}");

        let late =
            toolbox.exec(["sh", "-c", "echo begun; sleep 300; true"]).deadline(Duration::from_millis(500)).run().await;
        let Err(ExecError::Deadline { said, .. }) = late else { panic!("{late:?}") };
        assert_eq!(said, "begun");
        let started = Instant::now();
        while toolbox.exec(["pgrep", "-x", "sleep"]).run().await.unwrap().exit_code == 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "the command and its child must have been killed");
        }
    })
    .await;
}

async fn files_go_in_and_out_with_their_modes() {
    Lab::with(async |lab| {
        let (_network, toolbox) = toolbox(lab, &lab.run).await;
        let at = toolbox.container();
        at.upload(&[
            File::private("/etc/ferry/new/secret", "12"),
            File::program("/usr/local/bin/hi", "#!/bin/sh\necho hi\n"),
        ])
        .await
        .unwrap();
        let listed = at.exec(["stat", "-c", "%a %U %n", "/etc/ferry/new/secret"]).succeed().await.unwrap();
        assert_eq!(listed.stdout, "600 root /etc/ferry/new/secret\n");
        assert_eq!(at.exec(["hi"]).succeed().await.unwrap().stdout, "hi\n");
        assert_eq!(at.download("/etc/ferry/new/secret").await.unwrap(), b"12");
        assert!(at.download("/etc/ferry/none").await.is_err());
    })
    .await;
}

async fn one_repository_answers_over_ssh_and_http_to_its_own_run_alone() {
    Lab::with(async |lab| {
        let (network, toolbox) = toolbox(lab, &lab.run).await;
        let git = GitServer::start(&lab.engine, &lab.run, &network, lab.image("gitserver")).await.unwrap();
        let registry = registry(lab, &network).await;
        toolbox.know_servers(&git, &registry).await.unwrap();

        let push = format!(
            "git clone -q {ssh} /work/a && cd /work/a && git config user.email a@b && git config user.name a &&
             echo one > file && git add . && git commit -qm one && git push -q origin HEAD:main",
            ssh = git.ssh_url()
        );
        toolbox.exec(["sh", "-ec", &push]).succeed().await.unwrap();
        let pull = format!(
            "git clone -q {http} /work/b && cd /work/b && cat file && git config user.email a@b && git config user.name a &&
             echo two > file && git commit -qam two && git push -q && cd /work/a && git pull -q origin main && cat file",
            http = git.http_url()
        );
        assert_eq!(toolbox.exec(["sh", "-ec", &pull]).succeed().await.unwrap().stdout, "one\ntwo\n");

        // A client that is slow to close its side, as go-git on a busy machine, still has its session.
        let slow = format!(
            "mkfifo /work/in && exec 3<>/work/in
             $GIT_SSH_COMMAND git@{host} \"git-upload-pack '/srv/git/fleet.git'\" </work/in >/work/out 3>&- &
             printf 0000 >&3; sleep 1; kill -0 $! && echo there; exec 3>&-; wait $! && echo ended",
            host = ferry_lab::git::HOST
        );
        assert_eq!(toolbox.exec(["bash", "-ec", &slow]).succeed().await.unwrap().stdout, "there\nended\n");

        let stranger = toolbox.container();
        let http = stranger
            .exec(["git", "-c", "credential.helper=", "ls-remote", &git.http_url()])
            .env("GIT_TERMINAL_PROMPT", "0");
        let http = http.succeed().await.unwrap_err().to_string();
        assert!(http.contains("could not read Username"), "{http}");
        let ssh = "ssh -o StrictHostKeyChecking=no -o BatchMode=yes";
        let ssh = stranger.exec(["git", "ls-remote", &git.ssh_url()]).env("GIT_SSH_COMMAND", ssh);
        let ssh = ssh.succeed().await.unwrap_err().to_string();
        assert!(ssh.contains("Permission denied"), "{ssh}");
    })
    .await;
}

async fn the_registry_answers_on_loopback_and_to_its_own_run_alone() {
    Lab::with(async |lab| {
        let network = Network::create(&lab.engine, &lab.run).await.unwrap();
        let registry = registry(lab, &network).await;

        let port = registry.host_port().await.unwrap();
        let status = async |authorization: Option<String>| {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let header = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
            let request = format!("GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split_whitespace().nth(1).unwrap().to_owned()
        };
        assert_eq!(status(Some(registry.credentials.basic())).await, "200");
        assert_eq!(status(None).await, "401");
        assert_eq!(status(Some("Basic Zmx1eDp3cm9uZw==".into())).await, "401");

        let inspected = lab
            .engine
            .docker
            .inspect_container(&registry.container().name, None::<InspectContainerOptions>)
            .await
            .unwrap();
        let bindings = inspected.network_settings.unwrap().ports.unwrap().into_values().flatten().flatten();
        let addresses: Vec<_> = bindings.filter_map(|binding| binding.host_ip).collect();
        assert_eq!(addresses, ["127.0.0.1"]);
    })
    .await;
}

async fn who_takes_the_processors_comes_before_all_and_goes_by_itself() {
    Lab::with(async |lab| {
        let name = format!("{}-hog", lab.run.prefix());
        let look = async {
            loop {
                let seen = lab.engine.docker.inspect_container(&name, None::<InspectContainerOptions>).await;
                if let Ok(hog) = seen {
                    break hog.host_config.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let time = Duration::from_secs(1);
        let starve = hog::starve(&lab.engine, &lab.run, lab.image("toolbox"), time);
        let (starved, host) = tokio::join!(starve, tokio::time::timeout(Duration::from_secs(30), look));
        starved.unwrap();
        let host = host.unwrap();
        assert_eq!(host.cpu_shares, Some(262_144));
        assert!(matches!(host.cgroup_parent.as_deref(), Some("/" | "-.slice")), "{:?}", host.cgroup_parent);
        assert_eq!(lab.things(&lab.run.id).await, [""; 0]);
    })
    .await;
}

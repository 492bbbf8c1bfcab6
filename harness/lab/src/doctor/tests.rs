//! Whole reports about machines that do not exist.

use rstest::rstest;

use super::{machine::fake::FakeMachine, *};
use crate::engine::{ApiVersion, DEFAULT_ENDPOINT, EngineError, EngineInfo};

/// A Docker Engine on the machine of [`FakeMachine::debian`].
fn info() -> EngineInfo {
    EngineInfo {
        version: "29.1.0".into(),
        api: ApiVersion(1, 52),
        host: "vm".into(),
        operating_system: "Debian GNU/Linux 12 (bookworm)".into(),
        kernel: "6.18.44".into(),
        architecture: "x86_64".into(),
        cgroup_version: 2,
        cgroup_driver: "systemd".into(),
        limits: true,
        storage_driver: "overlay2".into(),
        data_root: "/var/lib/docker".into(),
        cpus: 2,
        memory_bytes: 24 * GIB,
        default_runtime: "runc".into(),
        rootless: false,
        system_time: "2026-11-21T08:00:00.5Z".into(),
        local: true,
    }
}

fn registries(answer: Result<(), &str>) -> Vec<Registry> {
    ["registry.k8s.io", "ghcr.io"]
        .map(|host| Registry { host: host.into(), answer: answer.map_err(|cause| format!("lookup {host}: {cause}")) })
        .into()
}

fn with_engine(engine: EngineInfo) -> Probes {
    Probes { engine: Ok(engine), privileged: Some(Ok(())), published: [].into(), registries: registries(Ok(())) }
}

fn without_engine(error: EngineError) -> Probes {
    let registries = registries(Err("no such host"));
    Probes { engine: Err(error), privileged: None, published: [].into(), registries }
}

fn no_socket() -> EngineError {
    EngineError::NoSocket { endpoint: DEFAULT_ENDPOINT.into(), elsewhere: Vec::new() }
}

fn needs() -> Needs {
    Needs { cache: "/cache".into(), ..Needs::default() }
}

/// Nothing to complain about.
fn fit() -> Report {
    examine(&needs(), &FakeMachine::debian(), &with_engine(info()))
}

/// A fresh Debian of root's without engine, registries, Go or CAP_SYS_RESOURCE, on cgroup v1.
fn bare() -> Report {
    let machine = FakeMachine::debian()
        .file("/proc/self/status", "CapBnd:\t000001fffeffffff\n")
        .file("/proc/sys/fs/inotify/max_user_instances", "128\n")
        .with_program("tar")
        .with_program("unshare")
        .with_program("cargo")
        .with_program("rustc")
        .without("/lib/modules")
        .without("/sys/fs/cgroup/cgroup.controllers");
    examine(&needs(), &machine, &without_engine(no_socket()))
}

/// The same for a user who is not root, who has Go but an old one.
fn bare_user() -> Report {
    let machine = FakeMachine::debian()
        .user()
        .with_program("go")
        .with_output("go version", "go version go1.19.8 linux/amd64\n")
        .without("/lib/modules");
    examine(&needs(), &machine, &without_engine(no_socket()))
}

/// A Mac with an engine that is not where it is looked for.
fn mac() -> Report {
    let mut machine = FakeMachine::debian().user();
    machine.os = "macos";
    let elsewhere = vec!["unix:///Users/me/.docker/run/docker.sock".into()];
    let mut probes = without_engine(EngineError::NoSocket { endpoint: DEFAULT_ENDPOINT.into(), elsewhere });
    probes.registries = registries(Ok(()));
    examine(&needs(), &machine, &probes)
}

/// An engine in a virtual machine whose clock stood still.
fn desktop() -> Report {
    let engine = EngineInfo {
        operating_system: "Docker Desktop".into(),
        kernel: "6.12.5-linuxkit".into(),
        memory_bytes: 2 * GIB,
        system_time: "2026-11-21T07:00:00Z".into(),
        local: false,
        ..info()
    };
    let mut machine = FakeMachine::debian().user();
    machine.os = "macos";
    examine(&needs(), &machine, &with_engine(engine))
}

/// Someone else's engine on a machine that lacks a capability, with everything short.
fn cramped() -> Report {
    let mut machine = FakeMachine::debian()
        .user()
        .file("/proc/self/status", "CapBnd:\t000001fffeffffff\n")
        .file("/proc/meminfo", "MemTotal: 2048000 kB\nMemAvailable:    1048576 kB\n");
    machine.taken = [(8080, Some("nginx (process 77)".into())), (9090, None)].into();
    machine.spaces = [("/cache", 2, 1), ("/var/lib/docker", 2, 1)]
        .map(|(path, gib, file_system)| (path.into(), Space { free_bytes: gib << 30, file_system }))
        .into();
    machine.config = Some("CONFIG_OVERLAY_FS=y\nCONFIG_VETH=m\nCONFIG_NF_CONNTRACK=y\nCONFIG_NF_NAT=y\n".into());
    let mut probes = with_engine(info());
    probes.privileged =
        Some(Err("OCI runtime create failed: unable to apply caps: operation not permitted: unknown".into()));
    probes.published = [(5000, "the container registry".into())].into();
    probes.registries = registries(Err("no such host"));
    let needs = Needs { ports: vec![8080, 9090, 10_000], images: Images::Registry, ..needs() };
    examine(&needs, &machine, &probes)
}

#[rstest]
#[case::fit("fit", fit())]
#[case::bare("bare", bare())]
#[case::bare_user("bare-user", bare_user())]
#[case::mac("mac", mac())]
#[case::desktop("desktop", desktop())]
#[case::cramped("cramped", cramped())]
fn reports(#[case] name: &str, #[case] report: Report) {
    insta::assert_snapshot!(name, report.text(Style::Plain));
}

#[test]
fn a_terminal_sees_colours_and_symbols() {
    insta::assert_snapshot!("fancy", bare().text(Style::Fancy).replace('\u{1b}', "ESC"));
}

#[test]
fn json_has_all_that_the_text_has() {
    insta::assert_json_snapshot!("json", bare());
}

#[test]
fn only_what_is_missing_is_mended_and_packages_come_first() {
    let package = |name: &str| Fix::Package(name.into());
    assert_eq!(
        bare().fixes(),
        [
            package("containerd"),
            package("ca-certificates"),
            package("debootstrap"),
            package("docker.io"),
            package("iptables"),
            package("jq"),
            package("python3"),
            package("python3-pip"),
            package("runc"),
            Fix::StartEngine,
            Fix::ModulesFolder,
            Fix::Sysctl("fs.inotify.max_user_instances".into(), 512),
        ]
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    assert_eq!(bare_user().fixes(), []);
    assert_eq!(cramped().fixes(), []);
}

#[rstest]
#[case::other_engine(EngineError::Refused { endpoint: "tcp://10.0.0.1:2375".into() })]
#[case::hung(EngineError::Silent { endpoint: DEFAULT_ENDPOINT.into(), after: std::time::Duration::from_secs(10) })]
#[case::not_ours_to_open(EngineError::PermissionDenied { endpoint: DEFAULT_ENDPOINT.into() })]
#[case::old(EngineError::TooOld { endpoint: DEFAULT_ENDPOINT.into(), version: "19.03.15".into(), api: "1.40".into() })]
fn an_engine_that_is_there_in_some_way_is_not_started(#[case] error: EngineError) {
    let report = examine(&needs(), &FakeMachine::debian().with_program("dockerd"), &without_engine(error));
    let engine = &report.findings[0];
    assert_eq!((engine.check, engine.status, engine.can_provision()), ("engine", Status::Fail, false));
    assert!(engine.remedy.is_some());
}

#[rstest]
#[case::cached(Images::Cached, Err("down"), Status::Skip, Status::Skip)]
#[case::pulled(Images::Registry, Ok(()), Status::Ok, Status::Skip)]
#[case::cannot_be_pulled(Images::Registry, Err("down"), Status::Fail, Status::Skip)]
#[case::built(Images::Source, Ok(()), Status::Skip, Status::Fail)]
#[case::may_be_pulled(Images::Auto, Ok(()), Status::Ok, Status::Skip)]
#[case::has_to_be_built(Images::Auto, Err("down"), Status::Warn, Status::Fail)]
fn go_is_wanted_only_where_something_is_built(
    #[case] images: Images,
    #[case] answer: Result<(), &str>,
    #[case] registry: Status,
    #[case] go: Status,
) {
    let probes = Probes { registries: registries(answer), ..with_engine(info()) };
    let report = examine(&Needs { images, ..needs() }, &FakeMachine::debian(), &probes);
    let status = |name| report.findings.iter().find(|finding| finding.check == name).map(|finding| finding.status);
    assert_eq!((status("registries"), status("go")), (Some(registry), Some(go)));
}

#[rstest]
#[case::all_cached(Images::Cached, 4, Status::Ok)]
#[case::too_little_for_any_run(Images::Cached, 2, Status::Fail)]
#[case::enough_to_pull(Images::Registry, 10, Status::Ok)]
#[case::enough_to_build(Images::Source, 28, Status::Ok)]
#[case::enough_if_most_is_cached(Images::Source, 20, Status::Warn)]
#[case::too_little_for_any_build(Images::Source, 2, Status::Fail)]
fn how_much_room_is_enough(#[case] images: Images, #[case] gib: u64, #[case] expected: Status) {
    let mut machine = FakeMachine::debian();
    for space in machine.spaces.values_mut() {
        space.free_bytes = gib << 30;
    }
    let report = examine(&Needs { images, ..needs() }, &machine, &with_engine(info()));
    let disk = report.findings.iter().find(|finding| finding.check == "disk").map(|finding| finding.status);
    assert_eq!(disk, Some(expected));
}

#[test]
fn a_cluster_that_exists_needs_nothing_of_the_kernel() {
    let needs = Needs { provider: Provider::External, ..needs() };
    let machine = FakeMachine::debian().without("/lib/modules").file("/proc/sys/fs/inotify/max_user_instances", "1\n");
    let probes = Probes { privileged: None, ..with_engine(EngineInfo { cgroup_version: 1, ..info() }) };
    assert_eq!(examine(&needs, &machine, &probes).summary(), "ready");
}

//! Which cgroups will the nodes find?

use crate::doctor::{Check, Context, Outcome};

/// See [`Check::why`].
#[derive(Debug)]
pub struct Cgroup;

impl Check for Cgroup {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn why(&self) -> &'static str {
        "kubelet limits pods by cgroups; from Kubernetes 1.35 on it starts only on version 2 unless told otherwise"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        if !cx.needs.provider.runs_nodes() {
            return Outcome::skip("no node runs in the engine");
        }
        let Some(engine) = cx.engine() else {
            return match cx.machine.exists("/sys/fs/cgroup/cgroup.controllers") {
                _ if cx.machine.os() != "linux" => Outcome::skip("no engine to ask"),
                true => Outcome::ok("version 2"),
                false => version_1(String::new()),
            };
        };
        let driver = format!(", driver {}", engine.cgroup_driver);
        match engine.cgroup_version {
            _ if !engine.limits => Outcome::fail(format!(
                "version {}{driver}, but the engine cannot limit memory or processes",
                engine.cgroup_version
            ))
            .remedy("delegate the controllers memory and pids to the engine, or use one that runs as root"),
            1 => version_1(driver),
            version => Outcome::ok(format!("version {version}{driver}")),
        }
    }
}

fn version_1(driver: String) -> Outcome {
    Outcome::warn(format!("version 1{driver}"))
        .remedy("none needed up to Kubernetes 1.36: nodes are told to accept it; beyond, boot with systemd.unified_cgroup_hierarchy=1")
}

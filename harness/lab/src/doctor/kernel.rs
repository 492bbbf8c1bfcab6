//! Has the kernel what container networks and images are made of?

use crate::doctor::{Check, Context, Fix, Outcome};

/// What a cluster cannot do without: in each row, one of the options of the kernel's build has to be set.
const FEATURES: [(&str, &[&str]); 6] = [
    ("overlay file system", &["OVERLAY_FS"]),
    ("virtual ethernet pairs", &["VETH"]),
    ("bridges", &["BRIDGE"]),
    ("connection tracking", &["NF_CONNTRACK"]),
    ("packet filter", &["NF_TABLES", "IP_NF_IPTABLES"]),
    ("address translation", &["NF_NAT"]),
];

/// Services on bridged networks break without it, in ways that are hard to see.
const BRIDGE_NETFILTER: &str = "BRIDGE_NETFILTER";

/// See [`Check::why`].
#[derive(Debug)]
pub struct Kernel;

impl Check for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn why(&self) -> &'static str {
        "nodes need overlay file systems, bridges, virtual ethernet pairs and a packet filter"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        let machine = cx.machine;
        if !cx.engine_here() {
            return Outcome::skip("the engine's kernel is not this machine's");
        }
        let release = machine.read("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim();
        let Some(config) = machine.kernel_config() else {
            return Outcome::skip(format!("Linux {release} does not tell what it was built with"));
        };
        let absent: Vec<_> = FEATURES
            .iter()
            .filter(|(_, any)| !any.iter().any(|option| set(&config, option)))
            .map(|(name, _)| *name)
            .collect();
        if !absent.is_empty() {
            let observed = format!("Linux {release} was built without: {}", absent.join(", "));
            // What has just been seen to work counts for more than what an option is called.
            let works = matches!(cx.probes.privileged, Some(Ok(())));
            let outcome = if works { Outcome::warn(observed) } else { Outcome::fail(observed) };
            return outcome.remedy("boot a kernel that has them, such as the distribution's own");
        }
        if !set(&config, BRIDGE_NETFILTER) {
            return Outcome::warn(format!("Linux {release} does not filter bridged packets")).remedy(
                "boot a kernel with CONFIG_BRIDGE_NETFILTER; without, pods on one node may not reach Services",
            );
        }
        Outcome::ok(format!("Linux {release} has overlay, veth, bridge, packet filter"))
    }
}

/// Whether the option is built in or a module.
fn set(config: &str, option: &str) -> bool {
    config.lines().any(|line| {
        line.strip_prefix("CONFIG_")
            .and_then(|line| line.strip_prefix(option))
            .is_some_and(|value| matches!(value, "=y" | "=m"))
    })
}

/// See [`Check::why`].
#[derive(Debug)]
pub struct Modules;

impl Check for Modules {
    fn name(&self) -> &'static str {
        "modules"
    }

    fn why(&self) -> &'static str {
        "nodes mount /lib/modules from the engine's machine"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        let machine = cx.machine;
        if !cx.needs.provider.runs_nodes() || !cx.engine_here() {
            return Outcome::skip("no node mounts this machine's /lib/modules");
        }
        if machine.exists("/lib/modules") {
            return Outcome::ok("/lib/modules exists");
        }
        let fix = machine.provisionable().then_some(Fix::ModulesFolder);
        Outcome::warn("/lib/modules does not exist")
            .remedy_by("make it, empty if the kernel has no modules", machine.as_root("mkdir -p /lib/modules"))
            .fixes(fix)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::built_in("CONFIG_VETH=y", true)]
    #[case::module("CONFIG_X=y\nCONFIG_VETH=m\n", true)]
    #[case::unset("# CONFIG_VETH is not set", false)]
    #[case::longer_name("CONFIG_VETH_EXTRA=y", false)]
    fn an_option_is_set(#[case] config: &str, #[case] expected: bool) {
        assert_eq!(set(config, "VETH"), expected);
    }
}

//! Is there an engine, and is it new enough?

use crate::{
    doctor::{Check, Context, Fix, Outcome, capability::CapabilitySet},
    engine::{DEFAULT_ENDPOINT, EngineError},
};

/// What Docker Engine needs on Debian: program and package.
const PACKAGES: [(&str, &str); 4] =
    [("dockerd", "docker.io"), ("containerd", "containerd"), ("runc", "runc"), ("iptables", "iptables")];

/// See [`Check::why`].
#[derive(Debug)]
pub struct Reachable;

impl Check for Reachable {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn why(&self) -> &'static str {
        "clusters, git server and registry run as containers of a Docker Engine"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        let error = match &cx.probes.engine {
            Ok(engine) => {
                let place = if engine.local { "on this machine" } else { "not on this machine" };
                return Outcome::ok(format!(
                    "Docker Engine {} (API {}), {}, {place}",
                    engine.version, engine.api, engine.operating_system
                ));
            }
            Err(error) => error,
        };
        let outcome = Outcome::fail(error.to_string());
        let machine = cx.machine;
        match error {
            EngineError::PermissionDenied { .. } => {
                outcome.remedy_by(error.hint(), "sudo usermod -aG docker \"$USER\" && newgrp docker")
            }
            EngineError::NoSocket { elsewhere, .. } if !elsewhere.is_empty() => {
                let commands: Vec<_> = elsewhere.iter().map(|other| format!("export DOCKER_HOST={other}")).collect();
                outcome.remedy_by("an engine has its socket elsewhere: name it", commands.join("\n"))
            }
            EngineError::NoSocket { endpoint, .. } if endpoint == DEFAULT_ENDPOINT && !machine.has("dockerd") => {
                let names = PACKAGES.map(|(_, package)| package).join(" ");
                if machine.debian_like() {
                    let command =
                        machine.as_root(&format!("apt-get install --no-install-recommends {names} ca-certificates"));
                    outcome.remedy_by("install Docker Engine", command).fixes(fixes(cx))
                } else if machine.os() == "linux" {
                    outcome.remedy("install Docker Engine: https://docs.docker.com/engine/install/")
                } else {
                    outcome.remedy("install and start Docker Desktop or another Docker Engine")
                }
            }
            EngineError::NoSocket { endpoint, .. } if endpoint == DEFAULT_ENDPOINT => {
                outcome.remedy_by("start the engine, which is installed", start(cx)).fixes(fixes(cx))
            }
            EngineError::Refused { endpoint } if endpoint == DEFAULT_ENDPOINT => {
                outcome.remedy_by(error.hint(), start(cx)).fixes(fixes(cx))
            }
            _ => outcome.remedy(error.hint()),
        }
    }
}

fn start(cx: &Context<'_>) -> String {
    let systemd = cx.machine.exists("/run/systemd/system");
    cx.machine.as_root(if systemd { "systemctl start docker" } else { "service docker start" })
}

fn fixes(cx: &Context<'_>) -> Vec<Fix> {
    if !cx.machine.provisionable() {
        return Vec::new();
    }
    let mut fixes = cx.packages(&PACKAGES);
    if !cx.machine.exists("/etc/ssl/certs/ca-certificates.crt") {
        fixes.push(Fix::Package("ca-certificates".into()));
    }
    // The OCI runtime wrapper edits JSON.
    if !CapabilitySet::lacking_here(cx.machine).is_empty() {
        fixes.extend(cx.packages(&[("jq", "jq")]));
    }
    fixes.push(Fix::StartEngine);
    fixes
}

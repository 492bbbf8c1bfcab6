//! Can the run listen where it wants to?

use std::io::ErrorKind;

use crate::doctor::{Check, Context, Outcome};

/// See [`Check::why`].
#[derive(Debug)]
pub struct Ports;

impl Check for Ports {
    fn name(&self) -> &'static str {
        "ports"
    }

    fn why(&self) -> &'static str {
        "probes and tools reach the lab through ports published on 127.0.0.1"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        if let Err(error) = cx.machine.listen(0) {
            return Outcome::fail(format!("cannot listen on 127.0.0.1: {error}"))
                .remedy_by("bring the loopback interface up", cx.machine.as_root("ip link set lo up"));
        }
        let mut taken = Vec::new();
        for port in &cx.needs.ports {
            match cx.machine.listen(*port) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    let owner = cx.probes.published.get(port).cloned().or_else(|| cx.machine.listener(*port));
                    taken.push(format!(
                        "{port} is taken by {}",
                        owner.unwrap_or_else(|| "another user's process".into())
                    ));
                }
                Err(error) => taken.push(format!("{port} cannot be used: {error}")),
            }
        }
        match (taken.is_empty(), cx.needs.ports.as_slice()) {
            (true, []) => Outcome::ok("127.0.0.1 can be listened on; free ports are chosen"),
            (true, ports) => Outcome::ok(format!("free on 127.0.0.1: {}", list(ports))),
            (false, _) => Outcome::fail(taken.join("; "))
                .remedy("end what holds it, or choose another port, or none to have a free one chosen"),
        }
    }
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

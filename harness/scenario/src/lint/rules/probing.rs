//! Probes must be able to see something.

use std::time::Duration;

use crate::folders;
use crate::lint::{Rule, ScenarioRule};
use crate::names;
use crate::probes::From;
use crate::text::HumanDuration;

pub const NO_PROBES: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F105",
        name: "no-probes",
        explain: "Without a probe no request is ever sent, and none can be lost.",
        failing: "probes: []",
        passing: "probes: [http: {name: web, node-port: 30080}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        if scenario.probes.is_empty() {
            findings.report(
                &NO_PROBES.rule,
                scenario.scenario.span,
                "the scenario has no probes",
                "add one, such as `probes: [http: {name: web, node-port: 30080}]`",
            );
        }
    },
};

pub const REPEATED_PROBE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F106",
        name: "repeated-probe",
        explain: "The record keeps samples by the probe's name; those of two probes of one name would be mixed.",
        failing: "probes: [http: {name: web, node-port: 30080}, http: {name: web, node-port: 30081}]",
        passing: "probes: [http: {name: web, node-port: 30080}, http: {name: api, node-port: 30081}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let probes = &findings.scenario().probes;
        for (i, probe) in probes.iter().enumerate() {
            if let Some(first) = probes[..i].iter().find(|p| p.name().value == probe.name().value) {
                findings.report(
                    &REPEATED_PROBE.rule,
                    probe.name().span,
                    format!("a second probe `{}`, after the one in line {}", probe.name(), first.name().span.line),
                    "give each probe a name of its own",
                );
            }
        }
    },
};

pub const NODE_PORT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F107",
        name: "node-port",
        explain: "Kubernetes gives node ports between 30000 and 32767; nothing answers on any other.",
        failing: "probes: [http: {name: web, node-port: 8080}]",
        passing: "probes: [http: {name: web, node-port: 30080}]",
        ..Rule::ERROR
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let Some(port) = probe.question().route().and_then(|route| route.node_port) else { continue };
            if !(30_000..=32_767).contains(&port.value) {
                findings.report(
                    &NODE_PORT.rule,
                    port.span,
                    format!("{port} is no node port"),
                    "write the `nodePort` of the workload's Service, between 30000 and 32767",
                );
            }
        }
    },
};

pub const NOWHERE: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F108",
        name: "no-samples",
        explain: "A probe that asks from nowhere, or over no kind of connection, takes no samples.",
        failing: "probes: [http: {name: web, node-port: 30080, connection: []}]",
        passing: "probes: [http: {name: web, node-port: 30080, connection: [new]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let question = probe.question();
            for (key, is_empty) in
                [("from", question.from().is_empty()), ("connection", question.connection().is_empty())]
            {
                if is_empty {
                    findings.report(
                        &NOWHERE.rule,
                        probe.name().span,
                        format!("the probe `{}` takes no samples: its `{key}` is empty", probe.name()),
                        format!("name one, or remove `{key}` for the default"),
                    );
                }
            }
        }
    },
};

pub const AGENTS_UNASKED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F151",
        name: "agents-unasked",
        explain: "Agents ask on behalf of probes from inside. Without such a probe no node's agent has anything to ask.",
        failing: "agents: every-node",
        passing: "agents: every-node\nprobes: [http: {name: web, url: \"http://web.apps.svc/\", from: [inside]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let Some(agents) = &scenario.agents else { return };
        if !scenario.probes.iter().any(|probe| probe.asks_from(From::Inside)) {
            findings.report(
                &AGENTS_UNASKED.rule,
                agents.span,
                "no probe asks from inside: no agent has anything to ask",
                "ask from inside as well, such as `from: [outside, inside]`, or remove `agents`",
            );
        }
    },
};

pub const TIMEOUT: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F109",
        name: "probe-timeout",
        explain: "A sample with no time to be answered always fails; one with more than ten seconds hides what users feel.",
        failing: "probes: [http: {name: web, node-port: 30080, timeout: 0s}]",
        passing: "probes: [http: {name: web, node-port: 30080, timeout: 500ms}]",
        ..Rule::ERROR
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let written = probe.question().timeout();
            let timeout = written.get().as_millis();
            if timeout == 0 || timeout > 10_000 {
                findings.report(
                    &TIMEOUT.rule,
                    written.span,
                    format!("a timeout of {written} is of no use"),
                    "write one between 1ms and 10s; the default is 1s",
                );
            }
        }
    },
};

pub const MISSING_TARGET: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F133",
        name: "missing-target",
        explain: "A Service has another address for each place: a node port from outside, its name from inside. A probe needs one for \
                  each place that it asks from.",
        failing: "probes: [http: {name: web, node-port: 30080, from: [outside, inside]}]",
        passing: "probes: [http: {name: web, node-port: 30080, url: \"http://web.apps.svc/\", from: [outside, inside]}]",
        ..Rule::ERROR
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let question = probe.question();
            let Some(route) = question.route() else { continue };
            for from in question.from() {
                let (key, example) = match from.value {
                    From::Outside if route.node_port.is_none() => ("node-port", "node-port: 30080"),
                    From::Inside if route.inside.is_none() => (route.key, route.example),
                    _ => continue,
                };
                // What nobody wrote has no place.
                let span = if from.span.line > 0 { from.span } else { probe.name().span };
                findings.report(
                    &MISSING_TARGET.rule,
                    span,
                    format!("the probe `{}` has no `{key}` to ask from {from}", probe.name()),
                    format!("add `{example}`, or ask from elsewhere by `from`"),
                );
            }
        }
    },
};

pub const UNUSED_TARGET: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F134",
        name: "unused-target",
        explain: "An address for a place that a probe does not ask from is never asked. It was probably meant to be.",
        failing: "probes: [http: {name: web, node-port: 30080, url: \"http://web.apps.svc/\"}]",
        passing: "probes: [http: {name: web, node-port: 30080, url: \"http://web.apps.svc/\", from: [outside, inside]}]",
        ..Rule::WARNING
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let Some(route) = probe.question().route() else { continue };
            let node_port = route.node_port.map(|port| port.span);
            let keys = [
                ("node-port", node_port, From::Outside),
                ("path", route.path, From::Outside),
                (route.key, route.inside.map(|(_, span)| span), From::Inside),
            ];
            for (key, written, place) in keys {
                if let Some(span) = written.filter(|_| !probe.asks_from(place)) {
                    findings.report(
                        &UNUSED_TARGET.rule,
                        span,
                        format!("`{key}` is for {place}, and the probe `{}` does not ask from there", probe.name()),
                        format!("add `{place}` to `from`, or remove `{key}`"),
                    );
                }
            }
        }
    },
};

pub const UNPUBLISHED: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F135",
        name: "profile-port",
        explain: "From outside a node port is reached through a port that the cluster publishes. A profile in kind-configs lists \
                  those; ports cannot be added to a cluster that runs.",
        failing: "probes: [http: {name: web, node-port: 30081}]",
        failing_files: &[("../kind-configs/kind-single-node.yaml", "ports: {web: 30080}\n")],
        passing: "probes: [http: {name: web, node-port: 30080}]",
        passing_files: &[("../kind-configs/kind-single-node.yaml", "ports: {web: 30080}\n")],
        ..Rule::ERROR
    },
    check: |findings| {
        let scenario = findings.scenario();
        let Some(profile) = folders::profile(scenario, &scenario.cell, findings.files()) else { return };
        let published: Vec<u64> =
            profile["ports"].as_object().into_iter().flatten().filter_map(|(_, p)| p.as_u64()).collect();
        for probe in scenario.probes.iter().filter(|probe| probe.asks_from(From::Outside)) {
            let Some(port) = probe.question().route().and_then(|route| route.node_port) else { continue };
            if !published.contains(&u64::from(port.value)) {
                let known: Vec<String> = published.iter().map(ToString::to_string).collect();
                findings.report(
                    &UNPUBLISHED.rule,
                    port.span,
                    format!("the profile `{}` publishes no node port {port}", scenario.cluster),
                    format!("it publishes {}", names::list(&known)),
                );
            }
        }
    },
};

/// What the sampler has under way for one probe at most.
const IN_FLIGHT: u128 = 500;

pub const IN_FLIGHT_BOUND: ScenarioRule = ScenarioRule {
    rule: Rule {
        code: "F138",
        name: "too-many-in-flight",
        explain: "When nothing answers, a probe has as many samples under way as are due within its timeout. Beyond 500 it takes no \
                  more, and what the workload did then is not known: an outage would become a gap in the evidence.",
        failing: "probes: [http: {name: web, node-port: 30080, rate: 1000/s, timeout: 1s}]",
        passing: "probes: [http: {name: web, node-port: 30080, rate: 1000/s, timeout: 250ms}]",
        ..Rule::WARNING
    },
    check: |findings| {
        for probe in &findings.scenario().probes {
            let (rate, timeout) = (probe.question().rate(), probe.question().timeout());
            let interval = rate.interval().max(Duration::from_nanos(1));
            let under_way = timeout.get().as_nanos().div_ceil(interval.as_nanos());
            if under_way > IN_FLIGHT {
                let most = HumanDuration::from(Duration::from_millis(
                    u64::try_from(interval.as_nanos() * IN_FLIGHT / 1_000_000).unwrap_or(u64::MAX),
                ));
                // One of the two is written, or nothing would be too much.
                let span = if timeout.span.line > 0 { timeout.span } else { rate.span };
                findings.report(
                    &IN_FLIGHT_BOUND.rule,
                    span,
                    format!("at {rate} with a timeout of {timeout} up to {under_way} samples are under way"),
                    format!("write a timeout of at most {most}, or sample less often"),
                );
            }
        }
    },
};

#[cfg(test)]
mod tests {
    use crate::lint::tests::findings;

    #[test]
    fn each_place_has_its_address() {
        let probes = [
            "http: {name: web}",
            "http: {name: web, from: [inside], path: /ready}",
            "tcp: {name: web, from: [outside, inside], address: \"web.apps.svc:80\"}",
            "grpc: {name: web, node-port: 8081}",
            "stream: {name: web, node-port: 30080, path: /lines}",
            "kube-api: {name: api, from: []}",
            "dns: {name: web, query: web.apps.svc.cluster.local}",
            "http: {name: web, url: \"http://wbe.apps.svc/\", from: [inside]}",
            "tcp: {name: web, address: \"kubernetes.default.svc:443\", from: [inside]}",
            "flux: {name: artifact, source: gitrepository/flux-system/flux-sytem}",
        ];
        let said = probes.map(|probe| {
            let found = findings(&format!("probes: [{probe}]"), &[]);
            let shown: String = found.iter().map(|d| format!("  {}: {}\n", d.code, d.message)).collect();
            format!("{probe}\n{shown}")
        });
        insta::assert_snapshot!(said.concat(), @r#"
        http: {name: web}
          F133: the probe `web` has no `node-port` to ask from outside
        http: {name: web, from: [inside], path: /ready}
          F133: the probe `web` has no `url` to ask from inside
          F134: `path` is for outside, and the probe `web` does not ask from there
        tcp: {name: web, from: [outside, inside], address: "web.apps.svc:80"}
          F133: the probe `web` has no `node-port` to ask from outside
        grpc: {name: web, node-port: 8081}
          F107: 8081 is no node port
        stream: {name: web, node-port: 30080, path: /lines}
        kube-api: {name: api, from: []}
          F108: the probe `api` takes no samples: its `from` is empty
        dns: {name: web, query: web.apps.svc.cluster.local}
        http: {name: web, url: "http://wbe.apps.svc/", from: [inside]}
          F139: the fleet has no Service `wbe` in apps
        tcp: {name: web, address: "kubernetes.default.svc:443", from: [inside]}
        flux: {name: artifact, source: gitrepository/flux-system/flux-sytem}
          F128: there is no gitrepository `flux-sytem` in what Flux applies, and no step brings one; did you mean `flux-system`?
        "#);
    }
}

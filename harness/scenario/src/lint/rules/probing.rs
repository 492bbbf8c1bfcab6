//! Probes must be able to see something.

use crate::lint::{Rule, ScenarioRule};
use crate::probes::Probe;

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
            let Probe::Http(http) = &probe.value;
            if !(30_000..=32_767).contains(&http.node_port.value) {
                findings.report(
                    &NODE_PORT.rule,
                    http.node_port.span,
                    format!("{} is no node port", http.node_port),
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
            let Probe::Http(http) = &probe.value;
            for (key, is_empty) in [("from", http.from.is_empty()), ("connection", http.connection.is_empty())] {
                if is_empty {
                    findings.report(
                        &NOWHERE.rule,
                        http.name.span,
                        format!("the probe `{}` takes no samples: its `{key}` is empty", http.name),
                        format!("name one, or remove `{key}` for the default"),
                    );
                }
            }
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
            let Probe::Http(http) = &probe.value;
            let timeout = http.timeout.get().as_millis();
            if timeout == 0 || timeout > 10_000 {
                findings.report(
                    &TIMEOUT.rule,
                    http.timeout.span,
                    format!("a timeout of {} is of no use", http.timeout),
                    "write one between 1ms and 10s; the default is 1s",
                );
            }
        }
    },
};

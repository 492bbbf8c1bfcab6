//! `probe`: what the traffic says.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::lint::{Findings, Rule};
use crate::names;
use crate::span::Spanned;
use crate::steps::walk;
use crate::text::{HumanDuration, Name};

/// A probe whose samples have all been good for some time, from everywhere it asks and over each kind of connection. The
/// time may have begun before this step, and reaches beyond its start.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbeHealth {
    /// The probe's name.
    pub name: Spanned<Name>,
    /// For how long without a single failed sample.
    pub healthy_for: Spanned<HumanDuration>,
}

impl fmt::Display for ProbeHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "probe {} is healthy for {}", self.name, self.healthy_for)
    }
}

pub(super) const UNKNOWN_PROBE: Rule = Rule {
    code: "F236",
    name: "unknown-probe",
    explain: "A wait for a probe that the scenario does not have would never end well.",
    failing: "- wait: {probe: {name: wbe, healthy-for: 5s}}",
    passing: "- wait: {probe: {name: web, healthy-for: 5s}}",
    ..Rule::ERROR
};

pub(super) const NOT_PROBING_YET: Rule = Rule {
    code: "F237",
    name: "not-probing-yet",
    explain: "Sampling begins after the first phase, which brings the workloads up: until then a probe has no samples.",
    failing: "phases: [{phase: a, steps: [wait: {probe: {name: web, healthy-for: 5s}}]}, {phase: b, steps: [sleep: {for: 1s, reason: soak}]}]",
    passing: "phases: [{phase: a, steps: [sleep: {for: 1s, reason: x}]}, {phase: b, steps: [wait: {probe: {name: web, healthy-for: 5s}}]}]",
    ..Rule::ERROR
};

pub(super) const NO_SAMPLE_IN_TIME: Rule = Rule {
    code: "F222",
    name: "no-sample-in-time",
    explain: "A time that is shorter than the probe's interval may hold no sample at all: it would prove nothing.",
    failing: "probes: [http: {name: web, node-port: 30080, rate: 1/s}]\n- wait: {probe: {name: web, healthy-for: 500ms}}",
    passing: "probes: [http: {name: web, node-port: 30080, rate: 1/s}]\n- wait: {probe: {name: web, healthy-for: 10s}}",
    ..Rule::ERROR
};

impl ProbeHealth {
    pub(super) fn lint(&self, findings: &mut Findings<'_>) {
        let scenario = findings.scenario();
        let Some(probe) = scenario.probes.iter().find(|probe| probe.name().value == self.name.value) else {
            let known: Vec<&str> = scenario.probes.iter().map(|probe| probe.name().as_str()).collect();
            let meant = names::nearest(self.name.as_str(), known.iter().copied());
            let help = meant.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            findings.report(
                &UNKNOWN_PROBE,
                self.name.span,
                format!("there is no probe `{}`", self.name),
                format!("{help}the scenario has {}", names::list(&known)),
            );
            return;
        };
        let here = findings.here();
        if scenario.phases.first().is_some_and(|first| first.steps.iter().flat_map(walk).any(|step| step.span == here))
        {
            findings.report(
                &NOT_PROBING_YET,
                self.name.span,
                "no probe runs yet in the first phase",
                "put the step into a later phase; the first one ends only when every probe was answered once",
            );
        }
        let rate = probe.question().rate();
        if self.healthy_for.get() < rate.interval() {
            findings.report(
                &NO_SAMPLE_IN_TIME,
                self.healthy_for.span,
                format!("at {rate} the probe `{}` may take no sample in {}", self.name, self.healthy_for),
                "wait for several samples, or sample more often",
            );
        }
    }
}

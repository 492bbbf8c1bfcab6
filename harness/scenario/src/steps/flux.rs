//! `flux`: the flux command.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, CommandExpect, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::{HumanDuration, Version};

/// Runs the flux command in the toolbox, where it finds the cluster, the git server and the registry. What it prints is in the
/// record.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "FluxCommand", rename_all = "kebab-case")]
pub struct Flux {
    /// Its arguments, as in `[get, all, -A]`.
    pub args: Vec<Spanned<String>>,
    /// Release of the command. Default: the scenario's `flux.version`.
    pub version: Option<Spanned<Version>>,
    /// How it must end, and what it must say. Default: exit code 0.
    #[serde(default)]
    pub expect: CommandExpect,
    /// How long it may take; then it is killed. Default: 2m.
    pub within: Option<Spanned<HumanDuration>>,
}

impl Flux {
    /// The release to run.
    pub fn version<'s>(&'s self, scenario: &'s Scenario) -> &'s Version {
        self.version.as_ref().unwrap_or(&scenario.flux.version)
    }
}

impl StepKind for Flux {
    const KIND: &'static str = "flux";
    const EXAMPLE: &'static str =
        "flux: {args: [trace, kustomization, flux-system], expect: {stderr-contains: not managed by Flux}}";
    const RULES: &'static [Rule] = &[FLUX_ARGUMENTS, FLUX_BOOTSTRAP, FLUX_ASKS];
}

const FLUX_ARGUMENTS: Rule = Rule {
    code: "F251",
    name: "flux-arguments",
    explain: "Without arguments flux prints its help, and with all of them in one text it knows no such command.",
    failing: "- flux: {args: [get all -A]}",
    passing: "- flux: {args: [get, all, -A]}",
    ..Rule::ERROR
};

const FLUX_BOOTSTRAP: Rule = Rule {
    code: "F252",
    name: "flux-bootstrap",
    explain: "The `bootstrap` step knows the fleet's repository, its credentials and the registry, and lets later commits build \
              upon what flux pushes.",
    failing: "- flux: {args: [bootstrap, git]}",
    passing: "- bootstrap: {path: clusters/test}",
    ..Rule::ERROR
};

const FLUX_ASKS: Rule = Rule {
    code: "F253",
    name: "flux-asks",
    explain: "`flux uninstall` and `flux delete` ask whether they may; nobody is there to answer.",
    failing: "- flux: {args: [uninstall]}",
    passing: "- flux: {args: [uninstall, --silent]}",
    ..Rule::ERROR
};

impl Action for Flux {
    fn title(&self, _scenario: &Scenario) -> String {
        let args: Vec<&str> = self.args.iter().map(|arg| arg.as_str()).collect();
        format!("flux {}", args.join(" "))
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Flux, self.within.as_deref().copied(), scenario)
    }

    fn needs(&self, scenario: &Scenario, needs: &mut Needs) {
        needs.flux_cli(self.version(scenario));
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        let Some(first) = self.args.first() else {
            let help = "write `args: [get, all, -A]`";
            return findings.report(&FLUX_ARGUMENTS, findings.here(), "flux is not told what to do", help);
        };
        let has = |flags: &[&str]| self.args.iter().any(|arg| flags.contains(&arg.as_str()));
        match first.as_str() {
            line if line.trim().contains(char::is_whitespace) => {
                let words: Vec<&str> = line.split_whitespace().collect();
                let help = format!("write `args: [{}, …]`", words.join(", "));
                findings.report(&FLUX_ARGUMENTS, first.span, "each argument is an element of the list", help);
            }
            "bootstrap" => {
                let help = "write `bootstrap: {path: clusters/test}`";
                findings.report(&FLUX_BOOTSTRAP, first.span, "bootstrapping has a step of its own", help);
            }
            asks @ ("uninstall" | "delete") if !has(&["--silent", "-s", "--dry-run"]) => {
                let message = format!("`flux {asks}` would ask whether it may, and wait for an answer");
                findings.report(&FLUX_ASKS, first.span, message, "add `--silent`");
            }
            _ => {}
        }
    }
}

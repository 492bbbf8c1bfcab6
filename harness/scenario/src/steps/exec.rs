//! `exec`: a command, somewhere, and what it must say.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::restart::is_one_of;
use super::{Action, CommandExpect, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::names;
use crate::plan::Needs;
use crate::span::Spanned;
use crate::text::{HumanDuration, ObjectRef, TextError, text_type};

/// Runs a command without a shell: in a pod, in the toolbox, or on the machine that runs ferry. What it prints is in the record.
///
/// In the toolbox are kubectl, flux, helm, git, jq, curl and a shell, with the cluster, the git server and the registry at hand;
/// on the host there is what the user has installed, and KUBECONFIG names the run's own cluster.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exec {
    /// Where: a pod, a workload (in one of its pods), `toolbox` or `host`.
    pub r#in: Spanned<ExecIn>,
    /// The program and its arguments. Shell syntax means nothing, unless the program is a shell.
    pub command: Vec<Spanned<String>>,
    /// The pod's container. Default: its first.
    pub container: Option<Spanned<String>>,
    /// What it reads from standard input. Default: nothing.
    pub stdin: Option<String>,
    /// How it must end, and what it must say. Default: exit code 0.
    #[serde(default)]
    pub expect: CommandExpect,
    /// How long it may take; then it is killed. Default: 1m.
    pub within: Option<Spanned<HumanDuration>>,
}

/// Where a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecIn {
    /// In the run's toolbox.
    Toolbox,
    /// On the machine that runs ferry.
    Host,
    /// In a pod, or in one of a workload's pods.
    Pod(ObjectRef),
}

impl FromStr for ExecIn {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match text {
            "toolbox" => Ok(ExecIn::Toolbox),
            "host" => Ok(ExecIn::Host),
            _ => text.parse().map(ExecIn::Pod).map_err(|error: TextError| {
                let hint = "write `toolbox`, `host`, or a pod or workload such as `deployment/apps/web`";
                match names::nearest(text, ["toolbox", "host"]) {
                    Some(near) => {
                        TextError::new(format!("`{text}` is no place for a command; did you mean `{near}`?"), hint)
                    }
                    None => TextError::new(error.message, hint),
                }
            }),
        }
    }
}

impl fmt::Display for ExecIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecIn::Toolbox => f.write_str("toolbox"),
            ExecIn::Host => f.write_str("host"),
            ExecIn::Pod(object) => object.fmt(f),
        }
    }
}

text_type!(ExecIn,
    what: "a pod or workload such as `deployment/apps/web`, `toolbox` or `host`",
    pattern: r"^(toolbox|host|[a-z0-9.-]+/([a-z0-9-]+/)?[a-z0-9:.-]+)$",
    examples: ["deployment/apps/web", "toolbox", "host"]);

/// What `kubectl exec` finds a pod by.
const WITH_PODS: [&str; 7] = ["pod", "deployment", "statefulset", "daemonset", "replicaset", "job", "service"];

impl StepKind for Exec {
    const KIND: &'static str = "exec";
    const EXAMPLE: &'static str = "exec: {in: deployment/kube-system/coredns, command: [coredns, -version], expect: {stdout-matches: '^CoreDNS-'}}";
    const RULES: &'static [Rule] = &[NO_COMMAND, NO_POD, CONTAINER_OF_NO_POD, ONE_WORD_COMMAND];
}

const NO_COMMAND: Rule = Rule {
    code: "F247",
    name: "no-command",
    explain: "A step that runs nothing proves nothing.",
    failing: "- exec: {in: toolbox, command: []}",
    passing: "- exec: {in: toolbox, command: [kubectl, get, nodes]}",
    ..Rule::ERROR
};

const NO_POD: Rule = Rule {
    code: "F248",
    name: "no-pod",
    explain: "A command runs in a container, so there must be a pod to find one in.",
    failing: "- exec: {in: kustomization/flux-system/apps, command: [ls]}",
    passing: "- exec: {in: deployment/apps/web, command: [ls]}",
    ..Rule::ERROR
};

const CONTAINER_OF_NO_POD: Rule = Rule {
    code: "F249",
    name: "container-of-no-pod",
    explain: "Only pods have containers to choose from.",
    failing: "- exec: {in: toolbox, container: web, command: [ls]}",
    passing: "- exec: {in: deployment/apps/web, container: web, command: [ls]}",
    ..Rule::ERROR
};

const ONE_WORD_COMMAND: Rule = Rule {
    code: "F250",
    name: "one-word-command",
    explain: "No shell takes a command line apart: each argument is an element of the list, or the program is a shell.",
    failing: "- exec: {in: toolbox, command: [kubectl get nodes]}",
    passing: "- exec: {in: toolbox, command: [sh, -euc, kubectl get nodes | grep -c Ready]}",
    ..Rule::ERROR
};

impl Action for Exec {
    fn title(&self, _scenario: &Scenario) -> String {
        let words: Vec<&str> = self.command.iter().map(|word| word.lines().next().unwrap_or_default()).collect();
        let place = match &self.r#in.value {
            ExecIn::Toolbox => "in the toolbox".to_owned(),
            ExecIn::Host => "on the host".to_owned(),
            ExecIn::Pod(object) => format!("in {object}"),
        };
        format!("run `{}` {place}", words.join(" "))
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Exec, self.within.as_deref().copied(), scenario)
    }

    fn needs(&self, _scenario: &Scenario, needs: &mut Needs) {
        match (&self.r#in.value, self.command.first()) {
            (ExecIn::Pod(_), _) => needs.tool("kubectl"),
            (ExecIn::Host, Some(program)) => needs.tool(&format!("{program} (on the host)")),
            (ExecIn::Toolbox, Some(program)) => needs.tool(program),
            (_, None) => {}
        }
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        let at = &self.r#in;
        match self.command.as_slice() {
            [] => findings.report(
                &NO_COMMAND,
                findings.here(),
                "there is no command",
                "write `command: [PROGRAM, ARGUMENT, …]`",
            ),
            [program, ..] if program.trim().is_empty() => {
                findings.report(
                    &NO_COMMAND,
                    program.span,
                    "the program has no name",
                    "write `command: [PROGRAM, ARGUMENT, …]`",
                );
            }
            [line] if line.trim().contains(char::is_whitespace) => {
                let words: Vec<&str> = line.split_whitespace().collect();
                let help = format!("write `command: [{}]`", words.join(", "));
                findings.report(&ONE_WORD_COMMAND, line.span, "no program has blanks in its name", help);
            }
            _ => {}
        }
        match (&at.value, &self.container) {
            (ExecIn::Pod(object), _) if !is_one_of(&object.kind, &WITH_PODS) => {
                let message = format!("an object of kind `{}` has no pods", object.kind);
                findings.report(&NO_POD, at.span, message, "name a pod or a workload, `toolbox` or `host`");
            }
            (ExecIn::Toolbox | ExecIn::Host, Some(container)) => {
                let message = format!("`{at}` has no containers to choose from");
                findings.report(&CONTAINER_OF_NO_POD, container.span, message, "remove `container`");
            }
            _ => {}
        }
    }
}

//! `snapshot`: how things are now, to compare with later.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, StepKind};
use crate::deadlines::{Deadline, DeadlineName};
use crate::lint::{Findings, Rule};
use crate::model::Scenario;
use crate::span::Spanned;
use crate::steps::Step;
use crate::text::{HumanDuration, Name, ObjectRef};

/// Keeps the state of objects under a name: UID, generation and specification, and for workloads the UIDs and restarts of
/// their pods. `assert: {unchanged: NAME}` compares with it. An object that does not exist is an error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Snapshot {
    /// The name to compare by.
    pub name: Spanned<Name>,
    /// The objects.
    pub of: Spanned<Vec<Spanned<ObjectRef>>>,
    /// How long it may take. Default: 30s.
    pub within: Option<Spanned<HumanDuration>>,
}

impl StepKind for Snapshot {
    const KIND: &'static str = "snapshot";
    const EXAMPLE: &'static str = "snapshot: {name: before, of: [deployment/apps/web, service/apps/web]}";
    const RULES: &'static [Rule] = &[REPEATED, EMPTY];
}

const REPEATED: Rule = Rule {
    code: "F234",
    name: "repeated-snapshot",
    explain: "A second snapshot of the same name would take the place of the first: which one is compared with could not be told.",
    failing: "- snapshot: {name: before, of: [deployment/apps/web]}\n- snapshot: {name: before, of: [service/apps/web]}",
    passing: "- snapshot: {name: before, of: [deployment/apps/web]}\n- snapshot: {name: after, of: [deployment/apps/web]}",
    ..Rule::ERROR
};

const EMPTY: Rule = Rule {
    code: "F235",
    name: "empty-snapshot",
    explain: "A snapshot of nothing never changes: comparing with it proves nothing.",
    failing: "- snapshot: {name: before, of: []}",
    passing: "- snapshot: {name: before, of: [deployment/apps/web]}",
    ..Rule::ERROR
};

impl Action for Snapshot {
    fn title(&self, _scenario: &Scenario) -> String {
        let objects = self.of.len();
        format!("take snapshot {} of {objects} {}", self.name, if objects == 1 { "object" } else { "objects" })
    }

    fn deadline(&self, scenario: &Scenario) -> Deadline {
        Deadline::of(DeadlineName::Snapshot, self.within.as_deref().copied(), scenario)
    }

    fn lint(&self, findings: &mut Findings<'_>) {
        let (scenario, here) = (findings.scenario(), findings.here());
        let before = scenario.steps().take_while(|step| step.span != here);
        let first = before
            .filter_map(|step| match &step.value {
                Step::Snapshot(snapshot) => Some(snapshot),
                _ => None,
            })
            .find(|snapshot| snapshot.name.value == self.name.value);
        if let Some(first) = first {
            findings.report(
                &REPEATED,
                self.name.span,
                format!("a second snapshot `{}`, after the one in line {}", self.name, first.name.span.line),
                "give each snapshot a name of its own",
            );
        }
        if self.of.is_empty() {
            findings.report(
                &EMPTY,
                self.of.span,
                "the snapshot holds nothing",
                "name objects, such as `[deployment/apps/web]`",
            );
        }
    }
}

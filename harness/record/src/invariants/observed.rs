//! What the rules about objects have in common: what they look at, and how they tell what they saw.

use super::Invariant;
use crate::event::Nanos;
use crate::fold::RunState;
use crate::intervals::Interval;
use crate::verdict::{Evidence, Finding, Verdict};

/// Observations listed one by one in a finding; the rest is counted.
const MAX_LISTED: usize = 20;

/// Something about an object that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Observed {
    /// When it was seen.
    pub at: Nanos,
    /// Its name.
    pub object: String,
    /// What, with before → after.
    pub what: String,
}

impl Observed {
    pub(super) fn new(object: &str, at: Nanos, what: impl Into<String>) -> Self {
        Self { at, object: object.into(), what: what.into() }
    }

    /// In a line: object, what, when, and what was going on.
    fn line(&self, run: &RunState) -> String {
        format!("{}: {} at {}{}", self.object, self.what, run.when(self.at), going_on(run, self.at))
    }
}

/// The time that a rule about objects judges, or the finding that there is none.
pub(super) fn window(rule: &dyn Invariant, run: &RunState) -> Result<Interval, Finding> {
    let none = |message: &str| Err(Finding::new(rule.name(), Verdict::Inconclusive, message));
    if !run.cluster.is_watched() {
        return none("the cluster was not watched");
    }
    run.window().map_or_else(|| none("no phase followed the one that brings everything up: nothing to compare"), Ok)
}

/// A finding from what was observed: a failure if there is anything, else a pass.
pub(super) fn finding(
    rule: &dyn Invariant,
    run: &RunState,
    mut observed: Vec<Observed>,
    fail: impl FnOnce(u64) -> String,
    pass: impl Into<String>,
) -> Finding {
    if observed.is_empty() {
        return Finding::new(rule.name(), Verdict::Pass, pass);
    }
    observed.sort_unstable();
    let mut objects: Vec<_> = observed.iter().map(|o| o.object.as_str()).collect();
    objects.sort_unstable();
    objects.dedup();
    let mut finding = Finding::new(rule.name(), Verdict::Fail, fail(objects.len() as u64));
    add(&mut finding, run, &observed);
    finding
}

/// Adds observations to a finding's details and evidence.
pub(super) fn add(finding: &mut Finding, run: &RunState, observed: &[Observed]) {
    for one in observed.iter().take(MAX_LISTED) {
        finding.details.push(one.line(run));
        finding.evidence.push(Evidence::Object { object: one.object.clone(), at: one.at });
    }
    let more = observed.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        finding.details.push(format!("and {more} more"));
    }
}

/// The phase and step of a moment, to end a line with: `; phase take over, step 2 (install the operator)`.
pub(super) fn going_on(run: &RunState, t: Nanos) -> String {
    let phase = match run.phase_at(t) {
        Some(phase) => format!("; phase {}", phase.info.name),
        None => "; between phases".into(),
    };
    match run.step_at(t) {
        Some(step) => format!("{phase}, step {} ({})", step.index + 1, step.title),
        None => phase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::watches::Watches;
    use crate::testing::{Record, SECOND};

    #[test]
    fn a_flood_is_counted_and_listed_in_order() {
        let run = Record::good().fold();
        let observed =
            (0..30).rev().map(|i| Observed::new("pod/apps/web", i * SECOND, format!("restart {i}"))).collect();
        let finding = finding(&Watches, &run, observed, |n| format!("{n} changed"), "none changed");
        assert_eq!((finding.verdict, finding.message.as_str()), (Verdict::Fail, "1 changed"));
        assert_eq!((finding.details.len(), finding.evidence.len()), (MAX_LISTED + 1, MAX_LISTED));
        insta::assert_snapshot!([&finding.details[0], &finding.details[10], &finding.details[20]].map(|d| d.as_str()).join("\n"), @r"
        pod/apps/web: restart 0 at 12:00:00.000 (+0:00.000); between phases
        pod/apps/web: restart 10 at 12:00:10.000 (+0:10.000); phase take over, step 2 (install-operator it)
        and 10 more
        ");
    }
}

//! One finding of what a rule says of each cluster.

use crate::fold::{RunState, View};
use crate::verdict::{Evidence, Finding};

/// Judges each cluster of a run as if there were no other, and says of which of them what is said.
pub(super) fn judge(views: &[View<'_>], rule: impl Fn(&RunState) -> Finding) -> Finding {
    let mut findings: Vec<(&str, Finding)> =
        views.iter().map(|view| (view.cluster.unwrap_or_default(), rule(&view.run))).collect();
    if findings.len() == 1
        && let Some((_, only)) = findings.pop()
    {
        return only;
    }
    // The gravest counts, and is told; all details are.
    let gravest = findings.iter().map(|(_, finding)| finding.verdict).min();
    let told: Vec<String> = findings
        .iter()
        .filter(|(_, finding)| Some(finding.verdict) == gravest)
        .map(|(cluster, finding)| format!("{cluster}: {}", finding.message))
        .collect();
    let mut all = findings.into_iter();
    let Some((first, mut merged)) = all.next() else { return rule(&RunState::default()) };
    merged.verdict = gravest.unwrap_or(merged.verdict);
    merged.message = told.join("; ");
    merged.details.iter_mut().for_each(|line| line.insert_str(0, &format!("{first}: ")));
    for (cluster, finding) in all {
        merged.details.extend(finding.details.iter().map(|line| format!("{cluster}: {line}")));
        merged.evidence.extend(finding.evidence.into_iter().map(|evidence| match evidence {
            Evidence::Object { object, at } => Evidence::Object { object: format!("{cluster}:{object}"), at },
            other => other,
        }));
    }
    merged
}

#[cfg(test)]
mod tests {
    use crate::invariants;
    use crate::testing::{Record, SECOND};
    use crate::verdict::{Finding, Verdict};
    use rstest::rstest;

    fn two() -> Record {
        let record = Record::migrated().clusters(&[("edge", &["web"]), ("main", &[])]).invariants(&["same-uid"]);
        record.watched_beside("main").beside(5 * SECOND, "main", "service/apps/api", |_| {})
    }

    fn found(record: Record, rule: &str) -> Finding {
        invariants::judge(&record.fold()).into_iter().find(|finding| finding.rule == rule).unwrap()
    }

    #[rstest]
    #[case::both_hold(two(), Verdict::Pass)]
    #[case::the_first_fails(two().gone(14 * SECOND, "service/apps/web"), Verdict::Fail)]
    #[case::the_other_fails(two().gone_beside(14 * SECOND, "main", "service/apps/api"), Verdict::Fail)]
    #[case::the_other_was_not_watched(
        Record::migrated().clusters(&[("edge", &[]), ("main", &[])]).invariants(&["same-uid"]),
        Verdict::Inconclusive
    )]
    fn the_gravest_counts(#[case] record: Record, #[case] verdict: Verdict) {
        assert_eq!(found(record, "same-uid").verdict, verdict);
    }

    #[test]
    fn it_is_said_of_which_cluster() {
        let finding = found(two().gone_beside(14 * SECOND, "main", "service/apps/api"), "same-uid");
        assert!(finding.message.starts_with("main: "), "{}", finding.message);
        assert!(finding.details[0].starts_with("main: service/apps/api: "), "{:?}", finding.details);
        let watches = found(two(), "watches");
        assert!(watches.message.starts_with("edge: ") && watches.message.contains("; main: "), "{}", watches.message);
    }
}

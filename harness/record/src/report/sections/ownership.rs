//! Whose objects changed hands.

use super::{Row, Section};
use crate::fmt;
use crate::fold::RunState;

/// Objects listed; the record has all.
const MAX_OBJECTS: usize = 300;

/// Turns of one object listed: who fights has hundreds.
const MAX_TURNS: usize = 10;

/// Objects with more than one owner or writer in the migration, with who had them since when.
pub(super) fn section(run: &RunState) -> Section {
    let mut rows = Vec::new();
    if let Some(window) = run.window() {
        for (object, _) in run.cluster.objects() {
            let ownership = run.ownership(object, window);
            let owners: Vec<(u64, &str)> = ownership.owners.iter().map(|(at, who)| (*at, named(who))).collect();
            let writers = ownership.writers();
            if owners.len() > 1 || writers.len() > 1 {
                let fight = returns(&owners) || returns(&writers);
                let [owners, writers] = [owners, writers].map(|turns| told(run, window.from, &turns));
                rows.push(Row::new(fight, [object.to_owned(), owners, writers]));
            }
        }
    }
    // What needs attention must not be cut off.
    rows.sort_by_key(|row| !row.bad);
    Section {
        title: "Hand-overs".into(),
        about: "objects whose owner (by label) or writer (by managedFields) changed in the migration; who returns is in a fight",
        columns: &["object", "owner", "writer"],
        rows,
        hidden: 0,
        told_by: None,
    }
    .at_most(MAX_OBJECTS)
}

fn named(owner: &str) -> &str {
    if owner.is_empty() { "nobody" } else { owner }
}

/// Whether someone comes again who had it before.
fn returns(turns: &[(u64, &str)]) -> bool {
    turns.iter().enumerate().any(|(i, (_, who))| turns[..i].iter().any(|(_, before)| before == who))
}

/// Who had it, a line each.
fn told(run: &RunState, from: u64, turns: &[(u64, &str)]) -> String {
    let line = |(at, who): &(u64, &str)| match *at <= from {
        true => (*who).to_owned(),
        false => format!("→ {who} at {}", run.when(*at)),
    };
    let mut lines: Vec<String> = turns.iter().take(MAX_TURNS).map(line).collect();
    let more = turns.len().saturating_sub(MAX_TURNS) as u64;
    if more > 0 {
        lines.push(format!("and {}", fmt::count(more, "more turn")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts;
    use crate::testing::{Record, SECOND};

    #[test]
    fn a_hand_over_is_told_and_a_fight_stands_out() {
        let web = "deployment/apps/web";
        let mut record = Record::migrated();
        for (second, who) in [(13, "flux-operator"), (14, "kustomize-controller"), (15, "flux-operator")] {
            record = record.object(second * SECOND, web, |o| {
                o.managed(who, "Apply");
                o.set(facts::SPEC, format!("by {who} {second}"));
                o.managers[0].time = format!("2026-11-21T12:00:{second}Z");
            });
        }
        let section = section(&record.fold());
        let [fight, rest @ ..] = &section.rows[..] else { panic!("nothing changed hands") };
        assert!(fight.bad && rest.iter().all(|row| !row.bad));
        insta::assert_snapshot!(fight.cells.join("\n"), @r"
        deployment/apps/web
        kustomization/flux-system/apps
        kustomize-controller
        → flux-operator at 12:00:13.000 (+0:13.000)
        → kustomize-controller at 12:00:14.000 (+0:14.000)
        → flux-operator at 12:00:15.000 (+0:15.000)
        ");
        let source = rest.iter().find(|row| row.cells[0].starts_with("gitrepository")).unwrap();
        insta::assert_snapshot!(source.cells.join("\n"), @r"
        gitrepository/flux-system/flux-system
        kustomization/flux-system/flux-system
        → fluxinstance/flux-system/flux at 12:00:12.000 (+0:12.000)
        kustomize-controller
        → flux-operator at 12:00:12.000 (+0:12.000)
        ");
    }
}

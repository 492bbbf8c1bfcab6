//! Which objects are not what they were before the migration.

use std::collections::BTreeMap;

use super::{Row, Section};
use crate::cluster::{ObjectSeen, Parts};
use crate::event::Nanos;
use crate::fold::{History, RunState};

/// Objects listed; the record has all.
const MAX_OBJECTS: usize = 300;

/// Differences of one object listed.
const MAX_LINES: usize = 12;

/// Characters of a value that are shown.
const MAX_VALUE: usize = 120;

/// Objects of the fleet and of Flux that came, went or differ at the end, the fleet's first.
pub(super) fn section(run: &RunState) -> Section {
    let mut rows: Vec<(bool, Row)> = Vec::new();
    if let Some(window) = run.window() {
        for (object, life) in run.cluster.objects() {
            let fleet = run.is_fleet(object);
            if !fleet && !is_flux(run, object, life) {
                continue;
            }
            let lines = differences(life.at(window.from), life.now());
            let Some(last) = life.states().last().map(|state| state.at).filter(|_| !lines.is_empty()) else { continue };
            // The endpoints of a Service follow its pods, which stand here themselves.
            let follows = Parts::of(object).kind == "endpointslice";
            let unasked = fleet && !follows && !life.after(window.from).iter().all(|state| run.meant(object, state.at));
            let phase = run.phase_at(last).map_or("between phases".to_owned(), |phase| phase.info.name.clone());
            rows.push((fleet, Row::new(unasked, [object.to_owned(), shortened(lines), run.when(last), phase])));
        }
    }
    rows.sort_by_key(|(fleet, row)| (!row.bad, !fleet));
    Section {
        title: "Changed objects".into(),
        about: "objects of the fleet and of Flux before and after the migration: what is not here is as it was",
        columns: &["object", "before → after", "last at", "in"],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        hidden: 0,
        told_by: None,
    }
    .at_most(MAX_OBJECTS)
}

fn is_flux(run: &RunState, object: &str, life: &History) -> bool {
    let component = || life.last().is_some_and(ObjectSeen::is_flux_component);
    let namespaced = || Parts::of(object).namespace == Some(run.flux_namespace());
    run.is_flux(object) || run.is_flux_definition(object) || namespaced() || component()
}

/// What differs, a line each.
fn differences(before: Option<&ObjectSeen>, after: Option<&ObjectSeen>) -> Vec<String> {
    match (before, after) {
        (None, None) => vec![],
        (None, Some(_)) => vec!["came".into()],
        (Some(_), None) => vec!["is gone".into()],
        (Some(before), Some(after)) => {
            let (before, after) = (fields(before), fields(after));
            let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
            let mut lines: Vec<String> = names
                .filter(|name| before.get(*name) != after.get(*name))
                .map(|name| {
                    let value = |of: &BTreeMap<String, String>| of.get(name).map_or("–".to_owned(), |v| short(v));
                    format!("{name}: {} → {}", value(&before), value(&after))
                })
                .collect();
            lines.sort_unstable();
            lines
        }
    }
}

/// Everything about an object that is worth a line, by name. Who wrote it is told by the hand-overs.
fn fields(seen: &ObjectSeen) -> BTreeMap<String, String> {
    let text = |value: &Option<Nanos>| value.map(|value| value.to_string());
    let generation = seen.generation.and_then(|generation| u64::try_from(generation).ok());
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.insert(name.to_owned(), value);
        }
    };
    set("UID", Some(seen.uid.clone()));
    set("API version", Some(seen.api.clone()));
    set("generation", text(&generation));
    set("deletion asked for", seen.deleting.clone());
    set("finalizers", Some(seen.finalizers.join(", ")));
    let owners: Vec<&str> = seen.owners.iter().map(|owner| owner.object.as_str()).collect();
    set("owned by", Some(owners.join(", ")));
    for (label, value) in &seen.labels {
        set(&format!("label {label}"), Some(value.clone()));
    }
    for (annotation, value) in &seen.annotations {
        set(&format!("annotation {annotation}"), Some(value.clone()));
    }
    for condition in &seen.conditions {
        set(&condition.kind, Some(format!("{} ({})", condition.status, condition.reason)));
    }
    for (fact, value) in &seen.facts {
        set(fact, Some(value.clone()));
    }
    fields
}

fn short(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn shortened(mut lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(MAX_LINES);
    lines.truncate(MAX_LINES);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Condition, facts};
    use crate::testing::{Record, SECOND};

    const WEB: &str = "deployment/apps/web";

    #[test]
    fn what_differs_is_told_field_by_field() {
        let record = Record::bootstrapped()
            .object(12 * SECOND, WEB, |o| {
                o.set(facts::TEMPLATE, "t2");
                o.generation = Some(2);
                o.finalizers = vec!["ferry".into()];
                o.conditions = vec![Condition {
                    kind: "Available".into(),
                    status: "False".into(),
                    reason: "MinimumReplicasUnavailable".into(),
                    message: "no".into(),
                }];
            })
            .gone(13 * SECOND, "service/apps/web")
            .object(14 * SECOND, "fluxinstance/flux-system/flux", |_| {})
            .object(14 * SECOND, "pod/kube-system/coredns", |_| {});
        let section = section(&record.fold());
        let shown: Vec<String> = section
            .rows
            .iter()
            .map(|row| format!("{} {}", if row.bad { "!" } else { " " }, row.cells.join(" | ")))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        ! deployment/apps/web | Available: – → False (MinimumReplicasUnavailable)
        finalizers: – → ferry
        generation: – → 2
        template: t1 → t2 | 12:00:12.000 (+0:12.000) | take over
        ! service/apps/web | is gone | 12:00:13.000 (+0:13.000) | take over
          fluxinstance/flux-system/flux | came | 12:00:14.000 (+0:14.000) | take over
        ");
    }

    #[test]
    fn what_was_meant_or_changed_back_does_not_stand_out() {
        let meant =
            Record::bootstrapped().changes(1, &[WEB]).object(12 * SECOND, WEB, |o| o.set(facts::TEMPLATE, "t2"));
        let rows = section(&meant.fold()).rows;
        assert_eq!(rows.iter().map(|row| row.bad).collect::<Vec<_>>(), [false]);
        let back = Record::bootstrapped().object(12 * SECOND, WEB, |o| o.set(facts::TEMPLATE, "t2")).object(
            13 * SECOND,
            WEB,
            |o| o.set(facts::TEMPLATE, "t1"),
        );
        assert!(section(&back.fold()).rows.is_empty());
    }

    #[test]
    fn many_differences_are_counted() {
        let lines = (0..20).map(|i| i.to_string()).collect();
        assert!(shortened(lines).ends_with("11\nand 8 more"));
    }
}

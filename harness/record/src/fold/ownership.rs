//! Who an object belongs to over time.
//!
//! Two witnesses tell: the labels by which Flux, its operator and Helm mark what they apply, and managedFields, which name
//! who wrote. The times in managedFields have whole seconds, and an apply that changes nothing does not move them; so the
//! order comes from the sequence of states, and only who made a change comes from managedFields.

use super::{History, RunState};
use crate::cluster::{Manager, ObjectSeen, facts};
use crate::event::Nanos;
use crate::intervals::Interval;

/// An owner's labels: the group, and the kind of object that its `name` and `namespace` name.
pub const OWNER_LABELS: [(&str, &str); 4] = [
    ("kustomize.toolkit.fluxcd.io", "kustomization"),
    ("helm.toolkit.fluxcd.io", "helmrelease"),
    ("fluxcd.controlplane.io", "fluxinstance"),
    ("resourceset.fluxcd.controlplane.io", "resourceset"),
];

/// Facts that an owner writes; everything else is the object's own business or its status.
const WRITTEN: [&str; 5] = [facts::SPEC, facts::DATA, facts::TEMPLATE, facts::REPLICAS, facts::SELECTOR];

/// A change of what an owner writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it was seen.
    pub at: Nanos,
    /// Who made it, if managedFields tell.
    pub writer: Option<String>,
    /// What was written, to tell a new value from one that was there before.
    pub value: String,
}

/// Who had and who wrote an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Owners by label as `kind/namespace/name`, joined by ` + ` when several claim it, each from a moment on.
    pub owners: Vec<(Nanos, String)>,
    /// What was written, the first being what was there at the start.
    pub changes: Vec<Change>,
}

impl Ownership {
    /// The writers in order, each once until another writes.
    pub fn writers(&self) -> Vec<(Nanos, &str)> {
        let mut writers: Vec<(Nanos, &str)> = Vec::new();
        for change in &self.changes {
            if let Some(writer) = change.writer.as_deref()
                && writers.last().is_none_or(|(_, last)| *last != writer)
            {
                writers.push((change.at, writer));
            }
        }
        writers
    }

    /// The values in order, each once until another is written.
    pub fn values(&self) -> Vec<(Nanos, &str)> {
        let mut values: Vec<(Nanos, &str)> = Vec::new();
        for change in &self.changes {
            if values.last().is_none_or(|(_, last)| *last != change.value) {
                values.push((change.at, &change.value));
            }
        }
        values
    }
}

impl RunState {
    /// Who an object belonged to in a time, without what was meant to change it.
    pub fn ownership(&self, object: &str, span: Interval) -> Ownership {
        let Some(history) = self.cluster.history(object) else { return Ownership::default() };
        ownership(history, span, |at| self.meant(object, at))
    }
}

fn ownership(history: &History, span: Interval, meant: impl Fn(Nanos) -> bool) -> Ownership {
    let mut ownership = Ownership::default();
    let (mut before, mut had) = (None, (String::new(), String::new()));
    if let Some(seen) = history.at(span.from) {
        let writer = latest(writers(seen)).map(|manager| manager.name.clone());
        had = (owners(seen).join(" + "), value(seen));
        ownership.owners.push((span.from, had.0.clone()));
        ownership.changes.push(Change { at: span.from, writer, value: had.1.clone() });
        before = Some(seen);
    }
    for state in history.after(span.from).iter().take_while(|state| state.at < span.to) {
        let Some(seen) = &state.seen else { continue };
        let has = (owners(seen).join(" + "), value(seen));
        if !meant(state.at) {
            if has.0 != had.0 {
                ownership.owners.push((state.at, has.0.clone()));
            }
            if has.1 != had.1 {
                let writer = writer(before, seen);
                ownership.changes.push(Change { at: state.at, writer, value: has.1.clone() });
            }
        }
        (before, had) = (Some(seen), has);
    }
    ownership
}

/// The owners that labels name, as `kind/namespace/name`.
pub fn owners(seen: &ObjectSeen) -> Vec<String> {
    let named = OWNER_LABELS.iter().filter_map(|(group, kind)| {
        let name = seen.label(&format!("{group}/name"))?;
        Some(format!("{kind}/{}/{name}", seen.label(&format!("{group}/namespace")).unwrap_or_default()))
    });
    named.collect()
}

/// Everything that an owner writes, as one value.
fn value(seen: &ObjectSeen) -> String {
    let parts: Vec<_> = WRITTEN.iter().filter_map(|fact| Some(format!("{fact} {}", seen.fact(fact)?))).collect();
    parts.join(", ")
}

/// Who writes more than its status.
fn writers(seen: &ObjectSeen) -> impl Iterator<Item = &Manager> {
    seen.managers.iter().filter(|manager| manager.subresource != "status")
}

fn latest<'a>(managers: impl Iterator<Item = &'a Manager>) -> Option<&'a Manager> {
    // Among those of one second whoever applies: updates are mostly a controller's notes.
    managers.max_by_key(|manager| (manager.time.as_str(), manager.operation == "Apply"))
}

/// Who made an object what it is now: whose time moved, or else the only one whose fields did.
fn writer(before: Option<&ObjectSeen>, now: &ObjectSeen) -> Option<String> {
    let earlier = |manager: &Manager| {
        before.filter(|before| before.uid == now.uid).and_then(|before| {
            before.managers.iter().find(|m| {
                (&m.name, &m.operation, &m.subresource) == (&manager.name, &manager.operation, &manager.subresource)
            })
        })
    };
    let moved = writers(now).filter(|manager| earlier(manager).is_none_or(|m| m.time < manager.time));
    let fields = || {
        let mut changed = writers(now).filter(|manager| earlier(manager).is_none_or(|m| m.fields != manager.fields));
        changed.next().filter(|_| changed.next().is_none())
    };
    latest(moved).or_else(fields).map(|manager| manager.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const WEB: &str = "deployment/apps/web";

    fn manager(name: &str, time: u32, fields: &str) -> Manager {
        Manager {
            name: name.into(),
            operation: "Apply".into(),
            subresource: String::new(),
            time: format!("2026-11-21T12:00:{time:02}Z"),
            fields: fields.into(),
        }
    }

    #[rstest]
    #[case::time_moved(vec![manager("a", 5, "1"), manager("b", 7, "2")], Some("b"))]
    #[case::both_fields_changed_one_time_moved(vec![manager("a", 7, "0"), manager("b", 6, "3")], Some("a"))]
    #[case::new(vec![manager("a", 5, "1"), manager("b", 6, "2"), manager("c", 6, "3")], Some("c"))]
    #[case::within_the_second(vec![manager("a", 5, "1"), manager("b", 6, "3")], Some("b"))]
    #[case::either_within_the_second(vec![manager("a", 5, "2"), manager("b", 6, "3")], None)]
    #[case::nobody(vec![manager("a", 5, "1"), manager("b", 6, "2")], None)]
    #[case::status(vec![manager("a", 5, "1"), manager("b", 6, "2"), Manager { subresource: "status".into(), ..manager("c", 9, "1") }], None)]
    fn whoever_moved_wrote(#[case] now: Vec<Manager>, #[case] expected: Option<&str>) {
        let managers = vec![manager("a", 5, "1"), manager("b", 6, "2")];
        let before = ObjectSeen { managers, ..Default::default() };
        let now = ObjectSeen { managers: now, ..Default::default() };
        assert_eq!(writer(Some(&before), &now).as_deref(), expected);
    }

    #[test]
    fn the_time_line_of_a_hand_over() {
        let run = Record::migrated().fold();
        let ownership = run.ownership("gitrepository/flux-system/flux-system", run.window().unwrap());
        insta::assert_debug_snapshot!((&ownership.owners, ownership.writers()), @r#"
        (
            [
                (
                    9500000000,
                    "kustomization/flux-system/flux-system",
                ),
                (
                    12000000000,
                    "fluxinstance/flux-system/flux",
                ),
            ],
            [
                (
                    9500000000,
                    "kustomize-controller",
                ),
                (
                    12000000000,
                    "flux-operator",
                ),
            ],
        )
        "#);
    }

    #[test]
    fn what_is_meant_is_left_out() {
        let record = Record::bootstrapped().object(14 * SECOND, WEB, |o| {
            o.set(facts::SPEC, "s2");
            o.managed("ferry", "Update");
        });
        let changes = |record: &Record| {
            let run = record.fold();
            run.ownership(WEB, run.window().unwrap()).changes.len()
        };
        assert_eq!((changes(&record), changes(&record.clone().changes(1, &[WEB]))), (2, 1));
    }

    #[test]
    fn two_owners_at_once_are_told_together() {
        let run = Record::migrated()
            .object(14 * SECOND, "deployment/flux-system/source-controller", |o| o.applied_by("flux-system"))
            .fold();
        let ownership = run.ownership("deployment/flux-system/source-controller", run.window().unwrap());
        assert_eq!(
            ownership.owners.last().unwrap().1,
            "kustomization/flux-system/flux-system + fluxinstance/flux-system/flux"
        );
    }
}

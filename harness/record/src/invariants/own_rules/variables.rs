//! What a scenario's own rules can look at.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cluster::ObjectSeen;
use crate::event::{Nanos, Outcome, PhaseRole};
use crate::fold::{Phase, ProbeState, RunState, is_history};
use crate::invariants::no_error_logs::excuse;
use crate::stats::Distribution;

/// A variable of the expressions.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Its fields, or those of each of its entries: (name, what it is).
    pub fields: &'static [(&'static str, &'static str)],
    /// Why nothing may be known of it.
    pub unknown: &'static str,
    /// Its value, unless nothing is known of it: an empty list would pass for "there is none".
    pub(super) value: fn(&RunState) -> Option<Value>,
}

/// Variables that are what the watches saw.
pub(super) const OF_WATCHES: [&str; 2] = ["objects", "commits"];

/// Every variable there is, in the order of `ferry explain`.
pub static VARIABLES: &[Variable] = &[
    Variable {
        name: "run",
        about: "the run itself",
        fields: &[
            ("scenario", "its scenario, `area/name`"),
            ("cell", "its cell of the matrix"),
            ("seconds", "from the start to the verdict"),
            ("facts", "what became known on the way, by key: `run.facts['kubernetes']`"),
        ],
        unknown: "the record does not begin with the run's start",
        value: run,
    },
    Variable {
        name: "phases",
        about: "phases that began, by name: `phases['take over'].seconds`",
        fields: &[
            ("role", "`scenario`, `quiet` or `soak`"),
            ("seconds", "how long it took"),
            ("outcome", "`done`, `failed`, `cancelled`, `skipped` or `unfinished`"),
            ("taken", "samples of all probes that were due in it"),
            ("failed", "of these, failed"),
        ],
        unknown: "no phase began",
        value: phases,
    },
    Variable {
        name: "steps",
        about: "steps that began, as a list in their order",
        fields: &[
            ("number", "from 1, as in reports"),
            ("kind", "`bootstrap`, `wait`, …"),
            ("title", "as in reports"),
            ("phase", "the name of its phase"),
            ("outcome", "as of a phase"),
            ("seconds", "how long it took"),
        ],
        unknown: "no step began",
        value: steps,
    },
    Variable {
        name: "probes",
        about: "probes that took samples, by `name/place/connection`: `probes['web/outside/new'].failed`",
        fields: &[
            ("kind", "`http`, `tcp`, …"),
            ("place", "`outside` or `inside`"),
            ("taken", "samples"),
            ("failed", "of these, failed"),
            ("doubtful", "of the failed, those that the sampler itself may be to blame for"),
            ("outages", "number of outages"),
            ("longest_ms", "longest outage, 0 without any"),
            ("p50_ms", "median latency of the good samples that were answered while the sampler was awake"),
            ("p99_ms", "99th percentile"),
            ("max_ms", "slowest"),
        ],
        unknown: "no sample was taken",
        value: probes,
    },
    Variable {
        name: "outages",
        about: "outages of all probes, as a list by time",
        fields: &[
            ("probe", "`name/place/connection`"),
            ("at", "seconds since the start of the run"),
            ("ms", "how long it lasted"),
            ("failed", "samples that failed in it"),
            ("kinds", "how many of each kind of failure: `o.kinds['refused']`"),
            ("phase", "the phase that it began in, or an empty text"),
        ],
        unknown: "no sample was taken",
        value: outages,
    },
    Variable {
        name: "objects",
        about: "objects that were watched, as they were last: `objects['deployment/apps/web'].uid`",
        fields: &[
            ("present", "whether it is there at the end"),
            ("uid", "its UID"),
            ("labels", "labels of Flux, its operator and Helm"),
            ("annotations", "annotations of the same"),
            ("finalizers", "names, as a list"),
            ("conditions", "`status`, `reason` and `message` of each, by type: `o.conditions['Ready'].status`"),
            ("facts", "what else is known of its kind: `o.facts['replicas']`, all of them text"),
            ("baseline", "the same when the migration began; no such field when it was not there then"),
        ],
        unknown: "the cluster was not watched",
        value: objects,
    },
    Variable {
        name: "errors",
        about: "errors that Flux' controllers and its operator logged in the whole run, as a list by time",
        fields: &[
            ("controller", "`source-controller`, …"),
            ("pod", "`pod/namespace/name`"),
            ("object", "the object that it is about, or an empty text"),
            ("message", "message and error"),
            ("at", "seconds since the start of the run"),
            ("excused", "whether it is known to be harmless"),
        ],
        unknown: "no log was read",
        value: errors,
    },
    Variable {
        name: "commits",
        about: "commits of the whole run, as a list by time",
        fields: &[
            ("revision", "`branch@sha1:…`"),
            ("at", "seconds since the start of the run"),
            ("applied", "whether anyone was seen to have applied it"),
            ("seconds", "how long that took; no such field when it was not applied"),
        ],
        unknown: "the cluster was not watched",
        value: commits,
    },
];

fn run(run: &RunState) -> Option<Value> {
    let started = run.started.as_ref()?;
    Some(json!({
        "scenario": started.scenario,
        "cell": started.cell,
        "seconds": seconds(run.known_until()),
        "facts": run.facts.iter().filter(|(key, _)| !is_history(key)).collect::<BTreeMap<_, _>>(),
    }))
}

fn phases(run: &RunState) -> Option<Value> {
    let began = run.phases.iter().enumerate().filter_map(|(index, phase)| {
        let took = phase.ended.unwrap_or(run.known_until()).saturating_sub(phase.started?);
        let stats = || run.probes.values().filter_map(|probe| probe.by_phase.get(&Some(index)));
        let value = json!({
            "role": role(phase),
            "seconds": seconds(took),
            "outcome": outcome(phase.outcome.as_ref()),
            "taken": stats().map(|s| s.taken).sum::<u64>(),
            "failed": stats().map(|s| s.failed).sum::<u64>(),
        });
        Some((phase.info.name.clone(), value))
    });
    known(began.collect())
}

fn steps(run: &RunState) -> Option<Value> {
    let steps = run.steps.values().map(|step| {
        json!({
            "number": step.index + 1,
            "kind": step.kind,
            "title": step.title,
            "phase": run.phases.get(step.phase).map_or("", |phase| &phase.info.name),
            "outcome": outcome(step.outcome.as_ref()),
            "seconds": seconds(step.ended.unwrap_or(run.known_until()).saturating_sub(step.started)),
        })
    });
    let steps: Vec<Value> = steps.collect();
    (!steps.is_empty()).then_some(Value::Array(steps))
}

fn probes(run: &RunState) -> Option<Value> {
    let probes = run.probes.iter().filter(|(_, probe)| probe.total.taken > 0);
    known(probes.map(|(name, probe)| (name.clone(), of_probe(probe, run.doubtful(name).len()))).collect())
}

fn of_probe(probe: &ProbeState, doubtful: usize) -> Value {
    let mut value = json!({
        "taken": probe.total.taken,
        "failed": probe.total.failed,
        "doubtful": doubtful,
        "outages": probe.outages().count() as u64 + probe.outages_dropped,
        "longest_ms": probe.outages().map(|o| o.span.len()).max().unwrap_or(0) / 1_000_000,
    });
    // What is not known has no field: reading it is no answer.
    if let Some(info) = &probe.info {
        value["kind"] = json!(info.kind);
        value["place"] = json!(info.place);
    }
    let mut awake = Distribution::default();
    probe.steady().values().for_each(|phase| awake.add(phase));
    if let Some(latency) = awake.percentiles() {
        for (name, us) in [("p50_ms", latency.p50), ("p99_ms", latency.p99), ("max_ms", latency.max)] {
            value[name] = json!(us as f64 / 1_000.0);
        }
    }
    value
}

fn outages(run: &RunState) -> Option<Value> {
    if run.sample_totals().0 == 0 {
        return None;
    }
    let outages = run.outages().into_iter().map(|(probe, outage)| {
        json!({
            "probe": probe,
            "at": seconds(outage.span.from),
            "ms": outage.span.len() / 1_000_000,
            "failed": outage.failed,
            "kinds": outage.kinds,
            "phase": run.phase_at(outage.span.from).map_or("", |phase| &phase.info.name),
        })
    });
    Some(Value::Array(outages.collect()))
}

fn objects(run: &RunState) -> Option<Value> {
    if !run.cluster.is_watched() {
        return None;
    }
    let from = run.window().map(|window| window.from);
    let objects = run.cluster.objects().filter_map(|(object, life)| {
        let mut value = of_object(life.last()?);
        value["present"] = json!(life.now().is_some());
        if let Some(seen) = from.and_then(|from| life.at(from)) {
            value["baseline"] = of_object(seen);
        }
        Some((object.to_owned(), value))
    });
    Some(Value::Object(objects.collect()))
}

fn of_object(seen: &ObjectSeen) -> Value {
    let conditions: Map<String, Value> = seen
        .conditions
        .iter()
        .map(|c| (c.kind.clone(), json!({ "status": c.status, "reason": c.reason, "message": c.message })))
        .collect();
    json!({
        "uid": seen.uid,
        "labels": seen.labels,
        "annotations": seen.annotations,
        "finalizers": seen.finalizers,
        "conditions": conditions,
        "facts": seen.facts,
    })
}

fn errors(run: &RunState) -> Option<Value> {
    if run.cluster.logs.values().all(|log| log.lines == 0) {
        return None;
    }
    let errors = run.cluster.errors.items.iter().map(|(at, line)| {
        json!({
            "controller": line.controller,
            "pod": line.pod,
            "object": line.object.as_deref().unwrap_or_default(),
            "message": line.message,
            "at": seconds(*at),
            "excused": excuse(run, *at, line).is_some(),
        })
    });
    Some(Value::Array(errors.collect()))
}

fn commits(run: &RunState) -> Option<Value> {
    if !run.cluster.is_watched() {
        return None;
    }
    let commits = run.commits().into_iter().map(|commit| {
        let mut value =
            json!({ "revision": commit.revision, "at": seconds(commit.at), "applied": commit.took().is_some() });
        if let Some(took) = commit.took() {
            value["seconds"] = json!(seconds(took));
        }
        value
    });
    Some(Value::Array(commits.collect()))
}

fn known(entries: Map<String, Value>) -> Option<Value> {
    (!entries.is_empty()).then_some(Value::Object(entries))
}

fn seconds(ns: Nanos) -> f64 {
    ns as f64 / 1e9
}

fn role(phase: &Phase) -> &'static str {
    match phase.info.role {
        PhaseRole::Scenario => "scenario",
        PhaseRole::Quiet => "quiet",
        PhaseRole::Soak => "soak",
    }
}

fn outcome(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Done) => "done",
        Some(Outcome::Failed { .. }) => "failed",
        Some(Outcome::Skipped) => "skipped",
        Some(Outcome::Cancelled) => "cancelled",
        None => "unfinished",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ErrorLine, facts};
    use crate::event::{EventKind, Failure};
    use crate::testing::{Record, SECOND};

    /// Something of everything.
    fn rich() -> RunState {
        let line = ErrorLine {
            pod: "pod/flux-system/a-1".into(),
            controller: "a".into(),
            logged: String::new(),
            message: "boom".into(),
            object: None,
        };
        let read = EventKind::LogRead {
            pod: "pod/flux-system/a-1".into(),
            controller: "a".into(),
            lines: 9,
            errors: 1,
            broken: None,
        };
        Record::good()
            .fail(200, Failure::Refused)
            .watched()
            .object(4 * SECOND, "kustomization/flux-system/apps", |_| {})
            .commit(10 * SECOND, "main@sha1:aaa")
            .object(12 * SECOND, "kustomization/flux-system/apps", |o| o.set(facts::APPLIED, "main@sha1:aaa"))
            .with(12 * SECOND, EventKind::ErrorLogged(Box::new(line)))
            .with(13 * SECOND, read)
            .fold()
    }

    #[test]
    fn an_answer_that_a_drowsy_sampler_dated_is_no_latency() {
        let slowest = |record: Record| {
            let probes = probes(&record.slow(200, 900).fold()).unwrap();
            probes["web/outside/new"]["max_ms"].as_f64().unwrap()
        };
        assert!(slowest(Record::good()) > 850.0);
        assert!(slowest(Record::good().sampler_outage(10_000, 10_900)) < 100.0);
    }

    #[test]
    fn every_field_is_documented_and_every_documented_one_is_there() {
        let run = rich();
        for variable in VARIABLES {
            let value = (variable.value)(&run).unwrap();
            let entry = match &value {
                Value::Array(items) => items[0].clone(),
                Value::Object(entries) if variable.name != "run" => entries.values().next().unwrap().clone(),
                value => value.clone(),
            };
            let mut found: Vec<&str> = entry.as_object().unwrap().keys().map(String::as_str).collect();
            let mut documented: Vec<&str> = variable.fields.iter().map(|(name, _)| *name).collect();
            found.sort_unstable();
            documented.sort_unstable();
            assert_eq!(found, documented, "{}", variable.name);
        }
    }

    #[test]
    fn what_nothing_is_known_of_has_no_value() {
        for variable in VARIABLES {
            assert_eq!((variable.value)(&RunState::default()), None, "{}", variable.name);
            assert!(!variable.unknown.is_empty() && !variable.about.is_empty());
        }
        assert!(OF_WATCHES.iter().all(|name| VARIABLES.iter().any(|variable| variable.name == *name)));
    }
}

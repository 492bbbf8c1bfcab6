//! What Flux' controllers and the operator complained about.

use std::collections::BTreeMap;

use super::{Row, Section};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::RunState;
use crate::invariants::{excuse, shown};

/// Different errors listed; the record has all.
const MAX_ERRORS: usize = 200;

/// One error, however often it was logged.
struct Same {
    first: Nanos,
    times: u64,
    excuse: Option<&'static str>,
}

/// Errors of the whole run, each once with how often it was logged.
pub(super) fn section(run: &RunState) -> Section {
    let mut same: BTreeMap<_, Same> = BTreeMap::new();
    for (at, line) in &run.cluster.errors.items {
        let excuse = excuse(run, *at, line).map(|excuse| excuse.reason);
        let key = (line.controller.as_str(), line.object.as_deref().unwrap_or_default(), line.message.as_str());
        let same = same.entry(key).or_insert(Same { first: *at, times: 0, excuse });
        same.times += 1;
        // Excused only while a controller is replaced: once at another time, it is an error.
        same.excuse = same.excuse.and(excuse);
    }
    let mut rows: Vec<(Nanos, Row)> = same
        .into_iter()
        .map(|((controller, object, message), Same { first, times, excuse })| {
            let excused = excuse.map_or(String::new(), |why| format!("excused: {why}"));
            let cells =
                [run.when(first), fmt::number(times), controller.into(), object.into(), shown(message), excused];
            (first, Row::new(excuse.is_none(), cells))
        })
        .collect();
    rows.sort_by_key(|(first, row)| (!row.bad, *first));
    Section {
        title: "Errors in logs".into(),
        about: "of Flux' controllers and its operator, in the whole run",
        columns: &["first at", "times", "controller", "about", "error", ""],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        hidden: run.cluster.errors.dropped,
        told_by: Some("no-error-logs"),
    }
    .at_most(MAX_ERRORS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ErrorLine;
    use crate::event::EventKind;
    use crate::testing::{Record, SECOND};

    #[test]
    fn errors_are_told_once_and_the_inexcusable_first() {
        let error = |record: Record, at, message: &str| {
            let line = ErrorLine {
                pod: "pod/flux-system/a-1".into(),
                controller: "source-controller".into(),
                logged: String::new(),
                message: message.into(),
                object: Some("gitrepository/flux-system/flux-system".into()),
            };
            record.with(at * SECOND, EventKind::ErrorLogged(Box::new(line)))
        };
        let record = error(Record::good(), 11, "the object has been modified");
        let record = error(error(record, 12, "boom"), 13, "boom");
        let rows: Vec<String> = section(&record.fold()).rows.iter().map(|row| row.cells.join(" | ")).collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        12:00:12.000 (+0:12.000) | 2 | source-controller | gitrepository/flux-system/flux-system | boom | 
        12:00:11.000 (+0:11.000) | 1 | source-controller | gitrepository/flux-system/flux-system | the object has been modified | excused: two wrote the same object at once, and the later one tries again
        ");
    }
}

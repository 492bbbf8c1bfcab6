//! `no-error-logs`: Flux' controllers and the operator log no error in the migration that is not known to be harmless.

mod excuse;

use std::collections::BTreeMap;

use super::Invariant;
use super::observed::{going_on, window};
use crate::cluster::{ErrorLine, Parts};
use crate::event::Nanos;
use crate::fmt;
use crate::fold::RunState;
use crate::intervals::Interval;
use crate::verdict::{Evidence, Finding, Verdict};

pub(crate) use excuse::excuse;

/// Different errors listed one by one in a finding; the rest is counted.
const MAX_LISTED: usize = 20;

/// Characters of an error that are shown.
const MAX_SHOWN: usize = 300;

/// The rule.
#[derive(Debug)]
pub struct NoErrorLogs;

impl Invariant for NoErrorLogs {
    fn name(&self) -> &'static str {
        "no-error-logs"
    }

    fn demands(&self) -> &'static str {
        "Flux' controllers and its operator log no error, but for those that are known to be harmless"
    }

    /// They tell which logs there are, and when a controller was replaced.
    fn reads_watches(&self) -> bool {
        true
    }

    fn judge(&self, run: &RunState) -> Finding {
        let window = match window(self, run) {
            Ok(window) => window,
            Err(finding) => return finding,
        };
        let unread = unread(run, window);
        let (mut errors, mut excused) = (BTreeMap::<_, Same<'_>>::new(), BTreeMap::<_, u64>::new());
        for (at, line) in run.cluster.errors.items.iter().filter(|(at, _)| *at >= window.from) {
            match excuse(run, *at, line) {
                Some(excuse) => *excused.entry(excuse.reason).or_default() += 1,
                None => {
                    let same = errors.entry((&line.controller, &line.message));
                    same.or_insert(Same { first: *at, line, count: 0 }).count += 1;
                }
            }
        }
        let mut errors: Vec<Same<'_>> = errors.into_values().collect();
        errors.sort_by_key(|same| same.first);
        let count: u64 = errors.iter().map(|same| same.count).sum();
        let forgiven: u64 = excused.values().sum();
        let (logs, lines) = run.cluster.logs.values().fold((0, 0), |(logs, lines), log| (logs + 1, lines + log.lines));

        let (verdict, mut message) = if count > 0 {
            let mut controllers: Vec<&str> = errors.iter().map(|same| same.line.controller.as_str()).collect();
            controllers.sort_unstable();
            controllers.dedup();
            (Verdict::Fail, format!("{} of {}", fmt::count(count, "error"), controllers.join(", ")))
        } else if lines == 0 {
            (Verdict::Inconclusive, "no log was read".into())
        } else if let Some(first) = unread.first() {
            (Verdict::Inconclusive, first.clone())
        } else if run.cluster.errors.dropped > 0 {
            (Verdict::Inconclusive, "there were too many errors to keep the early ones".into())
        } else {
            (Verdict::Pass, format!("no error in {} of {}", fmt::count(lines, "line"), fmt::count(logs, "log")))
        };
        if forgiven > 0 {
            message += &format!(", {} excused", fmt::number(forgiven));
        }
        let mut finding = Finding::new(self.name(), verdict, message);
        for same in errors.iter().take(MAX_LISTED) {
            finding.details.push(same.describe(run));
            finding.evidence.push(Evidence::At(same.first));
        }
        let more = errors.len().saturating_sub(MAX_LISTED);
        if more > 0 {
            finding.details.push(format!("and {}", fmt::count(more as u64, "other error")));
        }
        finding.details.extend(excused.iter().map(|(why, n)| format!("excused {}: {why}", fmt::count(*n, "time"))));
        finding.details.extend(unread);
        finding
    }
}

/// One error, however often it was logged.
struct Same<'a> {
    first: Nanos,
    line: &'a ErrorLine,
    count: u64,
}

impl Same<'_> {
    fn describe(&self, run: &RunState) -> String {
        let times = if self.count > 1 { format!(" ({} times)", fmt::number(self.count)) } else { String::new() };
        let object = self.line.object.as_ref().map_or(String::new(), |object| format!(" about {object}"));
        let message = shown(&self.line.message);
        let (first, during) = (run.when(self.first), going_on(run, self.first));
        format!("{}{object} at {first}{times}: {message}{during}", self.line.controller)
    }
}

/// An error's text on one line, without the whole of an object in it.
pub(crate) fn shown(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Logs that were not read, or not to their end: those of every pod that Flux' namespace had in the migration.
fn unread(run: &RunState, window: Interval) -> Vec<String> {
    let pods = run.cluster.objects().filter(|(object, life)| {
        let parts = Parts::of(object);
        let alive = life.at(window.from).is_some() || life.after(window.from).iter().any(|state| state.seen.is_some());
        parts.kind == "pod" && parts.namespace == Some(run.flux_namespace()) && alive
    });
    let missing = pods
        .filter(|(object, _)| !run.cluster.logs.contains_key(*object))
        .map(|(object, _)| format!("the log of {object} was not read"));
    let broken = run.cluster.logs.iter().filter_map(|(pod, log)| {
        let why = log.broken.as_ref()?;
        Some(format!("the log of {pod} could not be read to its end: {why}"))
    });
    broken.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::testing::{Record, SECOND};
    use rstest::rstest;

    const POD: &str = "pod/flux-system/kustomize-controller-1";

    fn log(lines: u64, broken: Option<&str>) -> EventKind {
        EventKind::LogRead {
            pod: POD.into(),
            controller: "kustomize-controller".into(),
            lines,
            errors: 0,
            broken: broken.map(str::to_owned),
        }
    }

    fn read() -> Record {
        Record::good().watched().object(4 * SECOND, POD, |_| {}).with(19 * SECOND, log(120, None))
    }

    fn error(record: Record, at: u64, message: &str) -> Record {
        let line = ErrorLine {
            pod: POD.into(),
            controller: "kustomize-controller".into(),
            logged: "2026-11-21T12:00:12Z".into(),
            message: message.into(),
            object: Some("kustomization/flux-system/apps".into()),
        };
        record.with(at * SECOND, EventKind::ErrorLogged(Box::new(line)))
    }

    const MODIFIED: &str = "Operation cannot be fulfilled on kustomizations \"apps\": the object has been modified";

    #[rstest]
    #[case::quiet(read(), Verdict::Pass, "no error in 120 lines of 1 log")]
    #[case::before_the_migration(error(read(), 6, "boom"), Verdict::Pass, "no error in 120 lines of 1 log")]
    #[case::known_to_be_harmless(
        error(read(), 12, MODIFIED),
        Verdict::Pass,
        "no error in 120 lines of 1 log, 1 excused"
    )]
    #[case::an_error(
        error(error(read(), 12, "boom"), 13, MODIFIED),
        Verdict::Fail,
        "1 error of kustomize-controller, 1 excused"
    )]
    #[case::broken_log(read().with(20 * SECOND, log(130, Some("connection reset"))), Verdict::Inconclusive,
        "the log of pod/flux-system/kustomize-controller-1 could not be read to its end: connection reset")]
    #[case::unread_log(read().object(12 * SECOND, "pod/flux-system/source-controller-1", |_| {}), Verdict::Inconclusive,
        "the log of pod/flux-system/source-controller-1 was not read")]
    #[case::unread_but_gone_before(
        read().object(5 * SECOND, "pod/flux-system/old", |_| {}).gone(6 * SECOND, "pod/flux-system/old"),
        Verdict::Pass, "no error in 120 lines of 1 log")]
    #[case::an_error_in_a_broken_log(error(read(), 12, "boom").with(20 * SECOND, log(130, Some("x"))), Verdict::Fail,
        "1 error of kustomize-controller")]
    #[case::no_log(Record::good().watched(), Verdict::Inconclusive, "no log was read")]
    #[case::not_watched(Record::good().with(19 * SECOND, log(120, None)), Verdict::Inconclusive,
        "the cluster was not watched")]
    fn judged(#[case] record: Record, #[case] verdict: Verdict, #[case] message: &str) {
        let finding = NoErrorLogs.judge(&record.fold());
        assert_eq!((finding.verdict, finding.message.as_str()), (verdict, message));
    }

    #[test]
    fn errors_are_told_once_each() {
        let record = (12..15).fold(read(), |record, at| error(record, at, "build failed:\n  no such file"));
        let finding = NoErrorLogs.judge(&error(record, 16, MODIFIED).fold());
        insta::assert_snapshot!(finding.details.join("\n"), @r"
        kustomize-controller about kustomization/flux-system/apps at 12:00:12.000 (+0:12.000) (3 times): build failed: no such file; phase take over, step 3 (wait it)
        excused 1 time: two wrote the same object at once, and the later one tries again
        ");
    }
}

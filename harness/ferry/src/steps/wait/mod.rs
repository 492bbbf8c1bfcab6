//! `wait`: a stream of checks for each condition, combined as the scenario says. One file for each condition; each judges
//! JSON objects by a pure function.

mod count;
mod log;
mod metric;
mod object;
mod probe;
mod revision;

use ferry_record::event::Nanos;
use ferry_scenario::steps::{Condition, Wait};
use ferry_scenario::text::Revision;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::{Context, StepError};
use crate::cluster::ready::readiness;
use crate::cluster::{Cluster, watch};
use crate::run::recorder::Recorder;
use crate::wait::{Check, combined};

pub(super) async fn execute(wait: &Wait, cx: &Context<'_>) -> Result<(), StepError> {
    let head = if asks_for_head(&wait.until) { Some(cx.fleet.head().await?) } else { None };
    let what = match &head {
        Some(sha) => format!("{} ({})", wait.until, &sha[..sha.len().min(12)]),
        None => wait.until.to_string(),
    };
    let look = Look {
        cluster: cx.cluster,
        recorder: cx.recorder,
        head: head.as_deref(),
        began: cx.recorder.clock().now(),
        began_at: Timestamp::now(),
    };
    cx.until(what, look.at(&wait.until)).await?;
    Ok(())
}

/// What conditions are looked at with.
#[derive(Clone, Copy)]
struct Look<'a> {
    cluster: &'a Cluster,
    recorder: &'a Recorder,
    /// The fleet's last commit, where it is asked for.
    head: Option<&'a str>,
    /// When the wait began, by the run's clock and by the calendar.
    began: Nanos,
    began_at: Timestamp,
}

impl<'a> Look<'a> {
    fn at(self, condition: &'a Condition) -> BoxStream<'a, Check> {
        match condition {
            Condition::Ready(wanted) => watch::of(self.cluster, wanted, readiness).boxed(),
            Condition::Gone(wanted) => watch::of(self.cluster, wanted, object::gone).boxed(),
            Condition::Condition(wanted) => {
                watch::of(self.cluster, &wanted.object, |found| object::condition(found, wanted)).boxed()
            }
            Condition::Revision(wanted) => revision::stream(wanted, self),
            Condition::Count(wanted) => count::stream(wanted, self),
            Condition::Log(wanted) => log::stream(wanted, self),
            Condition::Metric(wanted) => metric::stream(wanted, self),
            Condition::Probe(wanted) => probe::stream(wanted, self),
            Condition::All(parts) => self.joined(parts, all),
            Condition::Any(parts) => self.joined(parts, any),
            Condition::Not(part) => self.at(part).map(Check::negated).boxed(),
        }
    }

    /// Conditions side by side, each answer with the condition's name.
    fn joined(self, parts: &'a [Condition], join: fn(&[Check]) -> Check) -> BoxStream<'a, Check> {
        let named = |part: &'a Condition| {
            let name = part.to_string();
            let is_nested = matches!(part, Condition::All(_) | Condition::Any(_));
            self.at(part).map(move |check| if is_nested { check } else { check.about(&name) }).boxed()
        };
        combined(parts.iter().map(named).collect(), join)
    }
}

fn all(checks: &[Check]) -> Check {
    checks.iter().cloned().fold(Check::Met(String::new()), Check::and)
}

fn any(checks: &[Check]) -> Check {
    checks.iter().cloned().reduce(Check::or).unwrap_or_else(|| Check::Never("none of no conditions".into()))
}

fn asks_for_head(condition: &Condition) -> bool {
    match condition {
        Condition::Revision(wanted) => wanted.is == Revision::Head,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(asks_for_head),
        Condition::Not(part) => asks_for_head(part),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn met(s: &str) -> Check {
        Check::Met(s.into())
    }
    fn not(s: &str) -> Check {
        Check::NotYet(s.into())
    }

    #[rstest]
    #[case::all_met(&[met("a"), met("b")], met("a; b"), met("a"))]
    #[case::one(&[not("a"), met("b")], not("a"), met("b"))]
    #[case::none(&[not("a"), not("b"), not("c")], not("a"), not("a; b; c"))]
    #[case::never(&[not("a"), Check::Never("n".into())], Check::Never("n".into()), not("a"))]
    #[case::unknown(&[met("a"), Check::Unknown("u".into())], Check::Unknown("u".into()), met("a"))]
    #[case::empty(&[], met(""), Check::Never("none of no conditions".into()))]
    fn joins(#[case] checks: &[Check], #[case] expect_all: Check, #[case] expect_any: Check) {
        assert_eq!((all(checks), any(checks)), (expect_all, expect_any));
    }
}

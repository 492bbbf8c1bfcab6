//! Waiting, with the reason why not yet.
//!
//! A wait is a stream of [`Check`]s and a named deadline. "Not yet" and "never" are different answers: the first is
//! reported while it lasts and printed when the deadline passes, the second ends the wait at once.

use std::fmt;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt, pin_mut};
use tokio::time::Instant;

/// One look at the thing waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It is so; in words.
    Met(String),
    /// It may yet become so; why it is not.
    NotYet(String),
    /// It will not become so by waiting.
    Never(String),
    /// It could not be looked at; why. Neither so nor not so: negating it does not make it so.
    Unknown(String),
}

impl Check {
    /// Met when both are; otherwise the first reason that it is not.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Check::Never(why), _) | (_, Check::Never(why)) => Check::Never(why),
            (Check::NotYet(why), _) | (_, Check::NotYet(why)) => Check::NotYet(why),
            (Check::Unknown(why), _) | (_, Check::Unknown(why)) => Check::Unknown(why),
            (Check::Met(a), Check::Met(b)) => Check::Met(if a.is_empty() || a == b { b } else { format!("{a}; {b}") }),
        }
    }

    /// Met when one of them is; never when none of them ever will be. All reasons are given: each could be cured.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let both = |a: String, b: String| if a.is_empty() || a == b { b } else { format!("{a}; {b}") };
        match (self, other) {
            (Check::Met(how), _) | (_, Check::Met(how)) => Check::Met(how),
            (Check::Never(a), Check::Never(b)) => Check::Never(both(a, b)),
            // One that will never be met is out of the question: the other decides.
            (Check::Never(_), open) | (open, Check::Never(_)) => open,
            (Check::NotYet(a), Check::NotYet(b)) => Check::NotYet(both(a, b)),
            (Check::Unknown(a), Check::NotYet(b) | Check::Unknown(b)) | (Check::NotYet(a), Check::Unknown(b)) => {
                Check::Unknown(both(a, b))
            }
        }
    }

    /// Met when it is not. What could not be looked at stays unknown.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Check::Met(how) => Check::NotYet(format!("it is so: {how}")),
            Check::NotYet(why) | Check::Never(why) => Check::Met(why),
            Check::Unknown(why) => Check::Unknown(why),
        }
    }

    /// The same answer, with the name of what it is about before its reason.
    #[must_use]
    pub fn about(self, name: &str) -> Self {
        let named = |text: String| if text.is_empty() { name.to_owned() } else { format!("{name}: {text}") };
        match self {
            Check::Met(how) => Check::Met(named(how)),
            Check::NotYet(why) => Check::NotYet(named(why)),
            Check::Never(why) => Check::Never(named(why)),
            Check::Unknown(why) => Check::Unknown(named(why)),
        }
    }
}

/// Streams of checks of the same thing, as one: `join` sees the latest answer of each, at each change of any.
///
/// Before all have answered once, what is missing is unknown; then only an answer that nothing missing can change is passed
/// on. A stream that ends keeps its last answer; when all have ended, so does this.
pub fn combined<'a>(
    parts: Vec<BoxStream<'a, Check>>,
    join: impl Fn(&[Check]) -> Check + Send + 'a,
) -> BoxStream<'a, Check> {
    let latest: Vec<Option<Check>> = vec![None; parts.len()];
    let numbered = parts.into_iter().enumerate().map(|(i, part)| part.map(move |check| (i, check)).boxed());
    let all: SelectAll<_> = numbered.collect();
    all.scan((latest, join), |(latest, join), (i, check)| {
        if let Some(slot) = latest.get_mut(i) {
            *slot = Some(check);
        }
        let unseen = || Check::Unknown("not looked at yet".into());
        let seen: Vec<Check> = latest.iter().map(|check| check.clone().unwrap_or_else(unseen)).collect();
        let answer = join(&seen);
        let is_final = matches!(answer, Check::Met(_) | Check::Never(_)) || latest.iter().all(Option::is_some);
        futures::future::ready(Some(is_final.then_some(answer)))
    })
    .filter_map(futures::future::ready)
    .boxed()
}

/// A bounded wait's name and length.
#[derive(Debug, Clone)]
pub struct Deadline {
    /// What is waited for, as in `Kustomization flux-system/apps ready`.
    pub what: String,
    /// How long at most.
    pub within: Duration,
}

/// Why a wait did not end well.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The deadline passed.
    #[error("{what}: not within {within:?}; the last reason, {}", last_seen(last))]
    TimedOut {
        /// What was waited for.
        what: String,
        /// The deadline.
        within: Duration,
        /// The last reason why not, and how long before the end it was first given.
        last: Option<(String, Duration)>,
    },
    /// It cannot become so.
    #[error("{what}: will not happen by waiting: {why}")]
    Never {
        /// What was waited for.
        what: String,
        /// Why it cannot.
        why: String,
    },
    /// The source of answers ended.
    #[error("{what}: nothing more can be learned about it; the last reason, {}", last_seen(last))]
    Lost {
        /// What was waited for.
        what: String,
        /// The last reason why not, and how long before the end it was first given.
        last: Option<(String, Duration)>,
    },
}

fn last_seen(last: &Option<(String, Duration)>) -> impl fmt::Display + '_ {
    struct Shown<'a>(&'a Option<(String, Duration)>);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Some((why, since)) => write!(f, "unchanged for {:.1}s: {why}", since.as_secs_f64()),
                None => f.write_str("none: no answer was ever had"),
            }
        }
    }
    Shown(last)
}

/// Waits until a check is met. `not_yet` hears each *changed* reason.
pub async fn until(
    deadline: Deadline,
    checks: impl Stream<Item = Check>,
    mut not_yet: impl FnMut(&str),
) -> Result<String, WaitError> {
    let Deadline { what, within } = deadline;
    let end = Instant::now() + within;
    let mut last: Option<(String, Instant)> = None;
    let mut known: Option<String> = None;
    pin_mut!(checks);
    loop {
        let since = |last: Option<(String, Instant)>| last.map(|(why, at)| (why, at.elapsed()));
        match tokio::time::timeout_at(end, checks.next()).await {
            Err(_) => return Err(WaitError::TimedOut { what, within, last: since(last) }),
            Ok(None) => return Err(WaitError::Lost { what, last: since(last) }),
            Ok(Some(Check::Met(how))) => return Ok(how),
            Ok(Some(Check::Never(why))) => return Err(WaitError::Never { what, why }),
            Ok(Some(check @ (Check::NotYet(_) | Check::Unknown(_)))) => {
                let why = match (check, &known) {
                    // What was seen last is worth more than why nothing is seen now: say both.
                    (Check::Unknown(why), Some(known)) => format!("{why}; before that, {known}"),
                    (Check::NotYet(why), _) => {
                        known = Some(why.clone());
                        why
                    }
                    (Check::Unknown(why) | Check::Met(why) | Check::Never(why), _) => why,
                };
                if last.as_ref().is_none_or(|(old, _)| *old != why) {
                    not_yet(&why);
                    last = Some((why, Instant::now()));
                }
            }
        }
    }
}

/// Asks again and again, for things that cannot be watched.
pub fn polled<F, Fut>(every: Duration, ask: F) -> impl Stream<Item = Check>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Check>,
{
    futures::stream::unfold((ask, false), move |(mut ask, again)| async move {
        if again {
            tokio::time::sleep(every).await;
        }
        let check = ask().await;
        Some((check, (ask, true)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use rstest::rstest;

    fn deadline() -> Deadline {
        Deadline { what: "Kustomization flux-system/apps ready".into(), within: Duration::from_secs(60) }
    }

    #[tokio::test]
    async fn reports_each_changed_reason_once_and_ends_when_met() {
        let checks = [
            Check::NotYet("absent".into()),
            Check::NotYet("absent".into()),
            Check::NotYet("Ready=Unknown".into()),
            Check::Met("Ready".into()),
        ];
        let mut heard = vec![];
        let met = until(deadline(), stream::iter(checks), |why| heard.push(why.to_string())).await.unwrap();
        assert_eq!((met.as_str(), heard), ("Ready", vec!["absent".to_string(), "Ready=Unknown".to_string()]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_prints_the_last_reason_and_its_age() {
        let checks = stream::iter([Check::NotYet("Ready=False: no such path".into())]).chain(stream::pending());
        let error = until(deadline(), checks, |_| {}).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Kustomization flux-system/apps ready: not within 60s; the last reason, unchanged for 60.0s: \
             Ready=False: no such path"
        );
    }

    #[tokio::test]
    async fn never_ends_the_wait_at_once() {
        let checks = stream::iter([Check::Never("BuildFailed".into())]).chain(stream::pending());
        let error = until(deadline(), checks, |_| {}).await.unwrap_err();
        assert!(matches!(error, WaitError::Never { why, .. } if why == "BuildFailed"));
    }

    fn met(s: &str) -> Check {
        Check::Met(s.into())
    }
    fn not(s: &str) -> Check {
        Check::NotYet(s.into())
    }
    fn never(s: &str) -> Check {
        Check::Never(s.into())
    }
    fn unknown(s: &str) -> Check {
        Check::Unknown(s.into())
    }

    #[rstest]
    #[case(met("a"), met("b"), met("a; b"), met("a"))]
    #[case(met("a"), not("b"), not("b"), met("a"))]
    #[case(met("a"), never("b"), never("b"), met("a"))]
    #[case(met("a"), unknown("b"), unknown("b"), met("a"))]
    #[case(not("a"), met("b"), not("a"), met("b"))]
    #[case(not("a"), not("b"), not("a"), not("a; b"))]
    #[case(not("a"), never("b"), never("b"), not("a"))]
    #[case(not("a"), unknown("b"), not("a"), unknown("a; b"))]
    #[case(never("a"), met("b"), never("a"), met("b"))]
    #[case(never("a"), not("b"), never("a"), not("b"))]
    #[case(never("a"), never("b"), never("a"), never("a; b"))]
    #[case(never("a"), unknown("b"), never("a"), unknown("b"))]
    #[case(unknown("a"), met("b"), unknown("a"), met("b"))]
    #[case(unknown("a"), not("b"), not("b"), unknown("a; b"))]
    #[case(unknown("a"), never("b"), never("b"), unknown("a"))]
    #[case(unknown("a"), unknown("b"), unknown("a"), unknown("a; b"))]
    fn and_or(#[case] a: Check, #[case] b: Check, #[case] and: Check, #[case] or: Check) {
        assert_eq!((a.clone().and(b.clone()), a.or(b)), (and, or));
    }

    #[rstest]
    #[case(met("a"), not("it is so: a"))]
    #[case(not("a"), met("a"))]
    #[case(never("a"), met("a"))]
    #[case(unknown("a"), unknown("a"))]
    fn negation(#[case] check: Check, #[case] negated: Check) {
        assert_eq!(check.negated(), negated);
    }

    fn every(checks: &[Check]) -> Check {
        checks.iter().cloned().fold(met(""), Check::and)
    }

    #[tokio::test]
    async fn combined_streams_answer_at_each_change_of_any() {
        let (a, b) = (stream::iter([not("a1"), not("a2"), met("a3")]), stream::iter([met("b1"), not("b2"), met("b3")]));
        let answers: Vec<Check> = combined(vec![a.boxed(), b.boxed()], every).collect().await;
        // The first answer is held back: nothing is known of the other yet.
        assert_eq!(answers.len(), 5);
        assert_eq!(answers.last(), Some(&met("a3; b3")));
        assert!(answers.contains(&not("b2")) || answers.contains(&not("a2")), "{answers:?}");
    }

    #[tokio::test]
    async fn what_one_part_decides_needs_no_other() {
        let pending = || stream::pending().boxed();
        let any = |checks: &[Check]| checks.iter().cloned().reduce(Check::or).unwrap();
        let first = |parts, join: fn(&[Check]) -> Check| async move { combined(parts, join).next().await };
        assert_eq!(first(vec![stream::iter([met("a")]).boxed(), pending()], any).await, Some(met("a")));
        assert_eq!(first(vec![stream::iter([never("a")]).boxed(), pending()], every).await, Some(never("a")));
        // Neither met nor never: the wait goes on without an answer.
        let undecided = combined(vec![stream::iter([met("a")]).boxed(), pending()], every);
        assert!(tokio::time::timeout(Duration::from_millis(1), undecided.collect::<Vec<_>>()).await.is_err());
    }

    #[tokio::test]
    async fn unknown_is_reported_and_waited_out() {
        let mut heard = vec![];
        let checks = stream::iter([unknown("no answer"), not("1 of 2"), unknown("the watch broke"), met("so")]);
        until(deadline(), checks, |why| heard.push(why.to_owned())).await.unwrap();
        assert_eq!(heard, ["no answer", "1 of 2", "the watch broke; before that, 1 of 2"]);
    }
}

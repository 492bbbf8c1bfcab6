//! Waiting, with the reason why not yet.
//!
//! A wait is a stream of [`Check`]s and a named deadline. "Not yet" and "never" are different answers: the first is
//! reported while it lasts and printed when the deadline passes, the second ends the wait at once.

use std::fmt;
use std::time::Duration;

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
}

impl Check {
    /// Met when both are; otherwise the first reason that it is not.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Check::Never(why), _) | (_, Check::Never(why)) => Check::Never(why),
            (Check::NotYet(why), _) | (Check::Met(_), Check::NotYet(why)) => Check::NotYet(why),
            (Check::Met(a), Check::Met(b)) => Check::Met(if a.is_empty() || a == b { b } else { format!("{a}; {b}") }),
        }
    }
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
    pin_mut!(checks);
    loop {
        let since = |last: Option<(String, Instant)>| last.map(|(why, at)| (why, at.elapsed()));
        match tokio::time::timeout_at(end, checks.next()).await {
            Err(_) => return Err(WaitError::TimedOut { what, within, last: since(last) }),
            Ok(None) => return Err(WaitError::Lost { what, last: since(last) }),
            Ok(Some(Check::Met(how))) => return Ok(how),
            Ok(Some(Check::Never(why))) => return Err(WaitError::Never { what, why }),
            Ok(Some(Check::NotYet(why))) => {
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

    #[test]
    fn and_gives_the_first_reason_and_never_outranks_not_yet() {
        let not = |s: &str| Check::NotYet(s.into());
        assert_eq!(not("a").and(not("b")), not("a"));
        assert_eq!(Check::Met("x".into()).and(not("b")), not("b"));
        assert_eq!(not("a").and(Check::Never("n".into())), Check::Never("n".into()));
    }
}

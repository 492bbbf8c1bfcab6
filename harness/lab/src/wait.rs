//! Waiting for a part of the lab: every wait has a name, a deadline, and says why it is not over.

use std::time::Duration;

use tokio::time::Instant;

/// One look at something awaited. "Not yet" and "never" are different answers.
#[derive(Debug)]
pub enum Look<T, E> {
    /// It is there.
    Ready(T),
    /// Look again later; this is what is missing.
    NotYet(String),
    /// It will never be there.
    Never(E),
}

/// How a wait ended without its object.
#[derive(Debug)]
pub enum Waited<E> {
    /// The deadline passed; this was missing at the last look.
    TimedOut(String),
    /// It will never be there.
    Never(E),
}

/// How long one look may take: 10 s, where milliseconds are usual. A lost connection would use up the deadline otherwise.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);

/// A thing to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// For how long at most.
    pub deadline: Duration,
    /// Time between looks.
    pub interval: Duration,
}

impl Wait {
    /// Looks until something is there, can never be, or the deadline passes. A look that takes too long is dropped. `not_yet`
    /// hears each new reason once.
    ///
    /// # Errors
    /// When it will not be there, or was not in time.
    pub async fn until<T, E, F>(
        self,
        mut look: impl FnMut() -> F,
        mut not_yet: impl FnMut(&str),
    ) -> Result<T, Waited<E>>
    where
        F: Future<Output = Look<T, E>>,
    {
        let end = Instant::now() + self.deadline;
        let mut missing = String::from("it does not answer");
        loop {
            let look_end = end.min(Instant::now() + LOOK_DEADLINE);
            match tokio::time::timeout_at(look_end, look()).await {
                Ok(Look::Ready(found)) => return Ok(found),
                Ok(Look::Never(error)) => return Err(Waited::Never(error)),
                Ok(Look::NotYet(reason)) if reason != missing => {
                    not_yet(&reason);
                    missing = reason;
                }
                Ok(Look::NotYet(_)) | Err(_) => {}
            }
            if Instant::now() + self.interval >= end {
                return Err(Waited::TimedOut(missing));
            }
            tokio::time::sleep(self.interval).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test may last: only the last one reaches its deadline.
    const WAIT: Wait = Wait { deadline: Duration::from_secs(3600), interval: Duration::from_millis(1) };

    #[tokio::test]
    async fn each_reason_is_heard_once() {
        let mut looks = ["no container", "no container", "no port", ""].into_iter();
        let mut heard = Vec::new();
        let found = WAIT
            .until(
                || {
                    std::future::ready(match looks.next() {
                        Some("") => Look::Ready(7),
                        Some(reason) => Look::NotYet(reason.into()),
                        None => Look::Never(()),
                    })
                },
                |reason| heard.push(reason.to_owned()),
            )
            .await;
        assert!(matches!(found, Ok(7)));
        assert_eq!(heard, ["no container", "no port"]);
    }

    #[tokio::test]
    async fn never_ends_the_wait_at_once() {
        let result: Result<(), _> = WAIT.until(|| std::future::ready(Look::Never("gone")), |_| ()).await;
        assert!(matches!(result, Err(Waited::Never("gone"))));
    }

    #[tokio::test]
    async fn the_last_reason_is_kept_when_a_look_hangs() {
        let mut first = true;
        let result: Result<(), Waited<()>> = Wait { deadline: Duration::from_millis(50), ..WAIT }
            .until(
                || {
                    let first = std::mem::take(&mut first);
                    async move {
                        if !first {
                            std::future::pending::<()>().await;
                        }
                        Look::NotYet("no answer".into())
                    }
                },
                |_| (),
            )
            .await;
        assert!(matches!(result, Err(Waited::TimedOut(reason)) if reason == "no answer"));
    }
}

//! A line in the logs of a workload's pods.

use std::collections::HashSet;
use std::time::Duration;

use ferry_scenario::steps::{Log, Since};
use futures::stream::{BoxStream, SelectAll};
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::api::{LogParams, Request};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::Look;
use crate::cluster::{Cluster, ClusterError, pods, request};
use crate::wait::Check;

/// How often the workload's pods are listed, for those that have started meanwhile. A pod's lines wait for it: they are read
/// from the first on.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) fn stream<'a>(wanted: &'a Log, look: Look<'a>) -> BoxStream<'a, Check> {
    let since = match wanted.since {
        Since::Step => look.began_at,
        Since::Run => started(look),
    };
    let follower = Follower {
        wanted,
        cluster: look.cluster,
        since,
        followed: HashSet::new(),
        lines: SelectAll::new(),
        list_at: Instant::now(),
        exists: false,
        pods: 0,
        read: 0,
    };
    futures::stream::unfold(follower, |mut follower| async move { Some((follower.next().await, follower)) }).boxed()
}

/// When the run began, by the calendar.
fn started(look: Look<'_>) -> Timestamp {
    let since_start = jiff::SignedDuration::try_from(Duration::from_nanos(look.began)).unwrap_or_default();
    look.began_at.checked_sub(since_start).unwrap_or(Timestamp::MIN)
}

/// One life of a container: its pod, its name, and how often it was restarted.
type Life = (String, String, u64);

/// What a container said, or the end of its log.
enum Said {
    Line(Life, String),
    Ended(Life),
}

struct Follower<'a> {
    wanted: &'a Log,
    cluster: &'a Cluster,
    since: Timestamp,
    followed: HashSet<Life>,
    lines: SelectAll<BoxStream<'a, Said>>,
    list_at: Instant,
    exists: bool,
    pods: usize,
    read: usize,
}

impl Follower<'_> {
    /// Follows until there is something to say.
    async fn next(&mut self) -> Check {
        loop {
            tokio::select! {
                Some(said) = self.lines.next(), if !self.lines.is_empty() => match said {
                    Said::Ended(life) => _ = self.followed.remove(&life),
                    Said::Line((pod, container, _), line) => {
                        if let Some(text) = counts(&line, self.since) {
                            self.read += 1;
                            if self.wanted.line.fits(text) {
                                return Check::Met(format!("{pod} ({container}): {}", shortened(text)));
                            }
                        }
                    }
                },
                () = sleep_until(self.list_at) => {
                    self.list_at = Instant::now() + AGAIN;
                    return match self.list().await {
                        Ok(()) if !self.exists => Check::NotYet(format!("{} does not exist yet", self.wanted.of)),
                        Ok(()) => Check::NotYet(progress(self.pods, self.read)),
                        Err(error) => Check::Unknown(crate::edge::chain(&error)),
                    };
                }
            }
        }
    }

    /// Follows the containers that are not followed yet.
    async fn list(&mut self) -> Result<(), ClusterError> {
        let found = self.cluster.pods_of(&self.wanted.of).await?;
        self.exists = found.is_some();
        let found = found.unwrap_or_default();
        self.pods = found.len();
        let container = self.wanted.container.as_ref().map(|name| name.as_str());
        for life in found.iter().flat_map(|pod| lives(pod, container)) {
            if self.followed.insert(life.clone()) {
                self.lines.push(follow(life, self.wanted, self.cluster, self.since));
            }
        }
        Ok(())
    }
}

/// A container's log from `since` on, until it ends.
fn follow<'a>(life: Life, wanted: &'a Log, cluster: &'a Cluster, since: Timestamp) -> BoxStream<'a, Said> {
    let (pod, container, _) = life.clone();
    let namespace = wanted.of.namespace.as_deref().unwrap_or_default();
    let params = LogParams {
        container: Some(container.clone()),
        follow: true,
        // kube rounds to whole seconds: rounded up, lines would be missed.
        since_time: Timestamp::from_second(since.as_second()).ok(),
        timestamps: true,
        ..LogParams::default()
    };
    let opened = async move {
        let what = || format!("follow the log of {pod} ({container})");
        let pods = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
        let get = pods.logs(&pod, &params).map_err(|e| request(what(), kube::Error::BuildRequest(e)))?;
        let log = cluster.client.request_stream(get).await.map_err(|e| request(what(), e))?;
        Ok::<_, ClusterError>(log.lines())
    };
    let of = life.clone();
    // An error ends it as its end does: it is followed again while its container runs.
    let lines = futures::stream::once(opened)
        .filter_map(|opened| futures::future::ready(opened.ok()))
        .flat_map(|lines| lines.into_stream().take_while(|line| futures::future::ready(line.is_ok())))
        .filter_map(|line| futures::future::ready(line.ok()))
        .map(move |line| Said::Line(of.clone(), line));
    let end = futures::stream::once(async move {
        // Not at once: the API server may be restarting.
        tokio::time::sleep(AGAIN).await;
        Said::Ended(life)
    });
    lines.chain(end).boxed()
}

/// The containers of a pod that have something to say, or had.
fn lives(pod: &Value, wanted: Option<&str>) -> Vec<Life> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let statuses = statuses.iter().filter_map(|pointer| pod.pointer(pointer)?.as_array()).flatten();
    let has_run = |status: &&Value| ["running", "terminated"].iter().any(|state| status["state"][*state].is_object());
    statuses
        .filter(has_run)
        .filter_map(|status| Some((status["name"].as_str()?, status["restartCount"].as_u64().unwrap_or(0))))
        .filter(|(name, _)| wanted.is_none_or(|wanted| *name == wanted))
        .map(|(name, restarts)| (pods::name(pod).to_owned(), name.to_owned(), restarts))
        .collect()
}

/// A line's text, without the time that the kubelet puts before it, if that is not too early. The API server cuts by whole
/// seconds, which would let lines in that were there before.
fn counts(line: &str, since: Timestamp) -> Option<&str> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    let time: Timestamp = time.parse().ok()?;
    (time >= since).then_some(text)
}

fn progress(pods: usize, read: usize) -> String {
    match (pods, read) {
        (0, _) => "it has no pods".into(),
        (1, 0) => "its pod has logged nothing since".into(),
        (pods, 0) => format!("its {pods} pods have logged nothing since"),
        // The number of lines changes all the time: as a reason it would flood the record.
        (1, _) => "its pod has logged other lines since".into(),
        (pods, _) => format!("its {pods} pods have logged other lines since"),
    }
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("2026-01-01T00:00:01.000000000Z stored artifact", Some("stored artifact"))]
    #[case("2026-01-01T00:00:00.500000000Z stored artifact", Some("stored artifact"))]
    #[case("2026-01-01T00:00:00.499999999Z stored artifact", None)]
    #[case("2026-01-01T01:00:01+01:00 other zone", Some("other zone"))]
    #[case("2026-01-01T00:00:01Z", Some(""))]
    #[case("unable to retrieve container logs", None)]
    fn only_lines_since_then_count(#[case] line: &str, #[case] text: Option<&str>) {
        assert_eq!(counts(line, "2026-01-01T00:00:00.5Z".parse().unwrap()), text);
    }

    #[rstest]
    #[case(None, &[("web-a", "setup", 0), ("web-a", "web", 2)])]
    #[case(Some("web"), &[("web-a", "web", 2)])]
    #[case(Some("sidecar"), &[])]
    fn knows_what_has_run(#[case] container: Option<&str>, #[case] expected: &[(&str, &str, u64)]) {
        let pod = json!({"metadata": {"name": "web-a"}, "status": {
        "initContainerStatuses": [{"name": "setup", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}],
        "containerStatuses": [
            {"name": "web", "restartCount": 2, "state": {"running": {}}},
            {"name": "sidecar", "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}},
        ]}});
        let found = lives(&pod, container);
        assert_eq!(found.iter().map(|(p, c, n)| (p.as_str(), c.as_str(), *n)).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case(0, 0, "it has no pods")]
    #[case(1, 0, "its pod has logged nothing since")]
    #[case(2, 9, "its 2 pods have logged other lines since")]
    fn says_why_not_yet(#[case] pods: usize, #[case] read: usize, #[case] expected: &str) {
        assert_eq!(progress(pods, read), expected);
    }
}

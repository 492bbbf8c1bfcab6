//! A metric, scraped through the API server: it needs no route to the pods.

use std::time::Duration;

use ferry_scenario::steps::Metric;
use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::Request;

use super::Look;
use crate::cluster::metrics::{self, Series};
use crate::cluster::{Cluster, ClusterError, pods, request};
use crate::wait::{Check, polled};

/// How often the page is asked for: gauges of controllers follow their reconciliations, which take seconds.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a page may take. A port that a NetworkPolicy closes answers nothing at all, and the API server is patient.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) fn stream<'a>(wanted: &'a Metric, look: Look<'a>) -> BoxStream<'a, Check> {
    polled(AGAIN, move || scrape(wanted, look.cluster)).boxed()
}

async fn scrape(wanted: &Metric, cluster: &Cluster) -> Check {
    let unknown = |error: ClusterError| Check::Unknown(crate::edge::chain(&error));
    let found = match cluster.pods_of(&wanted.of).await {
        Ok(Some(found)) => found,
        Ok(None) => return Check::Unknown(format!("{} does not exist yet", wanted.of)),
        Err(error) => return unknown(error),
    };
    let mut series = Vec::new();
    let serving: Vec<&str> = found.iter().filter(|pod| !pods::is_leaving(pod)).map(pods::name).collect();
    for pod in &serving {
        match page(wanted, pod, cluster).await.map(|page| metrics::parse(&page)) {
            Ok(Ok(more)) => series.extend(more),
            // Another page will be no better, but another pod may take its place.
            Ok(Err(error)) => return Check::Unknown(format!("pod {pod}: {error}")),
            Err(error) => return unknown(error),
        }
    }
    judge(&series, serving.len(), wanted)
}

async fn page(wanted: &Metric, pod: &str, cluster: &Cluster) -> Result<String, ClusterError> {
    let what = || format!("get {} of pod {pod} at port {} through the API server", wanted.path, wanted.port);
    let namespace = wanted.of.namespace.as_deref().unwrap_or_default();
    let pods = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
    let proxy = format!("proxy{}", wanted.path);
    let get = pods
        .get_subresource(&proxy, &format!("{pod}:{}", wanted.port))
        .map_err(|e| request(what(), kube::Error::BuildRequest(e)))?;
    match tokio::time::timeout(ANSWER, cluster.client.request_text(get)).await {
        Ok(page) => page.map_err(|e| request(what(), e)),
        Err(_) => Err(ClusterError::Silent { what: what(), within: ANSWER }),
    }
}

fn judge(series: &[Series], pods: usize, wanted: &Metric) -> Check {
    let pods_named = || if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
    match metrics::sum(series, &wanted.name, &wanted.labels) {
        None if pods == 0 => Check::Unknown("no pod runs that could tell".into()),
        None => {
            let named = series.iter().filter(|s| s.name == wanted.name.value).count();
            let but = if named > 0 { format!(", {named} with other labels") } else { String::new() };
            let have = if pods == 1 { "has" } else { "have" };
            Check::NotYet(format!("{} {have} no such series{but}", pods_named()))
        }
        Some((value, count)) => {
            let seen = format!("it is {value} ({count} series of {})", pods_named());
            if wanted.bounds.hold(value) { Check::Met(seen) } else { Check::NotYet(seen) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::tests::parsed;
    use ferry_scenario::steps::{Condition, Wait};
    use rstest::rstest;

    #[rstest]
    #[case::met("up 1", 1, Check::Met("it is 1 (1 series of 1 pod)".into()))]
    #[case::summed("up{pod=\"a\"} 1\nup{pod=\"b\"} 0.5", 2, Check::NotYet("it is 1.5 (2 series of 2 pods)".into()))]
    #[case::other_value("up 0", 1, Check::NotYet("it is 0 (1 series of 1 pod)".into()))]
    #[case::absent("down 1", 1, Check::NotYet("1 pod has no such series".into()))]
    #[case::nobody("", 0, Check::Unknown("no pod runs that could tell".into()))]
    fn judges(#[case] page: &str, #[case] pods: usize, #[case] expected: Check) {
        assert_eq!(judge(&metrics::parse(page).unwrap(), pods, &wanted("name: up, is: 1")), expected);
    }

    #[test]
    fn other_labels_are_mentioned() {
        let series = metrics::parse("up{ready=\"False\"} 1").unwrap();
        assert_eq!(
            judge(&series, 2, &wanted("name: up, labels: {ready: \"True\"}, is: 1")),
            Check::NotYet("2 pods have no such series, 1 with other labels".into())
        );
    }

    fn wanted(metric: &str) -> Metric {
        let wait: Wait = parsed(&format!("{{metric: {{of: deployment/a/b, port: 8080, {metric}}}}}"));
        let Condition::Metric(metric) = wait.until else { panic!("another condition") };
        metric.value
    }
}

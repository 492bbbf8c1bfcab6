//! Pushing an image to a registry under a name that the engine keeps only as long as that takes.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures::TryStreamExt as _;
use tokio::time::Instant;

use super::error::{Doing as _, StepError};
use super::images::{self, Leftovers, split_tag};

/// How often a registry that does not answer yet is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// Pushes `image` as `target` (`host/path:tag`) and gives its digest. A registry that does not answer is asked again until
/// `deadline` has passed: it may have been started just now. Where the push is given up, `leftovers` has the name.
pub(super) async fn push(
    docker: &Docker,
    image: &str,
    target: &str,
    deadline: Duration,
    leftovers: &Leftovers,
) -> Result<String, StepError> {
    leftovers.name(target);
    images::tag(docker, image, target).await?;
    let start = Instant::now();
    let digest = loop {
        match push_once(docker, target).await {
            Err(error) if !is_final(&error) && start.elapsed() < deadline => {
                tracing::debug!(%error, target, "the registry does not answer yet");
                tokio::time::sleep(RETRY).await;
            }
            pushed => break pushed.doing(|| format!("push {target}"))?,
        }
    };
    images::untag(docker, target).await?;
    digest.ok_or_else(|| {
        StepError::unusable(format!("the registry names no digest for {target}"), "is it an OCI registry?")
    })
}

async fn push_once(docker: &Docker, target: &str) -> Result<Option<String>, Error> {
    let (repo, tag) = split_tag(target);
    let options = PushImageOptionsBuilder::default().tag(tag).build();
    docker.push_image(repo, Some(options), None).try_for_each(|_| async { Ok(()) }).await?;
    Ok(docker.inspect_registry_image(target, None).await?.descriptor.digest)
}

/// Whether no waiting will help: the registry has answered, and does not want this; or there is no such host.
fn is_final(error: &Error) -> bool {
    let text = error.to_string().to_lowercase();
    ["denied", "unauthorized", "authentication required", "forbidden", "no such host", "x509", "not allowed"]
        .iter()
        .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused", false)]
    #[case("Get \"http://127.0.0.1:5000/v2/\": EOF", false)]
    #[case("denied: requested access to the resource is denied", true)]
    #[case("dial tcp: lookup mirror.example.org: no such host", true)]
    fn not_yet_is_told_from_never(#[case] text: &str, #[case] never: bool) {
        assert_eq!(is_final(&Error::DockerStreamError { error: text.to_owned() }), never);
    }
}

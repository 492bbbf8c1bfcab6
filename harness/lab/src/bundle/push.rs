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

/// Pushes `image` as `target` (`host/path:tag`) and gives its digest. A registry that refuses connections is asked again
/// until `deadline` has passed: it may have been started just now. Where the push is given up, `leftovers` has the name.
pub(super) async fn push(
    docker: &Docker,
    image: &str,
    target: &str,
    deadline: Duration,
    leftovers: &Leftovers,
) -> Result<String, StepError> {
    leftovers.name(target);
    images::tag(docker, image, target).await?;
    let pushed = push_named(docker, target, deadline).await;
    images::untag(docker, target).await?;
    pushed
}

async fn push_named(docker: &Docker, target: &str, deadline: Duration) -> Result<String, StepError> {
    let (repo, tag) = split_tag(target);
    let start = Instant::now();
    loop {
        let options = PushImageOptionsBuilder::default().tag(tag).build();
        let messages: Result<Vec<_>, _> = docker.push_image(repo, Some(options), None).try_collect().await;
        match messages {
            Ok(_) => break,
            Err(error) if is_not_yet(&error) && start.elapsed() < deadline => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(error).doing(|| format!("push {target}")),
        }
    }
    let found =
        docker.inspect_registry_image(target, None).await.doing(|| format!("ask for the digest of {target}"))?;
    found.descriptor.digest.ok_or_else(|| {
        StepError::unusable(format!("the registry names no digest for {target}"), "is it an OCI registry?")
    })
}

fn is_not_yet(error: &Error) -> bool {
    let text = error.to_string();
    ["connection refused", "connection reset", "EOF"].iter().any(|words| text.contains(words))
}

//! Whether the image registries answer. The engine is asked, not this machine: it is the engine that pulls, with its own
//! network, proxy and certificates.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::Docker;
use futures::future::join_all;

use super::error::BundleError;
use super::model::Registry;
use super::reference::Reference;

/// How long a registry may take to name a digest. Usual answers take 0.3 to 1 s.
pub const REACH_DEADLINE: Duration = Duration::from_secs(3);

/// How long a registry may take where nothing else will do than its answer.
const FLOAT_DEADLINE: Duration = Duration::from_secs(30);

/// What was found out about one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Its host, or that of the mirror.
    pub host: String,
    /// Why it cannot be used; none if it can.
    pub trouble: Option<String>,
}

/// Asks each host that these are published on (or the mirror in their place) for one image, all at the same time.
pub async fn reach(docker: &Docker, registries: &[&Registry], mirror: Option<&str>) -> Vec<Reach> {
    let asked = questions(registries, mirror);
    join_all(asked.into_iter().map(|(host, image)| async move {
        let answer = tokio::time::timeout(REACH_DEADLINE, docker.inspect_registry_image(&image, None)).await;
        let trouble = match answer {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", REACH_DEADLINE.as_secs())),
        };
        Reach { host, trouble }
    }))
    .await
}

/// The digest that an image's tag names today.
pub(super) async fn today(docker: &Docker, reference: &str, mirror: Option<&str>) -> Result<String, BundleError> {
    let reference = Reference::parse(reference);
    let tagged = format!("{}:{}", reference.repository(mirror), reference.tag);
    let failed = |reason: String| BundleError::Floating { tagged: tagged.clone(), reason };
    let answer = tokio::time::timeout(FLOAT_DEADLINE, docker.inspect_registry_image(&tagged, None)).await;
    let found = answer
        .map_err(|_| failed(format!("no answer within {} s", FLOAT_DEADLINE.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    found.descriptor.digest.ok_or_else(|| failed("the registry names no digest for it".to_owned()))
}

/// One image per host.
fn questions(registries: &[&Registry], mirror: Option<&str>) -> BTreeMap<String, String> {
    let mut questions = BTreeMap::new();
    for registry in registries {
        let reference = Reference::parse(&registry.reference);
        let repository = reference.repository(mirror);
        let host = repository.split('/').next().unwrap_or_default().to_owned();
        questions.entry(host).or_insert_with(|| format!("{repository}:{}", reference.tag));
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_asked_once_and_a_mirror_for_all() {
        let registry = |reference: &str| Registry { reference: reference.into(), digest: None, files: BTreeMap::new() };
        let all = [registry("ghcr.io/a/b:1"), registry("ghcr.io/a/c:1"), registry("registry.k8s.io/pause:3")];
        let all: Vec<&Registry> = all.iter().collect();
        let asked = questions(&all, None);
        assert_eq!(
            asked.into_iter().collect::<Vec<_>>(),
            [
                ("ghcr.io".to_owned(), "ghcr.io/a/b:1".to_owned()),
                ("registry.k8s.io".to_owned(), "registry.k8s.io/pause:3".to_owned())
            ]
        );
        let asked = questions(&all, Some("m:5000/p"));
        assert_eq!(asked.into_iter().collect::<Vec<_>>(), [("m:5000".to_owned(), "m:5000/p/ghcr.io/a/b:1".to_owned())]);
    }
}

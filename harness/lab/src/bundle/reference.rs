//! Image references, and what becomes of them behind a mirror.

use super::images::split_tag;

/// Docker Hub, which short references mean.
const DEFAULT_HOST: &str = "docker.io";

/// The parts of `host/path:tag`, with the defaults that Docker assumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) host: String,
    pub(super) path: String,
    pub(super) tag: String,
}

impl Reference {
    pub(super) fn parse(text: &str) -> Self {
        let (repo, tag) = split_tag(text);
        let named = repo.split_once('/').filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost");
        let (host, path) = named.unwrap_or((DEFAULT_HOST, repo));
        let library = if host == DEFAULT_HOST && !path.contains('/') { "library/" } else { "" };
        Self { host: host.to_owned(), path: format!("{library}{path}"), tag: tag.to_owned() }
    }

    /// Where the image is pulled from, without its tag: at `mirror` (`HOST[/prefix]`) under its full upstream name, if
    /// there is a mirror.
    pub(super) fn repository(&self, mirror: Option<&str>) -> String {
        match mirror {
            Some(mirror) => format!("{}/{}/{}", mirror.trim_end_matches('/'), self.host, self.path),
            None => format!("{}/{}", self.host, self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ghcr.io/fluxcd/flux-cli:v2.9.2", None, "ghcr.io/fluxcd/flux-cli", "v2.9.2")]
    #[case("ghcr.io/a/b:t", Some("127.0.0.1:5000"), "127.0.0.1:5000/ghcr.io/a/b", "t")]
    #[case("ghcr.io/a/b:t", Some("mirror.example.org/proxy/"), "mirror.example.org/proxy/ghcr.io/a/b", "t")]
    #[case("registry:3", Some("m.example.org"), "m.example.org/docker.io/library/registry", "3")]
    #[case("rancher/k3s:v1", None, "docker.io/rancher/k3s", "v1")]
    #[case("localhost/a:1", None, "localhost/a", "1")]
    #[case("localhost:5000/a", None, "localhost:5000/a", "latest")]
    fn mirrored(#[case] text: &str, #[case] mirror: Option<&str>, #[case] repository: &str, #[case] tag: &str) {
        let reference = Reference::parse(text);
        assert_eq!((reference.repository(mirror).as_str(), reference.tag.as_str()), (repository, tag));
    }
}

//! Images from the engine into a node's containerd.

use futures::{StreamExt, TryStreamExt};

use super::Node;
use crate::container::ExecError;
use crate::engine::Engine;

/// Why an image is not on a node.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The engine does not have it.
    #[error("the engine has no image {image} to load into the cluster: {source}")]
    Missing {
        /// The image.
        image: String,
        /// What came back.
        source: bollard::errors::Error,
    },
    /// The node did not take it.
    #[error("cannot load the image {image} into the node {node}: {source}")]
    Import {
        /// The image.
        image: String,
        /// The node.
        node: String,
        /// What came back.
        source: Box<ExecError>,
    },
}

/// As [`load`], into every node at once.
pub(super) async fn load_everywhere(
    engine: &Engine,
    nodes: &[Node],
    image: &str,
    name: &str,
) -> Result<(), ImageError> {
    let loads = nodes.iter().map(|node| load(engine, node, image, name));
    futures::future::try_join_all(loads).await.map(drop)
}

/// Streams `image` (a name, not an id) from the engine into the node's store, where it will be known as `name` as well.
async fn load(engine: &Engine, node: &Node, image: &str, name: &str) -> Result<(), ImageError> {
    engine.docker.inspect_image(image).await.map_err(|source| ImageError::Missing { image: image.into(), source })?;
    let failed = |source| ImageError::Import { image: image.into(), node: node.name.clone(), source: Box::new(source) };
    let archive = engine.docker.export_image(image).map_err(std::io::Error::other).boxed();
    let import = node.container.exec(["ctr", "--namespace=k8s.io", "images", "import", "-"]);
    import.input_stream(archive).succeed().await.map_err(failed)?;
    let imported = full_name(image);
    if imported != full_name(name) {
        let tag = ["ctr", "--namespace=k8s.io", "images", "tag", "--force", &imported, &full_name(name)];
        node.container.exec(tag).succeed().await.map_err(failed)?;
    }
    Ok(())
}

/// The name as containerd keeps it: with a registry and a tag.
fn full_name(reference: &str) -> String {
    let (first, rest) = reference.split_once('/').unwrap_or(("", reference));
    let host = if first.contains(['.', ':']) || first == "localhost" {
        String::new()
    } else if first.is_empty() {
        "docker.io/library/".into()
    } else {
        "docker.io/".into()
    };
    let tag = if rest.contains(':') { "" } else { ":latest" };
    format!("{host}{reference}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("busybox", "docker.io/library/busybox:latest")]
    #[case("busybox:1", "docker.io/library/busybox:1")]
    #[case("flux-ferry/workload:1", "docker.io/flux-ferry/workload:1")]
    #[case("ferry.local/workload:dev", "ferry.local/workload:dev")]
    #[case("registry.ferry:5000/workload", "registry.ferry:5000/workload:latest")]
    #[case("localhost/workload:1", "localhost/workload:1")]
    fn names_are_completed_as_containerd_does(#[case] reference: &str, #[case] expected: &str) {
        assert_eq!(full_name(reference), expected);
    }
}

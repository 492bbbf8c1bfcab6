//! testcontainers' view of an image of the bundle.

use testcontainers::Image;
use testcontainers::core::{ContainerPort, IntoContainerPort, WaitFor};

/// An image by reference. It has no ready conditions: each service asks its own question, with its own deadline.
#[derive(Debug, Clone)]
pub struct LabImage {
    name: String,
    tag: String,
    entrypoint: Option<String>,
    ports: Vec<ContainerPort>,
}

impl LabImage {
    pub fn new(reference: &str, entrypoint: Option<String>, ports: &[u16]) -> Self {
        let (name, tag) = split(reference);
        Self { name, tag, entrypoint, ports: ports.iter().map(|port| port.tcp()).collect() }
    }
}

/// Takes a reference apart so that `name:tag`, as testcontainers puts it together again, is that reference.
pub fn split(reference: &str) -> (String, String) {
    match reference.rsplit_once(':') {
        // The colon of a registry's port comes before the last slash.
        Some((name, tag)) if !tag.contains('/') => (name.into(), tag.into()),
        _ => (reference.into(), "latest".into()),
    }
}

impl Image for LabImage {
    fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn ready_conditions(&self) -> Vec<WaitFor> {
        Vec::new()
    }

    fn entrypoint(&self) -> Option<&str> {
        self.entrypoint.as_deref()
    }

    fn expose_ports(&self) -> &[ContainerPort] {
        &self.ports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::tag("flux-ferry/git:1", "flux-ferry/git", "1")]
    #[case::port_and_tag("registry.ferry:5000/git:1", "registry.ferry:5000/git", "1")]
    #[case::port_alone("registry.ferry:5000/git", "registry.ferry:5000/git", "latest")]
    #[case::image_id("sha256:0123", "sha256", "0123")]
    #[case::digest("git@sha256:0123", "git@sha256", "0123")]
    fn a_reference_is_split_at_its_tag(#[case] reference: &str, #[case] name: &str, #[case] tag: &str) {
        assert_eq!(split(reference), (name.into(), tag.into()));
    }
}

//! Every image and tool a run needs: pinned, pulled from registries or built from source, cached by recipe.
//!
//! [`load`] reads the data, [`prepare`] sees to it that components are there:
//!
//! ```text
//! bundle.yaml ─ load ─► Bundle ─ Plan::new ─► ways and content keys ─ prepare ─► cache, engine ─► Prepared
//! ```

mod cache;
mod error;
mod graph;
mod images;
mod key;
mod list;
mod lock;
mod make;
mod mirror;
pub mod model;
mod origin;
pub mod pins;
mod plan;
mod prepare;
mod process;
mod progress;
mod pull;
mod push;
mod reach;
mod recipe;
mod reference;
mod sbom;
mod sharing;
mod sources;

pub use cache::{Cache, Entry, Meta, default_root};
pub use error::{BundleError, ComponentFailure, StepError};
pub use graph::Problem;
pub use images::{COMPONENT_LABEL, KEY_LABEL};
pub use key::Key;
pub use list::{Garbage, Listed, gc, list};
pub use lock::Holder;
pub use mirror::mirror_to;
pub use model::Bundle;
pub use origin::{Origin, origins};
pub use plan::Way;
pub use prepare::{Fact, Images, Options, Prepared, prepare};
pub use progress::{Event, Progress, Silent, TAIL_LINES};
pub use reach::{REACH_DEADLINE, Reach, reach};
pub use sbom::{Sbom, sbom};
pub use sources::{SourceFile, Sources};

/// The bundle that this crate was compiled with: `harness/lab/bundle.yaml`, checked.
pub fn load() -> Result<Bundle, BundleError> {
    parse(include_str!("../../bundle.yaml"), Sources::embedded())
}

/// Reads and checks a bundle's text; all that is wrong with its graph is told at once.
pub fn parse(text: &str, sources: Sources) -> Result<Bundle, BundleError> {
    let bundle: Bundle = serde_saphyr::from_str(text).map_err(|error| BundleError::Syntax(Box::new(error)))?;
    let bundle = Bundle { sources, ..bundle };
    let problems = graph::problems(&bundle);
    if problems.is_empty() { Ok(bundle) } else { Err(BundleError::Invalid(problems)) }
}

#[cfg(test)]
mod tests {
    use super::model::Recipe;
    use super::*;

    #[test]
    fn the_bundle_is_sound() {
        let bundle = load().unwrap_or_else(|error| panic!("{error}"));
        assert!(!bundle.components.is_empty());
    }

    /// Without it no pod of a node starts where no registry answers.
    #[test]
    fn every_node_image_holds_the_sandbox_that_its_containerd_asks_for() {
        let config = include_str!("../../sources/node/rootfs/etc/containerd/config.toml");
        let asked = config.lines().find_map(|line| line.trim().strip_prefix("sandbox_image = ")).unwrap();
        let bundle = load().unwrap_or_else(|error| panic!("{error}"));
        let nodes = bundle.components.iter().filter_map(|(name, component)| match &component.source {
            Some(Recipe::Commit(commit)) if commit.base.starts_with("node-base-") => Some((name, commit)),
            _ => None,
        });
        let images: Vec<_> =
            nodes.map(|(name, commit)| (name, commit.images.contains_key(asked.trim_matches('"')))).collect();
        assert!(images.len() >= 3 && images.iter().all(|(_, holds)| *holds), "{asked}: {images:?}");
    }

    #[test]
    fn a_wrong_key_is_named_with_its_place() {
        let error = parse("components:\n  etcd: {verison: '1'}\n", Sources::embedded()).unwrap_err();
        assert!(error.to_string().contains("verison") && error.to_string().contains("line 2"), "{error}");
    }
}

//! What runs can have, so that a release that nobody can provide is found before anything starts.

use std::collections::BTreeSet;

/// Releases, controllers and images that the lab can provide. This crate does not know the bundle: who does fills this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Releases of Flux that clusters can be bootstrapped with.
    pub flux: BTreeSet<String>,
    /// Releases of Flux Operator.
    pub operator: BTreeSet<String>,
    /// Controllers of Flux.
    pub components: BTreeSet<String>,
    /// Images that nodes have without pulling, as manifests name them.
    pub images: BTreeSet<String>,
}

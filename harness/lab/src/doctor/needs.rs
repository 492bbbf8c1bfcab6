//! What a run needs of the machine it starts on.

use std::path::PathBuf;

use crate::doctor::GIB;

/// What the doctor looks for. Start from [`Needs::default`] and change what the run knows better.
#[derive(Debug, Clone)]
pub struct Needs {
    /// How the run gets its images.
    pub images: Images,
    /// Hosts of the image registries it pulls from (`registry.k8s.io`, `mirror.example:5000`).
    pub registries: Vec<String>,
    /// Where clusters come from.
    pub provider: Provider,
    /// The folder for built and pulled images and tools. It need not exist yet.
    pub cache: PathBuf,
    /// Bytes that a build of all images from source takes there and in the caches of its compilers. Pulled ones take a tenth.
    pub build_bytes: u64,
    /// Bytes that all images and a run take where the engine keeps them.
    pub engine_bytes: u64,
    /// Bytes of memory that must be free.
    pub memory_bytes: u64,
    /// Ports on 127.0.0.1 that the run has been told to use. Ports that it chooses itself are not listed.
    pub ports: Vec<u16>,
    /// The oldest Go, `(major, minor)`, that builds the components from source.
    pub go: (u32, u32),
}

/// How a run gets its images and tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// All are in the cache already.
    Cached,
    /// Pulled from registries.
    Registry,
    /// Built from source.
    Source,
    /// Pulled if the registries answer, else built.
    Auto,
}

/// Where clusters come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// kind: nodes are privileged containers.
    Kind,
    /// k3s: a node is a privileged container.
    K3s,
    /// A cluster that exists already; the engine only runs the lab's servers.
    External,
}

impl Provider {
    /// Whether nodes run in the engine.
    pub fn runs_nodes(self) -> bool {
        self != Self::External
    }
}

impl Default for Needs {
    /// A kind cluster of one node with images from wherever they can be had.
    ///
    /// Measured: building all components leaves 8 GiB in Go's build cache, 8 GiB of modules and 3 GiB in the cache itself; a node
    /// image with all images in it, its layers and a running cluster take 7 GiB in the engine, and 1.3 GiB of memory.
    fn default() -> Self {
        Self {
            images: Images::Auto,
            registries: vec!["registry.k8s.io".into(), "ghcr.io".into()],
            provider: Provider::Kind,
            cache: std::env::temp_dir(),
            build_bytes: 20 * GIB,
            engine_bytes: 8 * GIB,
            memory_bytes: 3 * GIB,
            ports: Vec::new(),
            go: (1, 26),
        }
    }
}

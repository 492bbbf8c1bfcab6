//! What a scenario runs in: Docker Engine, the bundle of images and tools, clusters, git and OCI servers.
//!
//! This crate knows no scenario. Everything it makes carries the label of the run that asked for it.

pub mod bundle;
pub mod engine;

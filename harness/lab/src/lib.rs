//! What a scenario runs in: Docker Engine, the bundle of images and tools, clusters, git and OCI servers.
//!
//! This crate knows no scenario. Everything it makes carries the label of the run that asked for it.

pub mod bundle;
pub mod cluster;
pub mod container;
pub mod doctor;
pub mod engine;
pub mod gc;
pub mod git;
pub mod hog;
pub mod labels;
pub mod network;
pub mod process_group;
pub mod reaper;
pub mod registry;
pub mod run;
pub mod toolbox;
pub mod wait;

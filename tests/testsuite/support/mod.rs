//! What tests stand on: peers that are started and stopped, and a world of their own.

pub(crate) mod data;
mod disk;
mod git_http;
pub(crate) mod git_server;
pub(crate) mod github;
pub(crate) mod image;
pub(crate) mod kubernetes;
mod peer;
mod registry;
pub(crate) mod road;
mod ssh_agent;
mod wire;
pub(crate) mod world;

pub(crate) use disk::Disk;
pub(crate) use peer::{Server, free_port, missing, peer, skip, wait_until};
pub(crate) use registry::RegistryServer;
pub(crate) use ssh_agent::SshAgent;
pub(crate) use wire::Wire;
pub(crate) use world::{Ran, World};

/// Writes the script `text` to `path`, to be run.
pub(crate) fn executable(path: &camino::Utf8Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

//! The integration tests, one binary: each test binary links tens of megabytes.
//!
//! A test that needs a peer (a registry, a git server, a cluster) starts it itself on a free
//! loopback port and stops it by process id; see [`support`].

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod a_real_node;
mod ancestry;
mod applications;
mod architecture;
mod argocd;
mod attestation;
mod build;
mod cli;
mod cluster;
mod conformance;
mod contracts;
mod effect;
mod git;
mod git_local;
mod github;
mod health;
mod kustomize;
mod lint;
mod readme;
mod registry;
mod render;
mod rollout;
mod shipped;
mod support;
mod verify;

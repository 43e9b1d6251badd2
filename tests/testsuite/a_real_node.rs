//! What containers that really run make of a rollout.
//!
//! The harness starts tests in the order of their names. These take longest and mostly wait, so they
//! have the first.

mod in_cluster;
mod native;
mod road;
mod verify;
mod why;

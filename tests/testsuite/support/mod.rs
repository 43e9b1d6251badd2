//! What tests stand on: peers that are started and stopped, and a world of their own.

mod peer;

pub(crate) use peer::{Server, free_port, peer, wait_until};

//! What a command does: options in, report out; loops, waits and retries live here.

pub mod verify;

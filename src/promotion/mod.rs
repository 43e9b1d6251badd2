//! What a promotion is on record as, and what is decided from that.
//!
//! The record is the trailers of commits in the manifests repository, so that history needs no
//! database. Reading commits and writing them is left to [`crate::git`]; gathering what a decision
//! is about is left to the ops.

mod record;

pub use record::{Override, Record, RecordedSource, change_ids, key};

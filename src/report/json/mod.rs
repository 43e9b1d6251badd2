//! JSON documents, by version. A field here is a promise: it is not renamed and does not change its
//! meaning within a version.

mod sarif;
pub mod v1;

pub use sarif::sarif;

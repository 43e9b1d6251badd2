//! JSON documents, by version. A field here is a promise: it is not renamed and does not change its
//! meaning within a version.

pub mod v1;

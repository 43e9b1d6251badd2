//! Kubernetes objects as they are, without a schema.

mod object;

pub use object::{Condition, Object, ObjectId, ReadError};

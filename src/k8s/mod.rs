//! Kubernetes objects as they are, without a schema.

mod images;
mod object;

pub use images::{PodImage, pod_images};
pub use object::{Condition, Object, ObjectId, ReadError};

//! Kubernetes objects as they are, without a schema.

mod images;
mod object;
mod read;

pub use images::{PodImage, pod_images};
pub use object::{Condition, Object, ObjectId};
pub use read::ReadError;

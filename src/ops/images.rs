//! What an environment states about a service's image.

use crate::config::{Environment, Service};
use crate::kustomize::FileTree;

pub use crate::target::{StatedImage, StatedImageError};

/// Returns what the environment states for `service`, wherever it does: see [`crate::target`].
///
/// # Errors
///
/// Fails if the file is not there, broken, or says nothing about the service's image.
pub fn stated_image(
    tree: &dyn FileTree,
    environment: &Environment,
    service: &Service,
) -> Result<StatedImage, StatedImageError> {
    environment.target(service).read(tree)
}

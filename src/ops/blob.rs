//! Blobs that are small enough to hold.

use tokio::io::AsyncReadExt as _;

use crate::image::{Digest, ImageName};
use crate::registry::{Registry, RegistryError};

/// Returns the bytes of a blob; one that is longer than `limit` counts as corrupt.
///
/// # Errors
///
/// Fails if there is no such blob, or its bytes do not have the digest.
pub(super) async fn read_blob(
    registry: &dyn Registry,
    name: &ImageName,
    digest: &Digest,
    limit: u64,
) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    let mut reader = registry.blob(name, digest).await?.take(limit);
    let read = reader.read_to_end(&mut bytes).await;
    read.map_err(|error| RegistryError::Unreachable {
        registry: name.domain().to_owned(),
        reason: error.to_string(),
    })?;
    let found = Digest::of(&bytes);
    if found == *digest {
        Ok(bytes)
    } else {
        Err(RegistryError::Corrupt { expected: digest.clone(), found })
    }
}

//! Blobs that are read: into memory where they are small enough to hold, else into a file.

use std::io;

use camino::Utf8PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::image::{Blob, BlobContent, Digest, ImageName};
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
    read.map_err(|error| unread(name, error))?;
    let found = Digest::of(&bytes);
    if found == *digest {
        Ok(bytes)
    } else {
        Err(RegistryError::Corrupt { expected: digest.clone(), found })
    }
}

/// Returns the blob, whose bytes are in a new file at `path` now.
///
/// # Errors
///
/// Fails if there is no such blob, its bytes do not have the digest, or they can't be written.
pub(super) async fn copy_blob(
    registry: &dyn Registry,
    name: &ImageName,
    digest: &Digest,
    path: Utf8PathBuf,
) -> Result<Blob, RegistryError> {
    let failed = |source| RegistryError::File { path: path.clone(), source };
    let mut reader = registry.blob(name, digest).await?;
    let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
    let (mut chunk, mut size) = (vec![0; 1 << 16], 0);
    loop {
        let count = reader.read(&mut chunk).await.map_err(|error| unread(name, error))?;
        if count == 0 {
            break;
        }
        file.write_all(&chunk[..count]).await.map_err(failed)?;
        size += count as u64;
    }
    file.flush().await.map_err(failed)?;
    Ok(Blob { digest: digest.clone(), size, content: BlobContent::File(path) })
}

/// Returns why a blob could not be read to its end: what the registry's reader says, if it does.
fn unread(name: &ImageName, error: io::Error) -> RegistryError {
    error.downcast().unwrap_or_else(|error: io::Error| RegistryError::Unreachable {
        registry: name.domain().to_owned(),
        reason: error.to_string(),
    })
}

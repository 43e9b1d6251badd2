//! Storing what was built.

use camino::Utf8PathBuf;
use tempfile::TempDir;

use super::BuildError;
use crate::image::{BaseImage, Blob, BlobContent, BuiltImage, Digest, ImageName, PinnedImage};
use crate::registry::{Registry, RegistryError};

/// Pushes layers and configs, then manifests, the tag last.
pub(super) async fn push(
    registry: &dyn Registry,
    bases: &dyn Registry,
    image: &PinnedImage,
    built: &BuiltImage,
    built_on: &[BaseImage],
) -> Result<(), BuildError> {
    let pushed = async {
        if let Some(base) = built_on.first() {
            for layer in &built.inherited {
                inherit(registry, bases, image, layer, &base.reference.name).await?;
            }
        }
        for blob in &built.blobs {
            registry.push_blob(&image.name, blob).await?;
        }
        for child in &built.children {
            registry.push_manifest(&image.name, child, &[]).await?;
        }
        registry.push_manifest(&image.name, &built.manifest, image.tag.as_slice()).await
    };
    let failed = |source| BuildError::Registry { what: "push", image: image.to_string(), source };
    pushed.await.map_err(failed)
}

/// Makes the image's repository have a layer of the base: by mount where one registry has both,
/// else by copying it through a temporary file.
async fn inherit(
    registry: &dyn Registry,
    bases: &dyn Registry,
    image: &PinnedImage,
    layer: &Digest,
    base: &ImageName,
) -> Result<(), RegistryError> {
    if registry.has_blob(&image.name, layer).await?
        || (image.name.domain() == base.domain()
            && registry.mount_blob(&image.name, layer, base).await?)
    {
        return Ok(());
    }
    let lost = |error: std::io::Error| RegistryError::Unreachable {
        registry: base.domain().to_owned(),
        reason: error.to_string(),
    };
    let folder = TempDir::new().map_err(lost)?;
    let path = Utf8PathBuf::from_path_buf(folder.path().join("layer"))
        .map_err(|_| lost(std::io::Error::other("the temporary folder's path is not UTF-8")))?;
    let mut reader = bases.blob(base, layer).await?;
    let mut file = tokio::fs::File::create(&path).await.map_err(lost)?;
    let size = tokio::io::copy(&mut reader, &mut file).await.map_err(lost)?;
    file.sync_data().await.map_err(lost)?;
    let blob = Blob { digest: layer.clone(), size, content: BlobContent::File(path) };
    registry.push_blob(&image.name, &blob).await
}

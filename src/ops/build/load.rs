//! `--load`: the image that was built or found, into the local docker daemon.

use camino::Utf8Path;
use serde_json::Value;
use tempfile::TempDir;

use super::{BuildError, BuildOptions, not_utf8};
use crate::build::DockerDaemon;
use crate::image::{
    BaseImage, Blob, BuiltImage, Digest, ImageName, ImageReference, Manifest, PinnedImage, Platform,
};
use crate::ops::blob::copy_blob;
use crate::ops::{Emit, Event};
use crate::registry::{Registry, RegistryError};

/// Returns the daemon that images are loaded into, if they are.
pub(super) async fn daemon(
    service: &str,
    options: &BuildOptions<'_>,
) -> Result<Option<DockerDaemon>, BuildError> {
    if !options.extent.load || options.extent.dry_run {
        return Ok(None);
    }
    let failed = |source| BuildError::Build { service: service.to_owned(), source };
    DockerDaemon::find(options.environment).await.map(Some).map_err(failed)
}

/// Loads the image that was just built; what of the bases it consists of is fetched from where they
/// are.
pub(super) async fn built(
    daemon: &DockerDaemon,
    image: &PinnedImage,
    built: &BuiltImage,
    bases: &[BaseImage],
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<(), BuildError> {
    let manifest = match children(&built.manifest) {
        None => built.manifest.clone(),
        Some(children) => {
            let digest = of_platform(&children, daemon.platform(), image)?;
            let child = built.children.iter().find(|child| child.digest() == digest);
            child.cloned().ok_or_else(|| missing(image, daemon.platform()))?
        }
    };
    let from: Vec<(&dyn Registry, &ImageName)> =
        bases.iter().map(|base| (options.bases, &base.reference.name)).collect();
    load(daemon, image, &manifest, &built.blobs, &from, emit).await
}

/// Loads the image that the registry has.
pub(super) async fn found(
    daemon: &DockerDaemon,
    image: &PinnedImage,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<(), BuildError> {
    let mut manifest = manifest(options.registry, image, image.digest.clone()).await?;
    if let Some(children) = children(&manifest) {
        let digest = of_platform(&children, daemon.platform(), image)?;
        manifest = self::manifest(options.registry, image, digest).await?;
    }
    load(daemon, image, &manifest, &[], &[(options.registry, &image.name)], emit).await
}

async fn load(
    daemon: &DockerDaemon,
    image: &PinnedImage,
    manifest: &Manifest,
    made: &[Blob],
    from: &[(&dyn Registry, &ImageName)],
    emit: Emit<'_>,
) -> Result<(), BuildError> {
    emit(Event::Line(format!("loading {image} into docker")));
    let scratch = TempDir::new().map_err(BuildError::Scratch)?;
    let folder = Utf8Path::from_path(scratch.path()).ok_or_else(not_utf8)?;
    let document: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    let layers = document["layers"].as_array().into_iter().flatten();
    let mut blobs: Vec<Blob> = Vec::new();
    for descriptor in layers.chain([&document["config"]]) {
        let digest = descriptor["digest"].as_str().and_then(|text| text.parse().ok());
        let digest: Digest = digest.ok_or_else(|| missing(image, daemon.platform()))?;
        if blobs.iter().any(|blob| blob.digest == digest) {
            continue;
        }
        blobs.push(match made.iter().find(|blob| blob.digest == digest) {
            Some(blob) => blob.clone(),
            None => fetch(image, &digest, from, folder).await?,
        });
    }
    let tag = image.tag.as_ref().map_or("latest", |tag| tag.as_str());
    let name = format!("{}:{tag}", image.name);
    let failed = |source| BuildError::Load { image: image.to_string(), source };
    daemon.load(&name, manifest, &blobs, folder).await.map_err(failed)
}

/// Returns the blob, from the first place that has it, its bytes checked.
async fn fetch(
    image: &PinnedImage,
    digest: &Digest,
    from: &[(&dyn Registry, &ImageName)],
    folder: &Utf8Path,
) -> Result<Blob, BuildError> {
    let mut last = RegistryError::Corrupt { expected: digest.clone(), found: Digest::of(b"") };
    for (registry, name) in from {
        match copy_blob(*registry, name, digest, folder.join(digest.hex())).await {
            Ok(blob) => return Ok(blob),
            Err(error) => last = error,
        }
    }
    Err(BuildError::Registry { what: "read", image: image.to_string(), source: last })
}

async fn manifest(
    registry: &dyn Registry,
    image: &PinnedImage,
    digest: Digest,
) -> Result<Manifest, BuildError> {
    let reference =
        ImageReference { name: image.name.clone(), tag: None, digest: Some(digest.clone()) };
    let failed = |source| BuildError::Registry { what: "read", image: image.to_string(), source };
    let found = registry.manifest(&reference).await.map_err(failed)?;
    let gone = || failed(RegistryError::Corrupt { expected: digest, found: Digest::of(b"") });
    found.ok_or_else(gone)
}

/// Returns the descriptors of an index, or `None` of a manifest.
fn children(manifest: &Manifest) -> Option<Vec<Value>> {
    let mut document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    Some(document["manifests"].as_array_mut()?.drain(..).collect())
}

fn of_platform(
    children: &[Value],
    platform: &Platform,
    image: &PinnedImage,
) -> Result<Digest, BuildError> {
    let fits = |child: &&Value| {
        let stated = &child["platform"];
        stated["os"] == platform.os.as_str()
            && stated["architecture"] == platform.architecture.as_str()
    };
    let child = children.iter().find(fits);
    let digest = child.and_then(|child| child["digest"].as_str()?.parse().ok());
    digest.ok_or_else(|| missing(image, platform))
}

fn missing(image: &PinnedImage, platform: &Platform) -> BuildError {
    let reason = format!("it has nothing for {platform}, which is what the daemon runs");
    let source = crate::build::BuildError::Recipe(reason);
    BuildError::Load { image: image.to_string(), source }
}

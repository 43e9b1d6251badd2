//! Reading what an image is built on.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::documents::Documents;
use super::{BuildError, pinned};
use crate::config::Service;
use crate::image::{
    BaseImage, Digest, ImageName, ImageReference, Manifest, Method, PinnedImage, Platform, Recipe,
};
use crate::ops::blob::read_blob;
use crate::registry::{Registry, RegistryError};

/// Where base images are read: what was read once is there.
#[derive(Clone, Copy)]
pub(super) struct Bases<'a> {
    pub(super) registry: &'a dyn Registry,
    pub(super) documents: &'a Documents,
}

/// Returns the images that the recipe builds on, one a platform; none if it builds on nothing.
pub(super) async fn base_images(
    service: &Service,
    recipe: &Recipe,
    digests: &BTreeMap<ImageReference, Digest>,
    bases: Bases<'_>,
) -> Result<Vec<BaseImage>, BuildError> {
    let Method::Native(native) = &recipe.method else { return Ok(Vec::new()) };
    let Some(reference) = &native.base else { return Ok(Vec::new()) };
    // What was asked for is what is built on, though the tag may have moved since.
    let reference =
        digests.get(reference).map_or_else(|| reference.clone(), |d| pinned(reference, d));
    let reference = &reference;
    if recipe.platforms.is_empty() {
        return Ok(vec![base_image(&service.name, reference, None, bases).await?]);
    }
    let mut images = Vec::new();
    for platform in &recipe.platforms {
        images.push(base_image(&service.name, reference, Some(platform), bases).await?);
    }
    Ok(images)
}

async fn base_image(
    service: &str,
    reference: &ImageReference,
    platform: Option<&Platform>,
    bases: Bases<'_>,
) -> Result<BaseImage, BuildError> {
    let base = reference.to_string();
    let service = service.to_owned();
    let manifest = platform_manifest(bases, reference, platform)
        .await
        .map_err(|source| BuildError::Registry { what: "read", image: base.clone(), source })?;
    let Some(manifest) = manifest else { return Err(BuildError::NoBase { service, base }) };
    let wrong = |reason: &str| BuildError::Base {
        service: service.clone(),
        base: base.clone(),
        reason: reason.to_owned(),
    };
    let config = document(&manifest)
        .and_then(|document| document["config"]["digest"].as_str()?.parse().ok())
        .ok_or_else(|| wrong("its manifest has no config"))?;
    let config = bases
        .blob(&reference.name, &config, CONFIG_LIMIT)
        .await
        .map_err(|source| BuildError::Registry { what: "read", image: base.clone(), source })?;
    let digest = reference.digest.clone().unwrap_or_else(|| manifest.digest());
    let (name, tag) = (reference.name.clone(), reference.tag.clone());
    let reference = PinnedImage { name, tag, digest };
    Ok(BaseImage { reference, manifest, config })
}

/// The largest config document that is read, in bytes.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Returns the manifest at `reference`, chosen by platform where it is an index.
async fn platform_manifest(
    bases: Bases<'_>,
    reference: &ImageReference,
    platform: Option<&Platform>,
) -> Result<Option<Manifest>, RegistryError> {
    let Some(manifest) = bases.manifest(reference).await? else { return Ok(None) };
    let Some(children) = document(&manifest).and_then(|d| d["manifests"].as_array().cloned())
    else {
        return Ok(Some(manifest));
    };
    let usual = Platform::default();
    let wanted = platform.unwrap_or(&usual);
    let exact = children.iter().find(|child| platform_of(child).as_ref() == Some(wanted));
    let fits = |child: &&Value| platform_of(child).is_some_and(|stated| wanted.accepts(&stated));
    let child = exact.or_else(|| children.iter().find(fits));
    let Some(digest) = child.and_then(|child| child["digest"].as_str()?.parse().ok()) else {
        return Ok(None);
    };
    let (name, digest) = (reference.name.clone(), Some(digest));
    bases.manifest(&ImageReference { name, tag: None, digest }).await
}

fn document(manifest: &Manifest) -> Option<Value> {
    serde_json::from_slice(&manifest.bytes).ok()
}

fn platform_of(child: &Value) -> Option<Platform> {
    let text = |key: &str| child["platform"][key].as_str().map(str::to_owned);
    Some(Platform {
        os: text("os")?,
        architecture: text("architecture")?,
        variant: text("variant"),
    })
}

impl Bases<'_> {
    /// Returns the manifest, from the registry where it is not known.
    async fn manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<Manifest>, RegistryError> {
        let known = reference.digest.as_ref().and_then(|digest| self.documents.get(digest));
        if let Some((media_type, bytes)) = known {
            return Ok(Some(Manifest { media_type, bytes }));
        }
        let manifest = self.registry.manifest(reference).await?;
        if let Some(Manifest { media_type, bytes }) = &manifest {
            self.documents.put(&Digest::of(bytes), media_type, bytes);
        }
        Ok(manifest)
    }

    /// Returns the blob, from the registry where it is not known.
    async fn blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        limit: u64,
    ) -> Result<Bytes, RegistryError> {
        if let Some((_, bytes)) = self.documents.get(digest) {
            return Ok(bytes);
        }
        let bytes = Bytes::from(read_blob(self.registry, name, digest, limit).await?);
        self.documents.put(digest, "application/octet-stream", &bytes);
        Ok(bytes)
    }
}

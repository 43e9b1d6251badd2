//! Reading what an image is built on.

use serde_json::Value;

use super::BuildError;
use crate::config::Service;
use crate::image::{
    BaseImage, Digest, ImageName, ImageReference, Manifest, Method, PinnedImage, Platform, Recipe,
};
use crate::registry::{Registry, RegistryError};

/// Returns the images that the recipe builds on, one a platform; none if it builds on nothing.
pub(super) async fn base_images(
    service: &Service,
    recipe: &Recipe,
    registry: &dyn Registry,
) -> Result<Vec<BaseImage>, BuildError> {
    let Method::Native(native) = &recipe.method else { return Ok(Vec::new()) };
    let Some(reference) = &native.base else { return Ok(Vec::new()) };
    if recipe.platforms.is_empty() {
        return Ok(vec![base_image(&service.name, reference, None, registry).await?]);
    }
    let mut bases = Vec::new();
    for platform in &recipe.platforms {
        bases.push(base_image(&service.name, reference, Some(platform), registry).await?);
    }
    Ok(bases)
}

async fn base_image(
    service: &str,
    reference: &ImageReference,
    platform: Option<&Platform>,
    registry: &dyn Registry,
) -> Result<BaseImage, BuildError> {
    let base = reference.to_string();
    let service = service.to_owned();
    let manifest = platform_manifest(registry, reference, platform)
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
    let config = read_blob(registry, &reference.name, &config, CONFIG_LIMIT)
        .await
        .map_err(|source| BuildError::Registry { what: "read", image: base.clone(), source })?;
    let digest = reference.digest.clone().unwrap_or_else(|| manifest.digest());
    let (name, tag) = (reference.name.clone(), reference.tag.clone());
    let reference = PinnedImage { name, tag, digest };
    Ok(BaseImage { reference, manifest, config: config.into() })
}

/// The largest config document that is read, in bytes.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Returns the manifest at `reference`, chosen by platform where it is an index.
async fn platform_manifest(
    registry: &dyn Registry,
    reference: &ImageReference,
    platform: Option<&Platform>,
) -> Result<Option<Manifest>, RegistryError> {
    let Some(manifest) = registry.manifest(reference).await? else { return Ok(None) };
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
    registry.manifest(&ImageReference { name, tag: None, digest }).await
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

async fn read_blob(
    registry: &dyn Registry,
    name: &ImageName,
    digest: &Digest,
    limit: u64,
) -> Result<Vec<u8>, RegistryError> {
    use tokio::io::AsyncReadExt as _;
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

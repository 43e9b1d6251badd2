//! Base images where they are: in their registries, or in OCI layout directories that stand for one.

use std::collections::BTreeMap;
use std::fs;

use async_trait::async_trait;
use camino::Utf8Path;
use serde_json::Value;

use crate::config::Service;
use crate::image::{Blob, Digest, ImageName, ImageReference, Manifest, Method, Tag};
use crate::registry::{
    BlobReader, Descriptor, Layout, Registry, RegistryError, RequestCount, Resolver,
};

/// Where a layout's entry has its tag (OCI image-layout specification).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A registry, and beside it the layout directories that services name as the places of their bases.
pub struct BaseRegistry<'a> {
    registry: &'a dyn Registry,
    layouts: BTreeMap<ImageName, Layout>,
}

impl<'a> BaseRegistry<'a> {
    /// Returns the places of the services' bases; layouts are relative to `folder`.
    pub fn new(registry: &'a dyn Registry, folder: &Utf8Path, services: &[&Service]) -> Self {
        let recipes = services.iter().filter_map(|service| service.recipe.as_ref());
        let layouts = recipes.filter_map(|recipe| match &recipe.method {
            Method::Native(native) => {
                let (base, layout) = (native.base.as_ref()?, native.base_layout.as_ref()?);
                Some((base.name.clone(), Layout::new(folder.join(layout))))
            }
            Method::Dockerfile(_) => None,
        });
        Self { registry, layouts: layouts.collect() }
    }

    fn of(&self, name: &ImageName) -> &dyn Registry {
        self.layouts.get(name).map_or(self.registry, |layout| layout)
    }

    /// Returns the reference with the digest that it has in its layout.
    fn chosen(&self, reference: &ImageReference) -> ImageReference {
        let layout = self.layouts.get(&reference.name).filter(|_| reference.digest.is_none());
        let digest = layout.and_then(|layout| find(layout.dir(), reference.tag.as_ref()));
        ImageReference { digest: digest.or_else(|| reference.digest.clone()), ..reference.clone() }
    }
}

/// Returns the digest of a layout's entry with this tag, or of its only one. What repository an entry
/// is of does not matter: the folder names the base, as it does to skopeo.
fn find(dir: &Utf8Path, tag: Option<&Tag>) -> Option<Digest> {
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).ok()?).ok()?;
    let is_wanted =
        |entry: &&Value| tag.is_none_or(|tag| entry["annotations"][REF_NAME] == tag.as_str());
    let entries = index["manifests"].as_array()?.iter().filter(is_wanted);
    let mut digests: Vec<&str> = entries.filter_map(|entry| entry["digest"].as_str()).collect();
    digests.dedup();
    match digests.as_slice() {
        [digest] => digest.parse().ok(),
        _ => None,
    }
}

#[async_trait]
impl Resolver for BaseRegistry<'_> {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        self.of(&reference.name).resolve(&self.chosen(reference)).await
    }

    async fn manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<Manifest>, RegistryError> {
        self.of(&reference.name).manifest(&self.chosen(reference)).await
    }

    async fn has_repository(&self, name: &ImageName) -> Result<bool, RegistryError> {
        self.of(name).has_repository(name).await
    }
}

#[async_trait]
impl Registry for BaseRegistry<'_> {
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        self.of(name).has_blob(name, digest).await
    }

    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        self.of(name).blob(name, digest).await
    }

    async fn tags(&self, name: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        self.of(name).tags(name).await
    }

    async fn push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), RegistryError> {
        self.of(name).push_blob(name, blob).await
    }

    async fn mount_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, RegistryError> {
        self.of(name).mount_blob(name, digest, from).await
    }

    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        self.of(name).push_manifest(name, manifest, tags).await
    }

    async fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        self.of(name).referrers(name, digest, artifact_type).await
    }

    fn requests(&self) -> Vec<RequestCount> {
        self.registry.requests()
    }
}

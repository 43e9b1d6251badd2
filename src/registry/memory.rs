//! A registry in memory that is stricter than real ones, for tests and rehearsals.
//!
//! Repositories share nothing: a blob is there only where it was pushed or mounted. A manifest is
//! refused unless all that it mentions is there in the size that it says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;

use super::descriptor::mentions;
use super::referrers::{Descriptor, Referrer};
use super::verified::{Verified, expect};
use super::{BlobReader, Registry, RegistryError, Resolver};
use crate::image::{Blob, BlobContent, Digest, ImageName, ImageReference, Manifest, Tag};

/// A strict registry in memory.
#[derive(Debug, Default)]
pub struct Memory {
    repositories: Mutex<BTreeMap<ImageName, Repository>>,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, Manifest>,
    tags: BTreeMap<Tag, Digest>,
}

impl Memory {
    /// Returns an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    fn repositories(&self) -> MutexGuard<'_, BTreeMap<ImageName, Repository>> {
        self.repositories.lock().expect("nothing panics while it holds the lock")
    }
}

impl Repository {
    fn find(&self, reference: &ImageReference) -> Option<&Manifest> {
        let reference = reference.clone().looked_up();
        let tagged = || self.tags.get(reference.tag.as_ref()?);
        self.manifests.get(reference.digest.as_ref().or_else(tagged)?)
    }

    fn size_of(&self, digest: &Digest) -> Option<u64> {
        Some(self.blobs.get(digest)?.len() as u64)
    }

    fn size_of_manifest(&self, digest: &Digest) -> Option<u64> {
        Some(self.manifests.get(digest)?.bytes.len() as u64)
    }

    fn put(&mut self, manifest: &Manifest, tags: &[Tag]) -> Result<(), RegistryError> {
        let digest = manifest.digest();
        Referrer::of(manifest)?;
        let mentions = mentions(manifest)?;
        let blobs = mentions.blobs.iter().map(|part| (part, self.size_of(&part.digest)));
        let nested = mentions.manifests.iter();
        let nested = nested.map(|part| (part, self.size_of_manifest(&part.digest)));
        let mut lacking = blobs.chain(nested).filter(|(part, found)| *found != Some(part.size));
        if let Some((part, _)) = lacking.next() {
            let missing = part.digest.clone();
            return Err(RegistryError::Incomplete { manifest: digest, missing });
        }
        drop(lacking);
        self.manifests.insert(digest.clone(), manifest.clone());
        self.tags.extend(tags.iter().map(|tag| (tag.clone(), digest.clone())));
        Ok(())
    }
}

#[async_trait]
impl Resolver for Memory {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        Ok(self.manifest(reference).await?.map(|manifest| manifest.digest()))
    }

    async fn manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<Manifest>, RegistryError> {
        let repositories = self.repositories();
        let repository = repositories.get(&reference.name);
        Ok(repository.and_then(|repository| repository.find(reference)).cloned())
    }

    async fn has_repository(&self, name: &ImageName) -> Result<bool, RegistryError> {
        Ok(self.repositories().contains_key(name))
    }
}

#[async_trait]
impl Registry for Memory {
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        let repositories = self.repositories();
        Ok(repositories.get(name).is_some_and(|repository| repository.blobs.contains_key(digest)))
    }

    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        let repositories = self.repositories();
        let blob = repositories.get(name).and_then(|repository| repository.blobs.get(digest));
        let blob = blob.cloned().ok_or_else(|| RegistryError::NotFound(digest.to_string()))?;
        Ok(Box::pin(Verified::new(std::io::Cursor::new(blob), digest.clone())))
    }

    async fn push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), RegistryError> {
        let bytes = match &blob.content {
            BlobContent::Bytes(bytes) => bytes.clone(),
            BlobContent::File(path) => {
                let read = tokio::fs::read(path).await;
                let file = |source| RegistryError::File { path: path.clone(), source };
                read.map_err(file)?.into()
            }
        };
        expect(&blob.digest, Digest::of(&bytes))?;
        if bytes.len() as u64 != blob.size {
            let reason = format!("it has {} bytes, not {}", bytes.len(), blob.size);
            let document = blob.digest.to_string();
            return Err(RegistryError::Invalid { document, expected: "blob", reason });
        }
        let mut repositories = self.repositories();
        repositories.entry(name.clone()).or_default().blobs.insert(blob.digest.clone(), bytes);
        Ok(())
    }

    async fn mount_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, RegistryError> {
        let mut repositories = self.repositories();
        let source = repositories.get(from).filter(|_| from.domain() == name.domain());
        let Some(bytes) = source.and_then(|repository| repository.blobs.get(digest)).cloned()
        else {
            return Ok(false);
        };
        repositories.entry(name.clone()).or_default().blobs.insert(digest.clone(), bytes);
        Ok(true)
    }

    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        self.repositories().entry(name.clone()).or_default().put(manifest, tags)
    }

    async fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let repositories = self.repositories();
        let manifests = repositories.get(name).map(|repository| repository.manifests.values());
        let mut found = Vec::new();
        for manifest in manifests.into_iter().flatten() {
            let referrer = Referrer::of(manifest)?.filter(|referrer| referrer.subject == *digest);
            found.extend(referrer.map(|referrer| referrer.descriptor));
        }
        found.retain(|descriptor| descriptor.is_of(artifact_type));
        Ok(found)
    }

    async fn tags(&self, name: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        let repositories = self.repositories();
        let tags = repositories.get(name).map(|repository| repository.tags.keys().cloned());
        Ok(tags.into_iter().flatten().collect())
    }
}

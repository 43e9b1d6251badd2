//! Storing what was built, with the fewest requests: blobs, configs, manifests, the index, tags last.
//!
//! A layer of the base is mounted, without a question before it, and its bytes move only where that
//! can't be. What the repository got from here before is taken to be there still; whether it is shows
//! when the registry takes the manifest or misses something of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::Utf8PathBuf;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tempfile::TempDir;

use super::ask::all;
use super::documents::Documents;
use super::report::{StoredLayer, Transfer};
use super::{BuildError, BuildOptions};
use crate::image::{
    BaseImage, Blob, BuiltImage, Digest, ImageName, ImageReference, Manifest, PinnedImage, Tag,
};
use crate::ops::blob::copy_blob;
use crate::ops::{Emit, Event};
use crate::registry::{Registry, RegistryError};

/// How many blobs are on their way at once.
const AT_ONCE: usize = 4;

/// How often it is told how far a blob is.
const TICK: Duration = Duration::from_millis(100);

/// What is to be stored, and where.
pub(super) struct Push<'a> {
    pub(super) registry: &'a dyn Registry,
    pub(super) bases: &'a dyn Registry,
    pub(super) documents: &'a Documents,
    pub(super) image: &'a PinnedImage,
    pub(super) tags: &'a [Tag],
    pub(super) built: &'a BuiltImage,
    pub(super) built_on: &'a [BaseImage],
    pub(super) emit: Emit<'a>,
}

impl Push<'_> {
    /// Stores the image and returns what became of its layers, in order.
    pub(super) async fn run(&self) -> Result<Vec<StoredLayer>, BuildError> {
        let image = || self.image.to_string();
        let failed = |source| BuildError::Registry { what: "push", image: image(), source };
        self.try_run().await.map_err(failed)
    }

    async fn try_run(&self) -> Result<Vec<StoredLayer>, RegistryError> {
        let known: BTreeSet<Digest> =
            self.documents.blobs_in(&self.image.name).into_iter().collect();
        let own = self.built.blobs.iter().map(|blob| &blob.digest);
        let all: Vec<&Digest> = self.built.inherited.iter().chain(own).collect();
        let (there, missing): (Vec<_>, Vec<_>) =
            all.iter().copied().partition(|digest| known.contains(*digest));
        let mut transfers = self.store_all(&missing).await?;
        transfers.extend(there.iter().map(|digest| ((*digest).clone(), Transfer::Present)));
        match self.manifests().await {
            // One of those that were taken to be there may not be. Registries say so in many ways.
            Err(
                RegistryError::Incomplete { .. }
                | RegistryError::Answer { .. }
                | RegistryError::NotFound(_),
            ) if !there.is_empty() => {
                let gone = self.gone(&there).await?;
                transfers.extend(self.store_all(&gone).await?);
                self.manifests().await?;
            }
            pushed => pushed?,
        }
        let all: Vec<Digest> = all.into_iter().cloned().collect();
        self.documents.saw_blobs(&self.image.name, &all);
        Ok(self.layers(&transfers))
    }

    /// Pushes the manifests, the one that is tagged last.
    async fn manifests(&self) -> Result<(), RegistryError> {
        for child in &self.built.children {
            self.registry.push_manifest(&self.image.name, child, &[]).await?;
        }
        self.registry.push_manifest(&self.image.name, &self.built.manifest, self.tags).await
    }

    /// Returns those of the blobs that the repository does not have.
    async fn gone<'b>(&self, digests: &[&'b Digest]) -> Result<Vec<&'b Digest>, RegistryError> {
        let mut questions = Vec::new();
        for digest in digests {
            questions.push(self.registry.has_blob(&self.image.name, digest));
        }
        let mut gone = Vec::new();
        for (digest, answer) in digests.iter().zip(all(questions, AT_ONCE).await) {
            if !answer? {
                gone.push(*digest);
            }
        }
        Ok(gone)
    }

    async fn store_all(
        &self,
        digests: &[&Digest],
    ) -> Result<BTreeMap<Digest, Transfer>, RegistryError> {
        let mut stores = Vec::new();
        for digest in digests {
            stores.push(Box::pin(self.store(digest)) as BoxFuture<'_, _>);
        }
        let stored = all(stores, AT_ONCE).await;
        let named = digests.iter().zip(stored);
        named.map(|(digest, stored)| Ok(((*digest).clone(), stored?))).collect()
    }

    async fn store(&self, digest: &Digest) -> Result<Transfer, RegistryError> {
        match self.built.blobs.iter().find(|blob| blob.digest == *digest) {
            Some(blob) => self.send(blob).await.map(|()| Transfer::Pushed),
            None => self.inherit(digest).await,
        }
    }

    /// Pushes the blob and tells how far it is.
    async fn send(&self, blob: &Blob) -> Result<(), RegistryError> {
        let mut tick = tokio::time::interval(TICK);
        let mut pushing = self.registry.push_blob(&self.image.name, blob);
        let pushed = loop {
            tokio::select! {
                biased;
                pushed = &mut pushing => break pushed,
                _ = tick.tick() => {
                    let sent = self.registry.sent(&blob.digest);
                    let (blob, size) = (blob.digest.clone(), blob.size);
                    (self.emit)(Event::Sending { blob, sent, size });
                }
            }
        };
        (self.emit)(Event::Sent { blob: blob.digest.clone() });
        pushed
    }

    /// Makes the image's repository have a layer of the base: by mount where one registry has both,
    /// else by copying it through a temporary file.
    async fn inherit(&self, layer: &Digest) -> Result<Transfer, RegistryError> {
        let name = &self.image.name;
        let Some(base) = self.built_on.first().map(|base| &base.reference.name) else {
            return Err(RegistryError::NotFound(layer.to_string()));
        };
        if base == name {
            return Ok(Transfer::Present);
        }
        let may_mount = name.domain() == base.domain();
        if may_mount && self.registry.mount_blob(name, layer, base).await? {
            return Ok(Transfer::Mounted);
        }
        if self.registry.has_blob(name, layer).await? {
            return Ok(Transfer::Present);
        }
        self.copy(layer, base).await
    }

    async fn copy(&self, layer: &Digest, base: &ImageName) -> Result<Transfer, RegistryError> {
        let scratch =
            |source| RegistryError::File { path: Utf8PathBuf::from("a temporary folder"), source };
        let folder = TempDir::new().map_err(scratch)?;
        let path = Utf8PathBuf::from_path_buf(folder.path().join("layer"))
            .map_err(|_| scratch(std::io::Error::other("its path is not UTF-8")))?;
        let blob = copy_blob(self.bases, base, layer, path).await?;
        self.registry.push_blob(&self.image.name, &blob).await?;
        Ok(Transfer::Copied)
    }

    /// Returns the layers as the manifests list them, each once.
    fn layers(&self, transfers: &BTreeMap<Digest, Transfer>) -> Vec<StoredLayer> {
        let mut layers: Vec<StoredLayer> = Vec::new();
        for manifest in self.built.children.iter().chain([&self.built.manifest]) {
            for (digest, size) in layers_of(manifest) {
                let is_listed = layers.iter().any(|layer| layer.digest == digest);
                if let Some(&transfer) = transfers.get(&digest).filter(|_| !is_listed) {
                    layers.push(StoredLayer { digest, size, transfer });
                }
            }
        }
        layers
    }
}

fn layers_of(manifest: &Manifest) -> Vec<(Digest, u64)> {
    let document: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    let layers = document["layers"].as_array().into_iter().flatten();
    let layer =
        |layer: &Value| Some((layer["digest"].as_str()?.parse().ok()?, layer["size"].as_u64()?));
    layers.filter_map(layer).collect()
}

/// Gives the image another tag, and returns it with that.
pub(super) async fn retag(
    options: &BuildOptions<'_>,
    image: &PinnedImage,
    tag: &Tag,
) -> Result<PinnedImage, BuildError> {
    let tagged = PinnedImage { tag: Some(tag.clone()), ..image.clone() };
    let failed = |source| BuildError::Registry { what: "tag", image: tagged.to_string(), source };
    let reference =
        ImageReference { name: image.name.clone(), tag: None, digest: Some(image.digest.clone()) };
    let manifest = options.registry.manifest(&reference).await.map_err(failed)?;
    let gone = || failed(RegistryError::NotFound(reference.to_string()));
    let manifest = manifest.ok_or_else(gone)?;
    let tags = std::slice::from_ref(tag);
    options.registry.push_manifest(&image.name, &manifest, tags).await.map_err(failed)?;
    Ok(tagged)
}

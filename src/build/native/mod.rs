//! The native builder: files of the context laid onto nothing or a base image, without an engine.
//!
//! The image depends on the recipe, the files' paths, contents and executable bits, the base and the
//! epoch, and on nothing else of this machine: not on modification times, umask, owner, the order
//! of folders or where the context lies. The base's layers are only referred to, never read.

mod archive;
mod config;
mod layer;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde_json::Value;

use super::context::Context;
use super::format::{Format, descriptor};
use super::layer_blob::{LayerBlob, LayerWriter};
use super::{BuildError, BuildRequest, Builder};
use crate::image::{
    self, BaseImage, Blob, BlobContent, BuiltImage, Digest, Method, Platform, Recipe,
};
use config::ConfigDocument;
use layer::Plan;

/// What the native builder makes of the same recipe, files and base: it changes whenever an image
/// would get other bytes, with compressor, level or block size for example. An input digest has it
/// in it, so that no older image passes for the one that would be built now.
pub const NATIVE_FORMAT: &str = "2";

/// Builds images by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Native {
    threads: Option<NonZero<usize>>,
}

impl Native {
    /// Returns a builder that compresses with so many threads, instead of one a core; that changes
    /// nothing about the image.
    pub fn with_threads(threads: NonZero<usize>) -> Self {
        Self { threads: Some(threads) }
    }
}

#[async_trait]
impl Builder for Native {
    async fn build(&self, request: &BuildRequest<'_>) -> Result<BuiltImage, BuildError> {
        let Method::Native(recipe) = &request.recipe.method else {
            return Err(BuildError::Recipe("a Dockerfile needs an engine".to_owned()));
        };
        let work = Work {
            context: request.context.to_owned(),
            recipe: recipe.as_ref().clone(),
            platform: one_platform(request.recipe)?,
            base: request.bases.first().cloned(),
            epoch: request.epoch,
            scratch: request.scratch.to_owned(),
            threads: self.threads,
        };
        // When this future is dropped, the thread that works for it stops at the next file block.
        let cancelled = Cancelled::default();
        let _cancel = CancelOnDrop(cancelled.clone());
        let built = tokio::task::spawn_blocking(move || work.run(&cancelled)).await;
        built.map_err(|error| BuildError::Recipe(format!("the build stopped: {error}")))?
    }
}

/// Returns what the layers copy out of the context, each entry once: only this decides the image.
pub(super) fn sources(
    context: &Context,
    native: &image::Native,
) -> Result<Vec<super::context::Entry>, BuildError> {
    let mut sources = BTreeMap::new();
    for layer in &native.layers {
        let entries = context.entries(&layer.from)?;
        sources.extend(entries.into_iter().map(|entry| (entry.path.clone(), entry)));
    }
    Ok(sources.into_values().collect())
}

/// A build that shares nothing with the request, so that it can move to a thread of its own.
struct Work {
    context: Utf8PathBuf,
    recipe: image::Native,
    platform: Option<Platform>,
    base: Option<BaseImage>,
    epoch: i64,
    scratch: Utf8PathBuf,
    threads: Option<NonZero<usize>>,
}

/// What the new image takes over from its base.
struct Base {
    format: Format,
    config: ConfigDocument,
    layers: Vec<Value>,
    inherited: Vec<Digest>,
}

impl Work {
    fn run(&self, cancelled: &Cancelled) -> Result<BuiltImage, BuildError> {
        let created = Timestamp::from_second(self.epoch)
            .map_err(|error| BuildError::Recipe(format!("time {}: {error}", self.epoch)))?;
        let base = self.base()?;
        let layer_type = base.format.compressed(self.recipe.compression).ok_or_else(|| {
            let reason = "a layer with zstd needs a base in OCI's format; this is in Docker's";
            let base = self.base.as_ref().map(|base| base.reference.to_string());
            BuildError::Base { image: base.unwrap_or_default(), reason: reason.to_owned() }
        })?;
        let layers = self.layers(cancelled)?;
        let sources = self.recipe.layers.iter();
        let history = sources.map(|layer| format!("deployctl: {} to {}", layer.from, layer.to));
        let diff_ids = layers.iter().map(|layer| layer.diff_id.clone());
        let mut config = base.config;
        config.add_layers(&history.zip(diff_ids).collect::<Vec<_>>(), created);
        config.configure(&self.recipe.config)?;
        let config = in_memory(config.into_bytes());
        let own = layers.iter().map(|layer| descriptor(layer_type, &layer.blob));
        let descriptors: Vec<Value> = base.layers.into_iter().chain(own).collect();
        let manifest = base.format.manifest(&config, &descriptors);
        let mut blobs: Vec<Blob> = layers.into_iter().map(|layer| layer.blob).collect();
        blobs.push(config);
        Ok(BuiltImage { manifest, children: Vec::new(), blobs, inherited: base.inherited })
    }

    /// Returns the layers as blobs, one for each entry of the recipe.
    fn layers(&self, cancelled: &Cancelled) -> Result<Vec<LayerBlob>, BuildError> {
        let context = Context::open(&self.context, None)?;
        let mut present = BTreeSet::new();
        let mut layers = Vec::new();
        for layer in &self.recipe.layers {
            let mut plan = Plan::of(&context, layer)?;
            if self.base.is_none() {
                plan.add_parents(&mut present);
            }
            let out = LayerWriter::with(&self.scratch, self.recipe.compression, self.threads)
                .map_err(|error| BuildError::file(&self.scratch, error))?;
            layers.push(plan.write(self.epoch, &self.scratch, out, cancelled)?);
        }
        Ok(layers)
    }

    fn base(&self) -> Result<Base, BuildError> {
        let wanted = self.platform.as_ref();
        match &self.base {
            Some(base) => Base::of(base, wanted)
                .map_err(|reason| BuildError::Base { image: base.reference.to_string(), reason }),
            None if self.recipe.base.is_some() => {
                Err(BuildError::Recipe("the base image was not handed over".to_owned()))
            }
            None if self.recipe.layers.is_empty() => {
                Err(BuildError::Recipe("neither a base image nor a layer".to_owned()))
            }
            None => Ok(Base::empty(&wanted.cloned().unwrap_or_default())),
        }
    }
}

impl Base {
    fn empty(platform: &Platform) -> Self {
        let config = ConfigDocument::empty(platform);
        Self { format: Format::Oci, config, layers: Vec::new(), inherited: Vec::new() }
    }

    fn of(base: &BaseImage, wanted: Option<&Platform>) -> Result<Self, String> {
        let media_type = &base.manifest.media_type;
        let format = Format::of(media_type)
            .ok_or_else(|| format!("`{media_type}` is not the manifest of one image"))?;
        let manifest: Value = serde_json::from_slice(&base.manifest.bytes)
            .map_err(|error| format!("its manifest: {error}"))?;
        let mut layers =
            manifest["layers"].as_array().cloned().ok_or("its manifest has no layers")?;
        let mut inherited = Vec::new();
        for layer in &mut layers {
            let media_type = layer["mediaType"].as_str().unwrap_or_default();
            let own = format.layer_type(media_type).ok_or_else(|| {
                format!("its manifest does not allow layers of type `{media_type}`")
            })?;
            let digest = layer["digest"].as_str().unwrap_or_default();
            inherited.push(digest.parse().map_err(|error| format!("its manifest: {error}"))?);
            layer["mediaType"] = own.into();
        }
        let config = ConfigDocument::of_base(&base.config, layers.len())?;
        let stated = config.platform().ok_or("its config states no platform")?;
        if let Some(wanted) = wanted.filter(|wanted| !wanted.accepts(&stated)) {
            return Err(format!("it is for `{stated}`, not `{wanted}`"));
        }
        Ok(Self { format, config, layers, inherited })
    }
}

fn one_platform(recipe: &Recipe) -> Result<Option<Platform>, BuildError> {
    match recipe.platforms.as_slice() {
        [] => Ok(None),
        [platform] => Ok(Some(platform.clone())),
        _ => Err(BuildError::Recipe("several platforms at once are not built yet".to_owned())),
    }
}

fn in_memory(bytes: Vec<u8>) -> Blob {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    Blob { digest, size, content: BlobContent::Bytes(bytes.into()) }
}

/// Tells a thread that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    fn check(&self) -> std::io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(std::io::Error::other("the build was cancelled")),
            false => Ok(()),
        }
    }
}

struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

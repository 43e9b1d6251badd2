//! The native builder: files of the context laid onto nothing or a base image, without an engine.
//!
//! The image depends on the recipe, the files' paths, contents, executable bits, capabilities and hard
//! links, the base and the epoch, and on nothing else of this machine: not on modification times,
//! umask, owner, the order of folders, the number of cores or where the context lies. The base's
//! layers are only referred to, never read.
//!
//! One platform makes a manifest, several make an index of one each; a layer that is the same for
//! several platforms is made once.

mod archive;
mod base;
mod capabilities;
mod config;
mod layer;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;

use super::context::Context;
use super::format::{Format, descriptor};
use super::layer_blob::{LayerBlob, LayerWriter};
use super::{BuildError, BuildRequest, Builder};
use crate::image::{
    self, BaseImage, Blob, BlobContent, BuiltImage, Digest, Layer, Manifest, Method, Platform,
};
use base::Base;
use layer::Plan;
pub(super) use sources::{files, sources};

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
        // When this future is dropped, the thread that works for it stops at the next file block.
        let cancelled = Cancelled::default();
        let work = Work {
            recipe: recipe.as_ref().clone(),
            platforms: request.recipe.platforms.clone(),
            bases: request.bases.to_vec(),
            context: request.context.to_owned(),
            epoch: request.epoch,
            scratch: request.scratch.to_owned(),
            threads: self.threads,
            cancelled: cancelled.clone(),
        };
        let _cancel = CancelOnDrop(cancelled);
        let built = tokio::task::spawn_blocking(move || work.run()).await;
        built.map_err(|error| BuildError::Recipe(format!("the build stopped: {error}")))?
    }
}

/// A build that shares nothing with the request, so that it can move to a thread of its own.
struct Work {
    recipe: image::Native,
    platforms: Vec<Platform>,
    bases: Vec<BaseImage>,
    context: Utf8PathBuf,
    epoch: i64,
    scratch: Utf8PathBuf,
    threads: Option<NonZero<usize>>,
    cancelled: Cancelled,
}

/// The image for one platform.
struct Child {
    format: Format,
    manifest: Manifest,
    platform: Value,
    layers: Vec<Blob>,
    config: Blob,
    inherited: Vec<Digest>,
    annotations: BTreeMap<String, String>,
}

impl Work {
    fn run(&self) -> Result<BuiltImage, BuildError> {
        let created = Timestamp::from_second(self.epoch)
            .map_err(|error| BuildError::Recipe(format!("time {}: {error}", self.epoch)))?;
        if self.recipe.base.is_none() && self.recipe.layers.is_empty() {
            return Err(BuildError::Recipe("neither a base image nor a layer".to_owned()));
        }
        let bases = self.bases()?;
        let mut layers = Layers::of(self)?;
        let mut children = Vec::new();
        for base in bases {
            children.push(self.child(base, created, &mut layers)?);
        }
        let mut image = blobs(&children);
        if let [child] = children.as_slice() {
            image.manifest = child.manifest.clone();
            return Ok(image);
        }
        image.manifest = self.index(&children)?;
        image.children = children.into_iter().map(|child| child.manifest).collect();
        Ok(image)
    }

    /// Returns what each platform's image begins with.
    fn bases(&self) -> Result<Vec<Base>, BuildError> {
        let wanted: Vec<Option<&Platform>> = match self.platforms.as_slice() {
            [] => vec![None],
            platforms => platforms.iter().map(Some).collect(),
        };
        if self.recipe.base.is_none() && self.bases.is_empty() {
            let empty =
                |wanted: &Option<&Platform>| Base::empty(&wanted.cloned().unwrap_or_default());
            return Ok(wanted.iter().map(empty).collect());
        }
        if self.bases.len() != wanted.len() {
            return Err(BuildError::Recipe("the base image was not handed over".to_owned()));
        }
        let is_local = self.recipe.base_layout.is_some();
        let of = |(base, wanted): (&BaseImage, Option<&Platform>)| {
            let name = || base.reference.to_string();
            Base::of(base, wanted, is_local)
                .and_then(|own| self.check_format(&own).map(|()| own))
                .map_err(|reason| BuildError::Base { image: name(), reason })
        };
        self.bases.iter().zip(wanted).map(of).collect()
    }

    /// Checks that the base's format has what the recipe asks for.
    fn check_format(&self, base: &Base) -> Result<(), String> {
        let needs = |what: &str| {
            Err(format!("{what} need a base in OCI's format, and this one is in Docker's"))
        };
        if base.format.compressed(self.recipe.compression).is_none() {
            return needs("layers with zstd");
        }
        match base.format {
            Format::Docker if !self.recipe.annotations.is_empty() => needs("annotations"),
            _ => Ok(()),
        }
    }

    fn child(
        &self,
        base: Base,
        created: Timestamp,
        layers: &mut Layers<'_>,
    ) -> Result<Child, BuildError> {
        let layers = layers.of_platform(&base.platform)?;
        let mut config = base.config;
        let made = self.recipe.layers.iter().map(made_by);
        let diff_ids = layers.iter().map(|layer| layer.diff_id.clone());
        config.add_layers(&made.zip(diff_ids).collect::<Vec<_>>(), created);
        config.configure(&self.recipe.config)?;
        let platform = config.platform_object();
        let config = in_memory(config.into_bytes());
        let layer_type = base.format.compressed(self.recipe.compression).unwrap_or_default();
        let own = layers.iter().map(|layer| descriptor(layer_type, &layer.blob));
        let descriptors: Vec<Value> = base.layers.into_iter().chain(own).collect();
        let mut annotations = base.annotations;
        annotations.extend(self.recipe.annotations.clone());
        Ok(Child {
            format: base.format,
            manifest: base.format.annotated_manifest(&config, &descriptors, &annotations),
            platform,
            layers: layers.into_iter().map(|layer| layer.blob).collect(),
            config,
            inherited: base.inherited,
            annotations,
        })
    }

    fn index(&self, children: &[Child]) -> Result<Manifest, BuildError> {
        let first = &children[0];
        if children.iter().any(|child| child.format != first.format) {
            let image = self.recipe.base.as_ref().map(ToString::to_string).unwrap_or_default();
            let reason = "some of its platforms are in OCI's format and others in Docker's";
            return Err(BuildError::Base { image, reason: reason.to_owned() });
        }
        let listed = children.iter().map(|child| (&child.manifest, &child.platform));
        Ok(first.format.index(listed, &first.annotations))
    }
}

/// The layers of the recipe; what is the same for several platforms is made once.
struct Layers<'a> {
    work: &'a Work,
    context: Context,
    made: Vec<(Plan, LayerBlob)>,
}

impl<'a> Layers<'a> {
    fn of(work: &'a Work) -> Result<Self, BuildError> {
        Ok(Self { work, context: Context::open(&work.context, None)?, made: Vec::new() })
    }

    /// Returns the layers for a platform, one for each entry of the recipe.
    fn of_platform(&mut self, platform: &Platform) -> Result<Vec<LayerBlob>, BuildError> {
        let mut present = BTreeSet::new();
        let mut layers = Vec::new();
        for layer in &self.work.recipe.layers {
            let mut plan = Plan::of(&self.context, layer, platform)?;
            if self.work.bases.is_empty() {
                plan.add_parents(&mut present);
            }
            layers.push(self.layer(plan)?);
        }
        Ok(layers)
    }

    fn layer(&mut self, plan: Plan) -> Result<LayerBlob, BuildError> {
        if let Some((_, made)) = self.made.iter().find(|(known, _)| *known == plan) {
            return Ok(made.clone());
        }
        let Work { recipe, scratch, epoch, threads, cancelled, .. } = self.work;
        let out = LayerWriter::with(scratch, recipe.compression, *threads)
            .map_err(|error| BuildError::file(scratch, error))?;
        let made = plan.write(*epoch, scratch, out, cancelled)?;
        self.made.push((plan, made.clone()));
        Ok(made)
    }
}

/// Returns what the history says about a layer.
fn made_by(layer: &Layer) -> String {
    let stated = layer.folders.iter().chain(layer.links.keys());
    match layer.from.as_slice() {
        [] => {
            let stated: Vec<&str> = stated.map(|path| Utf8Path::as_str(path)).collect();
            format!("deployctl: {}", stated.join(" "))
        }
        from => format!("deployctl: {} to {}", from.join(" "), layer.to),
    }
}

/// Returns an image with the children's blobs, each once, and without a manifest.
fn blobs(children: &[Child]) -> BuiltImage {
    let layers = children.iter().flat_map(|child| &child.layers);
    let configs = children.iter().map(|child| &child.config);
    let mut seen = BTreeSet::new();
    let mut once = |digest: &Digest| seen.insert(digest.clone());
    let blobs = layers.chain(configs).filter(|blob| once(&blob.digest)).cloned().collect();
    let mut seen = BTreeSet::new();
    let inherited = children.iter().flat_map(|child| &child.inherited);
    let inherited = inherited.filter(|digest| seen.insert((*digest).clone())).cloned().collect();
    let manifest = Manifest { media_type: String::new(), bytes: Vec::new().into() };
    BuiltImage { manifest, children: Vec::new(), blobs, inherited }
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

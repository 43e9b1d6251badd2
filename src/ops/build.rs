//! `deployctl build`: a service's files to an image that a registry has, pinned by digest.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tempfile::TempDir;

use super::{Emit, Event};
use crate::build::{self, BuildRequest, Builder, Native};
use crate::config::Service;
use crate::image::{
    BaseImage, Blob, BlobContent, BuiltImage, Digest, ImageName, ImageReference, Manifest, Method,
    PinnedImage, Recipe, SourceFacts, Tag, TagPolicy, TagPolicyError,
};
use crate::registry::{Registry, RegistryError};
use crate::system::Environment;

/// What to build, and where it goes.
pub struct BuildOptions<'a> {
    /// The services to build, and what is known about each one's source.
    pub services: Vec<(&'a Service, SourceFacts)>,
    /// The folder that contexts are relative to.
    pub folder: &'a Utf8Path,
    /// The tag to use instead of what the service's policy says.
    pub tag: Option<Tag>,
    /// Seconds since 1970 that time stamps in the image are set to.
    pub epoch: i64,
    /// Where images go.
    pub destination: Destination<'a>,
    /// Where base images come from.
    pub bases: &'a dyn Registry,
    /// Environment variables, for the engine that builds Dockerfiles.
    pub environment: &'a Environment,
}

/// Where a built image goes.
#[derive(Clone, Copy)]
pub enum Destination<'a> {
    /// To a registry: the one in the image's name, or an OCI layout directory that stands for it.
    Push(&'a dyn Registry),
    /// Nowhere: the image is built and its digest is told.
    Nowhere,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildReport {
    /// One a service, in order.
    pub images: Vec<Built>,
}

/// A service's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The service.
    pub service: String,
    /// Its image.
    pub image: PinnedImage,
    /// Bytes of the blobs that the build made.
    pub size: u64,
    /// Whether it was pushed.
    pub pushed: bool,
}

/// Why a service has no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The service has no `build` section.
    #[error("`{service}` has no `build` section, so there is nothing to build it from")]
    NoRecipe {
        /// The service.
        service: String,
    },
    /// The build failed.
    #[error("can't build `{service}`")]
    Build {
        /// The service.
        service: String,
        /// The cause.
        #[source]
        source: build::BuildError,
    },
    /// The base image is not there.
    #[error("can't build `{service}`: there is no base image `{base}`")]
    NoBase {
        /// The service.
        service: String,
        /// The base image.
        base: String,
    },
    /// The base image is not what it should be.
    #[error("can't build `{service}` on `{base}`: {reason}")]
    Base {
        /// The service.
        service: String,
        /// The base image.
        base: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A registry did not do what it was asked.
    #[error("can't {what} `{image}`")]
    Registry {
        /// `push` or `read`.
        what: &'static str,
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: RegistryError,
    },
    /// The image can't be tagged.
    #[error("can't tag the image of `{service}`")]
    Tag {
        /// The service.
        service: String,
        /// The cause.
        #[source]
        source: TagPolicyError,
    },
    /// There is no room for blobs.
    #[error("can't make a temporary folder: {0}")]
    Scratch(std::io::Error),
}

/// Builds the services one after the other and pushes each as soon as it is built.
///
/// # Errors
///
/// Fails at the first service whose image can't be built or pushed; those before it stay pushed.
pub async fn build(options: &BuildOptions<'_>, emit: Emit<'_>) -> Result<BuildReport, BuildError> {
    let mut images = Vec::new();
    for (service, source) in &options.services {
        if let Some(warning) = tag_warning(service, source, options) {
            emit(Event::Warning(warning));
        }
        images.push(build_service(service, source, options, emit).await?);
    }
    Ok(BuildReport { images })
}

/// Returns why the image is tagged by its content though it should be by its commit.
fn tag_warning(
    service: &Service,
    source: &SourceFacts,
    options: &BuildOptions<'_>,
) -> Option<String> {
    let by_commit = options.tag.is_none() && service.tag == TagPolicy::Commit;
    let reason = source.clean_commit().err().filter(|_| by_commit)?;
    let name = &service.name;
    Some(format!("{name} is tagged by its content, not by its source's commit: {reason}"))
}

async fn build_service(
    service: &Service,
    source: &SourceFacts,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Built, BuildError> {
    let no_recipe = || BuildError::NoRecipe { service: service.name.clone() };
    let recipe = service.recipe.as_ref().ok_or_else(no_recipe)?;
    emit(Event::Building { service: service.name.clone() });
    let base = base_image(service, recipe, options.bases).await?;
    let scratch = TempDir::new().map_err(BuildError::Scratch)?;
    let scratch_path = Utf8Path::from_path(scratch.path()).ok_or_else(not_utf8)?;
    let failed = |source| BuildError::Build { service: service.name.clone(), source };
    let builder = builder(recipe, options.environment).await.map_err(failed)?;
    let request = BuildRequest {
        context: &options.folder.join(&recipe.context),
        recipe,
        base: base.as_ref(),
        epoch: options.epoch,
        scratch: scratch_path,
        log: &|line| emit(Event::Line(line.to_owned())),
    };
    let built = builder.build(&request).await.map_err(failed)?;
    let image = pin(service, source, &built.manifest, options)?;
    let pushed = match options.destination {
        Destination::Push(registry) => {
            emit(Event::Storing { image: image.to_string() });
            push(registry, options.bases, &image, &built, base.as_ref()).await?;
            true
        }
        Destination::Nowhere => false,
    };
    let size = built.blobs.iter().map(|blob| blob.size).sum();
    Ok(Built { service: service.name.clone(), image, size, pushed })
}

fn not_utf8() -> BuildError {
    BuildError::Scratch(std::io::Error::other("the temporary folder's path is not UTF-8"))
}

async fn builder(
    recipe: &Recipe,
    environment: &Environment,
) -> Result<Box<dyn Builder>, build::BuildError> {
    match &recipe.method {
        Method::Native(_) => Ok(Box::new(Native)),
        Method::Dockerfile(dockerfile) => build::engine(environment, dockerfile.engine).await,
    }
}

fn pin(
    service: &Service,
    source: &SourceFacts,
    manifest: &Manifest,
    options: &BuildOptions<'_>,
) -> Result<PinnedImage, BuildError> {
    let digest = manifest.digest();
    let tag = match &options.tag {
        Some(tag) => tag.clone(),
        None => service.tag.tag(source, &digest).map_err(|source| {
            let service = service.name.clone();
            BuildError::Tag { service, source }
        })?,
    };
    Ok(PinnedImage { name: service.image.clone(), tag: Some(tag), digest })
}

/// Returns the image that the recipe builds on, or `None` if it builds on nothing.
async fn base_image(
    service: &Service,
    recipe: &Recipe,
    registry: &dyn Registry,
) -> Result<Option<BaseImage>, BuildError> {
    let Method::Native(native) = &recipe.method else { return Ok(None) };
    let Some(reference) = &native.base else { return Ok(None) };
    let base = reference.to_string();
    let service = service.name.clone();
    let manifest = platform_manifest(registry, reference, native.platform.as_deref())
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
    Ok(Some(BaseImage {
        reference: PinnedImage { name, tag, digest },
        manifest,
        config: config.into(),
    }))
}

/// The largest config document that is read, in bytes.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Returns the manifest at `reference`, chosen by platform where it is an index.
async fn platform_manifest(
    registry: &dyn Registry,
    reference: &ImageReference,
    platform: Option<&str>,
) -> Result<Option<Manifest>, RegistryError> {
    let Some(manifest) = registry.manifest(reference).await? else { return Ok(None) };
    let Some(children) = document(&manifest).and_then(|d| d["manifests"].as_array().cloned())
    else {
        return Ok(Some(manifest));
    };
    let wanted = platform.unwrap_or("linux/amd64");
    let child = children.iter().find(|child| platform_of(child) == wanted);
    let Some(digest) = child.and_then(|child| child["digest"].as_str()?.parse().ok()) else {
        return Ok(None);
    };
    let (name, digest) = (reference.name.clone(), Some(digest));
    registry.manifest(&ImageReference { name, tag: None, digest }).await
}

fn document(manifest: &Manifest) -> Option<Value> {
    serde_json::from_slice(&manifest.bytes).ok()
}

fn platform_of(child: &Value) -> String {
    let platform = &child["platform"];
    let parts = [&platform["os"], &platform["architecture"], &platform["variant"]];
    parts.into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join("/")
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

/// Pushes layers and config, then the manifest, the tag last.
async fn push(
    registry: &dyn Registry,
    bases: &dyn Registry,
    image: &PinnedImage,
    built: &BuiltImage,
    base: Option<&BaseImage>,
) -> Result<(), BuildError> {
    let pushed = async {
        if let Some(base) = base {
            for layer in &built.inherited {
                inherit(registry, bases, image, layer, &base.reference.name).await?;
            }
        }
        for blob in &built.blobs {
            registry.push_blob(&image.name, blob).await?;
        }
        registry.push_manifest(&image.name, &built.manifest, image.tag.as_ref()).await
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

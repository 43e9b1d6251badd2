//! `deployctl build`: a service's files to an image that a registry has, pinned by digest.

mod base;
mod push;

use camino::Utf8Path;
use tempfile::TempDir;

use super::{Emit, Event};
use crate::build::{self, BuildRequest, Builder, Native};
use crate::config::Service;
use crate::image::{
    Manifest, Method, PinnedImage, Recipe, SourceFacts, Tag, TagPolicy, TagPolicyError,
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
    let bases = base::base_images(service, recipe, options.bases).await?;
    let scratch = TempDir::new().map_err(BuildError::Scratch)?;
    let scratch_path = Utf8Path::from_path(scratch.path()).ok_or_else(not_utf8)?;
    let failed = |source| BuildError::Build { service: service.name.clone(), source };
    let builder = builder(recipe, options.environment).await.map_err(failed)?;
    let request = BuildRequest {
        folder: options.folder,
        context: &options.folder.join(&recipe.context),
        recipe,
        bases: &bases,
        epoch: options.epoch,
        scratch: scratch_path,
        log: &|line| emit(Event::Line(line.to_owned())),
    };
    let built = builder.build(&request).await.map_err(failed)?;
    let image = pin(service, source, &built.manifest, options)?;
    let pushed = match options.destination {
        Destination::Push(registry) => {
            emit(Event::Storing { image: image.to_string() });
            push::push(registry, options.bases, &image, &built, &bases).await?;
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
        Method::Native(_) => Ok(Box::new(Native::default())),
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

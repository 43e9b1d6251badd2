//! Building a service's image, as far as it needs no registry but that of its base.

use camino::Utf8Path;
use tempfile::TempDir;

use super::ask::Asked;
use super::base::{self, Bases};
use super::documents::Documents;
use super::{BuildError, BuildOptions, Emit, Event, facts, not_utf8, recipe};
use crate::build::{self, BuildRequest, Builder, DockerDaemon, Native};
use crate::config::Service;
use crate::image::{
    BaseImage, BuiltImage, Manifest, Method, PinnedImage, Recipe, SourceFacts, Tag,
};
use crate::system::Environment;

/// An image that is built, and is nowhere but on this machine's scratch disk yet.
pub(super) struct Made<'a> {
    pub(super) service: &'a Service,
    pub(super) recipe: &'a Recipe,
    pub(super) asked: Asked,
    pub(super) source: SourceFacts,
    pub(super) image: PinnedImage,
    /// What it is to be tagged.
    pub(super) tags: Vec<Tag>,
    pub(super) built: BuiltImage,
    pub(super) built_on: Vec<BaseImage>,
    /// Where it is to be loaded, if it is.
    pub(super) docker: Option<DockerDaemon>,
    /// The folder with its blobs, which goes when this does.
    _scratch: TempDir,
}

/// Builds the service's image.
pub(super) async fn make<'a>(
    service: &'a Service,
    mut asked: Asked,
    docker: Option<DockerDaemon>,
    documents: &Documents,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Made<'a>, BuildError> {
    let recipe = recipe(service)?;
    let source = facts(service, options).await?;
    if let Some(warning) = tag_warning(service, &source, options) {
        emit(Event::Warning(warning));
    }
    emit(Event::Building { service: service.name.clone() });
    let read = Bases { registry: options.bases, documents };
    let built_on = base::base_images(service, recipe, &asked.bases, read).await?;
    let scratch = TempDir::new().map_err(BuildError::Scratch)?;
    let scratch_path = Utf8Path::from_path(scratch.path()).ok_or_else(not_utf8)?;
    let failed = |source| BuildError::Build { service: service.name.clone(), source };
    let builder = builder(recipe, options.environment).await.map_err(failed)?;
    let request = BuildRequest {
        folder: options.folder,
        context: &options.folder.join(&recipe.context),
        recipe,
        bases: &built_on,
        epoch: options.epoch,
        scratch: scratch_path,
        log: &|line| emit(Event::Line(line.to_owned())),
    };
    let built = builder.build(&request).await.map_err(failed)?;
    let input_tag = asked.still_true(service, options, emit).await;
    let source = SourceFacts { input: input_tag.clone(), ..source };
    let image = pin(service, &source, &built.manifest, options)?;
    let mut tags: Vec<Tag> = image.tag.iter().cloned().chain(input_tag).collect();
    tags.dedup();
    let _scratch = scratch;
    Ok(Made { service, recipe, asked, source, image, tags, built, built_on, docker, _scratch })
}

/// Returns why the image is not tagged as its policy says.
fn tag_warning(
    service: &Service,
    source: &SourceFacts,
    options: &BuildOptions<'_>,
) -> Option<String> {
    let fallback = service.tag.fallback(source).filter(|_| options.tag.is_none())?;
    Some(format!("{} is tagged {fallback}", service.name))
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

//! `deployctl build`: a service's files to an image that a registry has, pinned by digest.
//!
//! What decides an image is found out first, for all services, and the registry is asked for the tags
//! that say so; only what is not there is built. Asking is in `ask.rs`, reading bases in `base.rs`,
//! storing in `push.rs`.

mod ask;
mod attestations;
mod base;
mod documents;
mod error;
mod last;
mod layouts;
mod load;
mod moving;
mod push;
mod records;
mod report;
mod since;

use async_trait::async_trait;
use camino::Utf8Path;
use tempfile::TempDir;

use self::ask::{Answer, Asked};
use self::attestations::Pushed;
use self::base::Bases;
use self::documents::Documents;
use self::push::Push;
use super::{Attacher, BaseSigner, Emit, Event};
use crate::build::{self, BuildRequest, Builder, DockerDaemon, Native};
use crate::config::Service;
use crate::git::GitError;
use crate::image::{
    Digest, ImageReference, Manifest, Method, PinnedImage, Recipe, SourceFacts, Tag, TagPolicy,
};
use crate::registry::{Registry, RequestCount};
use crate::system::Environment;

pub use error::BuildError;
pub use last::{FoundBy, LastImage};
pub use layouts::BaseRegistry;
pub use moving::{Arrival, MoveOutcome, MovedTag};
pub use records::Explanation;
pub use report::{
    Affected, BuildFailed, BuildReport, Built, FailedBuild, Planned, StoredLayer, Transfer,
};
pub use since::Since;

/// What to build, and where it goes.
pub struct BuildOptions<'a> {
    /// The services to build.
    pub services: Vec<&'a Service>,
    /// Tells what is known about each one's source, where a tag needs it.
    pub sources: &'a dyn Sources,
    /// The folder that contexts are relative to.
    pub folder: &'a Utf8Path,
    /// The tag to use instead of what the service's policy says.
    pub tag: Option<Tag>,
    /// Seconds since 1970 that time stamps in the image are set to.
    pub epoch: i64,
    /// Where images are: the registry in the image's name, or an OCI layout directory that stands
    /// for it.
    pub registry: &'a dyn Registry,
    /// Where base images come from.
    pub bases: &'a dyn Registry,
    /// What is done beyond asking.
    pub extent: Extent,
    /// The environment whose images tell which services have changed: only those are built.
    pub since: Option<&'a Since>,
    /// Whether to find out which inputs differ from those of the last image.
    pub explain: bool,
    /// What environments state as far as that is known on this machine, for `explain` alone.
    pub nearby: Vec<Since>,
    /// Whether a record of its inputs is kept beside each image that is pushed.
    pub record: bool,
    /// The folder for caches, if there is one.
    pub cache: Option<&'a Utf8Path>,
    /// What is attached to images that are pushed, if anything is.
    pub attacher: Option<&'a Attacher>,
    /// Who must have signed base images, one of them each; if there is nobody, nobody must.
    pub base_signers: &'a [BaseSigner],
    /// Environment variables, for the engine that builds Dockerfiles.
    pub environment: &'a Environment,
}

/// How far a build goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Whether what the registry has is built again.
    pub rebuild: bool,
    /// Whether to say what would be built, and build nothing.
    pub dry_run: bool,
    /// Whether images are pushed, whatever their services say; as those say if it is `None`.
    pub push: Option<bool>,
    /// Whether images are loaded into the local docker daemon.
    pub load: bool,
}

impl Default for Extent {
    /// Builds and pushes what is not there.
    fn default() -> Self {
        Self { rebuild: false, dry_run: false, push: None, load: false }
    }
}

impl Extent {
    /// Returns whether the service's image is pushed.
    pub fn pushes(&self, service: &Service) -> bool {
        self.push.unwrap_or(service.push)
    }
}

/// Knows what the files of services come from.
#[async_trait]
pub trait Sources: Send + Sync {
    /// Returns what is known about the service's files.
    ///
    /// # Errors
    ///
    /// Fails if the repository that they are in can't be read.
    async fn facts(&self, service: &Service) -> Result<SourceFacts, GitError>;

    /// Returns the address of the repository that the service's files come from, without credentials,
    /// or `None` if it has none.
    ///
    /// # Errors
    ///
    /// As [`Sources::facts`].
    async fn repository(&self, _service: &Service) -> Result<Option<String>, GitError> {
        Ok(None)
    }
}

/// Builds the services that the registry has no image of, one after the other, and pushes each as soon
/// as it is built. Where one fails the others are built all the same.
///
/// # Errors
///
/// Fails with the first error and what was done, if a service's image can't be built or pushed.
pub async fn build(
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<BuildReport, Box<BuildFailed>> {
    let asked = attestations::verified(ask::ask(options).await, options, emit).await;
    let documents = Documents::in_cache(options.cache);
    let since = options.since.map(|since| affected(since, &options.services, &asked));
    for (service, reason) in since.iter().flat_map(|since| &since.changed) {
        emit(Event::Affected { service: service.clone(), reason: reason.clone() });
    }
    let mut report = BuildReport { since, ..BuildReport::default() };
    let mut first = None;
    for (service, asked) in options.services.iter().zip(asked) {
        if let (Ok(asked), true) = (&asked, options.explain) {
            let inputs = asked.known_inputs();
            report.explained.push(records::explain(service, inputs, &documents, options).await);
        }
        let done = match asked {
            Ok(asked) => one(service, asked, &documents, options, emit).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(Done::Image(built)) => report.images.push(*built),
            Ok(Done::Planned(planned)) => report.planned.push(planned),
            Ok(Done::Unchanged) => {}
            Err(error) => {
                report.failed.push(FailedBuild::of(&service.name, &error));
                first = first.or(Some(error));
            }
        }
    }
    report.requests = requests(options);
    match first {
        Some(error) => Err(Box::new(BuildFailed { report, error })),
        None => Ok(report),
    }
}

/// Returns what was asked of the registry, and of that of the bases where it is another one.
fn requests(options: &BuildOptions<'_>) -> Vec<RequestCount> {
    match options.registry.requests() {
        requests if requests.is_empty() => options.bases.requests(),
        requests => requests,
    }
}

/// Returns which services have changed since the environment was given its images.
fn affected(since: &Since, services: &[&Service], asked: &[Result<Asked, BuildError>]) -> Affected {
    let environment = since.environment.clone();
    let mut affected = Affected { environment, ..Affected::default() };
    for (service, asked) in services.iter().zip(asked) {
        let Ok(asked) = asked else { continue };
        match since.change(service, asked) {
            Some(reason) => affected.changed.push((service.name.clone(), reason)),
            None => affected.unchanged.push(service.name.clone()),
        }
    }
    affected
}

/// What became of a service.
enum Done {
    /// The environment that it is compared with states it as it is.
    Unchanged,
    Image(Box<Built>),
    Planned(Planned),
}

async fn one(
    service: &Service,
    mut asked: Asked,
    documents: &Documents,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Done, BuildError> {
    if options.since.is_some_and(|since| since.change(service, &asked).is_none()) {
        return Ok(Done::Unchanged);
    }
    let docker = load::daemon(&service.name, options).await?;
    if let Answer::Present { tag, digest } = &asked.answer {
        let image = PinnedImage {
            name: service.image.clone(),
            tag: Some(tag.clone()),
            digest: digest.clone(),
        };
        let built = reuse(service, image, asked.digest(), options, emit).await?;
        if let Some(docker) = &docker {
            load::found(docker, &built.image, options, emit).await?;
        }
        return Ok(Done::Image(Box::new(built)));
    }
    if options.extent.dry_run {
        let (service, inputs) = (service.name.clone(), asked.digest());
        return Ok(Done::Planned(Planned { service, inputs }));
    }
    if let Answer::Unknown(reason) = &asked.answer {
        let name = &service.name;
        emit(Event::Warning(format!("{name} is built, whatever the registry has: {reason}")));
    }
    let docker = docker.as_ref();
    let built = build_service(service, &mut asked, docker, documents, options, emit).await?;
    Ok(Done::Image(Box::new(built)))
}

/// Returns the image that the registry has.
async fn reuse(
    service: &Service,
    found: PinnedImage,
    inputs: Option<Digest>,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Built, BuildError> {
    emit(Event::Reusing { service: service.name.clone(), image: found.to_string() });
    let reused = found.tag.clone();
    let may_tag = options.extent.pushes(service) && !options.extent.dry_run;
    let wanted = match &options.tag {
        Some(tag) => Some(tag.clone()),
        None => release(service, &found, options).await?,
    };
    let image = match wanted.filter(|_| may_tag) {
        Some(wanted) => push::retag(options, &found, &wanted).await?,
        None => found,
    };
    let mut moved = Vec::new();
    if !service.moving_tags.is_empty() && may_tag {
        let source = facts(service, options).await?;
        moved = moving::follow(service, &image, None, &source, options, emit).await?;
    }
    let service = service.name.clone();
    let (layers, attached) = (Vec::new(), Vec::new());
    Ok(Built { service, image, size: 0, pushed: false, reused, inputs, layers, attached, moved })
}

/// Returns the version that the service is released as by this commit, if it is tagged by versions.
/// Somebody looks for a release by its tag, whether or not anything in it is new. A tag of any other
/// policy says nothing that the digest does not, and is not worth a request.
async fn release(
    service: &Service,
    found: &PinnedImage,
    options: &BuildOptions<'_>,
) -> Result<Option<Tag>, BuildError> {
    if !matches!(service.tag, TagPolicy::Semver { .. }) {
        return Ok(None);
    }
    let source = facts(service, options).await?;
    if service.tag.fallback(&source).is_some() {
        return Ok(None);
    }
    let failed = |source| BuildError::Tag { service: service.name.clone(), source };
    service.tag.tag(&source, &found.digest).map(Some).map_err(failed)
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

async fn build_service(
    service: &Service,
    asked: &mut Asked,
    docker: Option<&DockerDaemon>,
    documents: &Documents,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Built, BuildError> {
    let recipe = recipe(service)?;
    let source = facts(service, options).await?;
    if let Some(warning) = tag_warning(service, &source, options) {
        emit(Event::Warning(warning));
    }
    emit(Event::Building { service: service.name.clone() });
    let read = Bases { registry: options.bases, documents };
    let bases = base::base_images(service, recipe, &asked.bases, read).await?;
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
    let input_tag = asked.still_true(service, options, emit).await;
    let source = SourceFacts { input: input_tag.clone(), ..source };
    let image = pin(service, &source, &built.manifest, options)?;
    let (mut layers, mut attached, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    let pushed = options.extent.pushes(service);
    if pushed {
        emit(Event::Storing { image: image.to_string() });
        let mut all_tags: Vec<Tag> = image.tag.iter().cloned().chain(input_tag).collect();
        all_tags.dedup();
        let (registry, bases_in, image) = (options.registry, options.bases, &image);
        // With something to attach the tags come after it: what is found by a tag has all of it.
        let first = if options.attacher.is_some() { &[] } else { all_tags.as_slice() };
        let (tags, built, built_on) = (first, &built, bases.as_slice());
        let push =
            Push { registry, bases: bases_in, documents, image, tags, built, built_on, emit };
        layers = push.run().await?;
        let stored =
            Pushed { service, recipe, asked, source: &source, image, tags: &all_tags, built };
        attached = attestations::attach(&stored, options, emit).await?;
        keep_record(image, &built.manifest, asked, documents, options, emit).await;
        let manifest = Some(&built.manifest);
        moved = moving::follow(service, image, manifest, &source, options, emit).await?;
    } else if let Some(inputs) = &asked.inputs {
        records::remember(documents, &image, inputs);
    }
    if let Some(docker) = docker {
        load::built(docker, &image, &built, &bases, options, emit).await?;
    }
    let size = built.blobs.iter().map(|blob| blob.size).sum();
    let (service, inputs) = (service.name.clone(), asked.digest());
    Ok(Built { service, image, size, pushed, reused: None, inputs, layers, attached, moved })
}

async fn facts(service: &Service, options: &BuildOptions<'_>) -> Result<SourceFacts, BuildError> {
    let failed =
        |source| BuildError::Source { service: service.name.clone(), source: Box::new(source) };
    options.sources.facts(service).await.map_err(failed)
}

/// Keeps the record of what the image was made of. The image is there, with or without it.
async fn keep_record(
    image: &PinnedImage,
    manifest: &Manifest,
    asked: &Asked,
    documents: &Documents,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) {
    let Some(inputs) = &asked.inputs else { return };
    if let Err(error) = records::keep(options, documents, image, manifest, inputs).await {
        let text = format!("the record of what {image} was made of is not kept: {error}");
        emit(Event::Warning(text));
    }
}

fn recipe(service: &Service) -> Result<&Recipe, BuildError> {
    let no_recipe = || BuildError::NoRecipe { service: service.name.clone() };
    service.recipe.as_ref().ok_or_else(no_recipe)
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

/// Returns the reference with the digest that it had when it was asked for.
fn pinned(reference: &ImageReference, digest: &Digest) -> ImageReference {
    ImageReference { digest: Some(digest.clone()), ..reference.clone() }
}

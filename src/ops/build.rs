//! `deployctl build`: a service's files to an image that a registry has, pinned by digest.
//!
//! What decides an image is found out first, for all services, and the registry is asked for the tags
//! that say so; only what is not there is built. Asking is in `ask.rs`, building in `make.rs`, what comes
//! after it in `deliver.rs`, the two at once in `overlap.rs`, storing in `push.rs`, what is there already in `reuse.rs`.

mod ask;
mod attestations;
mod base;
mod deliver;
mod documents;
mod error;
mod last;
mod layouts;
mod load;
mod make;
mod moving;
mod overlap;
mod push;
mod records;
mod report;
mod reuse;
mod since;

use async_trait::async_trait;
use camino::Utf8Path;

use self::ask::{Answer, Asked};
use self::documents::Documents;
use self::overlap::{Outcome, Queue, Turns};
use super::{Attacher, BaseSigner, Emit, Event};
use crate::build::DockerDaemon;
use crate::config::Service;
use crate::git::GitError;
use crate::image::{Digest, ImageReference, PinnedImage, Recipe, SourceFacts, Tag};
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
/// as it is built, while the next one is. Where one fails the others are built all the same.
///
/// # Errors
///
/// Fails with the first error, in the order of the services, and what was done, if a service's image can't
/// be built or pushed.
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
    if let Some(since) = since.as_ref().filter(|since| since.changed.is_empty()) {
        emit(Event::NoneChanged { environment: since.environment.clone() });
    }
    let explained = explain(&asked, &documents, options).await;
    let (queue, waiting) = overlap::queue();
    let turns = Turns::new(emit);
    let aside = |event| turns.aside(event);
    let (mut outcomes, stored) = tokio::join!(
        build_all(asked, queue, &turns, &documents, options, emit),
        waiting.store_all(&documents, options, &aside),
    );
    outcomes.extend(stored);
    let (mut report, first) = report(outcomes, &options.services);
    (report.since, report.explained, report.requests) = (since, explained, requests(options));
    match first {
        Some(error) => Err(Box::new(BuildFailed { report, error })),
        None => Ok(report),
    }
}

/// Returns what differs from the last image of each service, where that is wanted.
async fn explain(
    asked: &[Result<Asked, BuildError>],
    documents: &Documents,
    options: &BuildOptions<'_>,
) -> Vec<Explanation> {
    let mut explained = Vec::new();
    for (service, asked) in options.services.iter().zip(asked) {
        if let (Ok(asked), true) = (asked, options.explain) {
            let inputs = asked.known_inputs();
            explained.push(records::explain(service, inputs, documents, options).await);
        }
    }
    explained
}

/// Builds what is to be built, and puts it into the queue; returns what became of all else.
async fn build_all<'a>(
    asked: Vec<Result<Asked, BuildError>>,
    mut queue: Queue<'a>,
    turns: &Turns<'_>,
    documents: &Documents,
    options: &BuildOptions<'a>,
    emit: Emit<'_>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (number, (&service, asked)) in options.services.iter().zip(asked).enumerate() {
        let next = match asked {
            Ok(asked) => next(service, asked, options, emit).await,
            Err(error) => Err(error),
        };
        let made = match next {
            Ok(Next::Build { asked, docker }) => {
                queue.ready_for(&asked).await;
                let making = make::make(service, *asked, docker, documents, options, emit);
                turns.with_the_word(making).await
            }
            Ok(Next::Done(done)) => {
                outcomes.push((number, Ok(done)));
                continue;
            }
            Err(error) => Err(error),
        };
        match made {
            Ok(made) => {
                made.announce(options, emit);
                queue.put(number, made).await;
            }
            Err(error) => outcomes.push((number, Err(error))),
        }
    }
    outcomes
}

/// Returns the report of what became of the services, in their order, and the first error.
fn report(mut outcomes: Vec<Outcome>, services: &[&Service]) -> (BuildReport, Option<BuildError>) {
    let several = services.len() > 1;
    let (mut report, mut first) = (BuildReport { several, ..BuildReport::default() }, None);
    outcomes.sort_by_key(|(number, _)| *number);
    for (number, outcome) in outcomes {
        match outcome {
            Ok(Done::Image(built)) => report.images.push(*built),
            Ok(Done::Planned(planned)) => report.planned.push(planned),
            Ok(Done::Unchanged) => {}
            Err(error) => {
                report.failed.push(FailedBuild::of(&services[number].name, &error));
                first = first.or(Some(error));
            }
        }
    }
    (report, first)
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

/// What is to be done about a service.
enum Next {
    Done(Done),
    Build { asked: Box<Asked>, docker: Option<DockerDaemon> },
}

/// Does what needs no build.
async fn next(
    service: &Service,
    asked: Asked,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Next, BuildError> {
    if options.since.is_some_and(|since| since.change(service, &asked).is_none()) {
        return Ok(Next::Done(Done::Unchanged));
    }
    let docker = load::daemon(&service.name, options).await?;
    if let Answer::Present { tag, digest } = &asked.answer {
        let image = PinnedImage {
            name: service.image.clone(),
            tag: Some(tag.clone()),
            digest: digest.clone(),
        };
        let built = reuse::reuse(service, image, asked.digest(), options, emit).await?;
        if let Some(docker) = &docker {
            load::found(docker, &built.image, options, emit).await?;
        }
        return Ok(Next::Done(Done::Image(Box::new(built))));
    }
    if options.extent.dry_run {
        let (service, inputs) = (service.name.clone(), asked.digest());
        return Ok(Next::Done(Done::Planned(Planned { service, inputs })));
    }
    if let Answer::Unknown(reason) = &asked.answer {
        let name = &service.name;
        emit(Event::Warning(format!("{name} is built, whatever the registry has: {reason}")));
    }
    Ok(Next::Build { asked: Box::new(asked), docker })
}

async fn facts(service: &Service, options: &BuildOptions<'_>) -> Result<SourceFacts, BuildError> {
    let failed =
        |source| BuildError::Source { service: service.name.clone(), source: Box::new(source) };
    options.sources.facts(service).await.map_err(failed)
}

fn recipe(service: &Service) -> Result<&Recipe, BuildError> {
    let no_recipe = || BuildError::NoRecipe { service: service.name.clone() };
    service.recipe.as_ref().ok_or_else(no_recipe)
}

fn not_utf8() -> BuildError {
    BuildError::Scratch(std::io::Error::other("the temporary folder's path is not UTF-8"))
}

/// Returns the reference with the digest that it had when it was asked for.
fn pinned(reference: &ImageReference, digest: &Digest) -> ImageReference {
    ImageReference { digest: Some(digest.clone()), ..reference.clone() }
}

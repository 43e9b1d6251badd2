//! Asking the registry whether it has what would be built.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream;
use tokio::sync::{OnceCell, Semaphore};

use super::{BuildError, BuildOptions, recipe};
use crate::build::inputs::{Blobs, InputRequest, Inputs, Memo};
use crate::config::Service;
use crate::git::Checkouts;
use crate::image::{Digest, ImageName, ImageReference, Method, Tag};
use crate::ops::{Emit, Event};
use crate::registry::{Registry, RegistryError};

/// How many questions are on their way at once.
const AT_ONCE: usize = 16;

/// What was asked for a service, and what the registry said.
pub(super) struct Asked {
    /// The base images that were asked for, with the digests that they have now.
    pub(super) bases: BTreeMap<ImageReference, Digest>,
    /// The repositories of the base images, or `None` if the Dockerfile does not tell.
    named: Option<Vec<ImageName>>,
    are_bases_known: bool,
    pub(super) answer: Answer,
    pub(super) inputs: Option<Inputs>,
    memo: Memo,
}

/// What the registry said.
pub(super) enum Answer {
    /// It has the image.
    Present {
        /// By this tag.
        tag: Tag,
        digest: Digest,
    },
    /// It was not asked: the environment that is compared with states the image by its input tag.
    Stated,
    /// It has none, or was not to be asked.
    Absent,
    /// It could not be asked.
    Unknown(String),
}

/// What a registry said of a base image: its digest, that there is none, or an error.
type BaseAnswer = Result<Option<Digest>, RegistryError>;

/// What registries say of base images; each is asked for once, whichever services are built on it.
struct BaseAnswers<'a> {
    registry: &'a dyn Registry,
    known: Mutex<BTreeMap<ImageReference, Arc<OnceCell<BaseAnswer>>>>,
}

impl BaseAnswers<'_> {
    /// Returns the cell with what the registry says of the image.
    async fn ask(&self, reference: &ImageReference) -> Arc<OnceCell<BaseAnswer>> {
        let cell = {
            let mut known = self.known.lock().expect("nothing panics while it holds the lock");
            known.entry(reference.clone()).or_default().clone()
        };
        cell.get_or_init(|| self.registry.resolve(reference)).await;
        cell
    }
}

/// What the services' files are read with.
struct Reading {
    /// So many services are read at once.
    turns: Semaphore,
    blobs: Option<Arc<Blobs>>,
}

/// Returns what the registry has of each service, in order. One service is asked about while the files
/// of the next are read.
pub(super) async fn ask(options: &BuildOptions<'_>) -> Vec<Result<Asked, BuildError>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let blobs = options.cache.map(|cache| Arc::new(blobs(cache, options)));
    let reading = Reading { turns: Semaphore::new(cores), blobs };
    let bases = BaseAnswers { registry: options.bases, known: Mutex::default() };
    let mut questions = Vec::new();
    for service in &options.services {
        let question = ask_about(service, &reading, &bases, options);
        questions.push(Box::pin(question) as BoxFuture<'_, _>);
    }
    let answers = all(questions, AT_ONCE).await;
    if let Some(blobs) = &reading.blobs {
        blobs.save();
    }
    answers
}

/// Returns what the futures return, in their order; so many run at once.
pub(super) async fn all<T>(futures: Vec<BoxFuture<'_, T>>, at_once: usize) -> Vec<T> {
    stream::iter(futures).buffered(at_once).collect().await
}

/// Returns what is known of contents that git has ids for.
fn blobs(cache: &Utf8Path, options: &BuildOptions<'_>) -> Blobs {
    let checkouts = Checkouts::new(options.environment);
    Blobs::in_cache(cache, Box::new(move |folder, files| checkouts.blob_ids(folder, files)))
}

async fn read(
    service: &Service,
    blobs: Option<Arc<Blobs>>,
    options: &BuildOptions<'_>,
) -> Result<(Inputs, Memo), BuildError> {
    let recipe = recipe(service)?.clone();
    let context = options.folder.join(&recipe.context);
    let epoch = options.epoch;
    let (cache, name) = (options.cache.map(Utf8Path::to_owned), service.name.clone());
    let work = move || {
        let load = |cache: &Utf8PathBuf| Memo::load(cache, &context, &name);
        let mut memo = cache.as_ref().map(load).unwrap_or_default();
        if let Some(blobs) = blobs {
            memo = memo.with_blobs(blobs);
        }
        let request = InputRequest { context: &context, recipe: &recipe, epoch };
        let inputs = Inputs::read(&request, &mut memo)?;
        memo.save();
        Ok((inputs, memo))
    };
    let read = tokio::task::spawn_blocking(work).await;
    let read = read.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    read.map_err(|source| BuildError::Build { service: service.name.clone(), source })
}

async fn ask_about(
    service: &Service,
    reading: &Reading,
    answers: &BaseAnswers<'_>,
    options: &BuildOptions<'_>,
) -> Result<Asked, BuildError> {
    let (mut inputs, memo) = {
        let _turn = reading.turns.acquire().await.expect("nobody closes it");
        read(service, reading.blobs.clone(), options).await?
    };
    let named = inputs.bases().ok();
    let named = named.map(|bases| bases.iter().map(|base| base.name.clone()).collect());
    let bases = match base_digests(service, &inputs, answers).await? {
        Ok(bases) => bases,
        Err(reason) => {
            let (bases, answer) = (BTreeMap::new(), Answer::Unknown(reason));
            return Ok(Asked { named, bases, are_bases_known: false, answer, inputs: None, memo });
        }
    };
    if let Some(reason) = inputs.unknown() {
        let answer = Answer::Unknown(reason.to_owned());
        return Ok(Asked { named, bases, are_bases_known: true, answer, inputs: None, memo });
    }
    bases.iter().for_each(|(reference, digest)| inputs.add_base(reference, digest));
    let tag = inputs.tag();
    let is_stated = options.since.is_some_and(|since| since.states(service, &tag));
    let answer = match options.extent.rebuild {
        _ if is_stated => Answer::Stated,
        true => Answer::Absent,
        // What is never pushed is in no registry; its name need not even be one's own.
        false if options.extent.push.is_none() && !service.push => Answer::Absent,
        false => look(service, tag, options).await?,
    };
    Ok(Asked { named, bases, are_bases_known: true, answer, inputs: Some(inputs), memo })
}

/// Returns the digests of the base images, or why the inputs are not known. An image that deployctl
/// makes by itself can't be made then; an engine may know more registries than deployctl does.
async fn base_digests(
    service: &Service,
    inputs: &Inputs,
    answers: &BaseAnswers<'_>,
) -> Result<Result<BTreeMap<ImageReference, Digest>, String>, BuildError> {
    let references = match inputs.bases() {
        Ok(references) => references,
        Err(reason) => return Ok(Err(reason.to_owned())),
    };
    let is_native = matches!(recipe(service)?.method, Method::Native(_));
    let (pinned, named): (Vec<_>, Vec<_>) =
        references.iter().partition(|reference| reference.digest.is_some());
    let pinned = pinned.into_iter().filter_map(|at| Some((at.clone(), at.digest.clone()?)));
    let mut digests: BTreeMap<_, _> = pinned.collect();
    let asked = join_all(named.iter().map(|reference| answers.ask(reference))).await;
    for (reference, answer) in named.into_iter().zip(asked) {
        let base = reference.to_string();
        match answer.get() {
            Some(Ok(Some(digest))) => drop(digests.insert(reference.clone(), digest.clone())),
            Some(Err(error)) if is_native => {
                let reason = error.to_string();
                return Err(BuildError::Base { service: service.name.clone(), base, reason });
            }
            Some(Err(error)) => return Ok(Err(format!("base image `{base}`: {error}"))),
            _ if is_native => {
                return Err(BuildError::NoBase { service: service.name.clone(), base });
            }
            _ => return Ok(Err(format!("there is no base image `{base}` in its registry"))),
        }
    }
    Ok(Ok(digests))
}

/// Returns whether the registry has an image under the tag.
async fn look(
    service: &Service,
    tag: Tag,
    options: &BuildOptions<'_>,
) -> Result<Answer, BuildError> {
    let name = service.image.clone();
    let reference = ImageReference { name, tag: Some(tag.clone()), digest: None };
    match options.registry.resolve(&reference).await {
        Ok(Some(digest)) => Ok(Answer::Present { tag, digest }),
        Ok(None) => Ok(Answer::Absent),
        // Of a repository that is not there yet some say that it is forbidden, and let it be made.
        Err(error @ RegistryError::Denied { .. }) => Ok(Answer::Unknown(error.to_string())),
        Err(error) if !options.extent.pushes(service) => Ok(Answer::Unknown(error.to_string())),
        Err(source) => {
            Err(BuildError::Registry { what: "ask for", image: reference.to_string(), source })
        }
    }
}

impl Asked {
    /// Returns whether the image is not there.
    pub(super) fn is_to_be_built(&self) -> bool {
        !matches!(self.answer, Answer::Present { .. })
    }

    /// Returns why it is not known what the image is built on.
    pub(super) fn unknown_bases(&self) -> Option<&str> {
        match &self.answer {
            Answer::Unknown(reason) if !self.are_bases_known => Some(reason),
            _ => None,
        }
    }

    /// Returns what decides the image.
    ///
    /// # Errors
    ///
    /// Fails with the reason if that is not known before the build.
    pub(super) fn known_inputs(&self) -> Result<&Inputs, &str> {
        match (&self.inputs, &self.answer) {
            (Some(inputs), _) => Ok(inputs),
            (None, Answer::Unknown(reason)) => Err(reason),
            (None, _) => Err("it can't be told"),
        }
    }

    /// Returns whether an image of the repository may be among those that it is built on.
    pub(super) fn may_be_built_on(&self, name: &ImageName) -> bool {
        self.named.as_ref().is_none_or(|named| named.contains(name))
    }

    /// Returns the input digest, where it could be told.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.inputs.as_ref().map(Inputs::digest)
    }

    /// Returns the tag that says what the image is made of, if that is still what it was before the
    /// build.
    pub(super) async fn still_true(
        &mut self,
        service: &Service,
        options: &BuildOptions<'_>,
        emit: Emit<'_>,
    ) -> Option<Tag> {
        let before = self.inputs.as_ref()?;
        let recipe = service.recipe.clone()?;
        let context = options.folder.join(&recipe.context);
        let epoch = options.epoch;
        let mut memo = std::mem::take(&mut self.memo);
        let work = move || {
            let request = InputRequest { context: &context, recipe: &recipe, epoch };
            let inputs = Inputs::read(&request, &mut memo);
            (inputs, memo)
        };
        let read = tokio::task::spawn_blocking(work).await;
        let (after, memo) =
            read.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        self.memo = memo;
        let is_same = after.is_ok_and(|mut after| {
            self.bases.iter().for_each(|(reference, digest)| after.add_base(reference, digest));
            after == *before
        });
        if is_same {
            return Some(before.tag());
        }
        let name = &service.name;
        emit(Event::Warning(format!(
            "files of {name} changed while it was built, so its image is not found again by them"
        )));
        None
    }
}

//! Moving tags: put only where nothing is ahead, and looked at again afterwards.
//!
//! A build first gives its image a mark of its own ([`crate::tags::MovingTag`]), then lists the marks,
//! and puts the tag only if none is ahead of its own. Then it lists them again: whoever began in between
//! has left a mark, and if that one is ahead, its image gets the tag, by whoever looked last. So after
//! any put somebody looks at all the marks that were there before it, and the tag ends at the one that is
//! furthest, in whatever order builds finish; only a build that dies between its put and its look leaves
//! that to the next.
//!
//! Seconds alone do not order commits, so git is asked where it can tell. Where it can't, of two commits
//! of the same second each build takes the other's for ahead: the build with the shallow checkout leaves
//! the tag alone and is told why. Two such commits that are not parent and child, built at the same time
//! from checkouts of depth 1, are the one case in which the tag may end at the older one.

use camino::Utf8PathBuf;

use super::{BuildError, BuildOptions, Emit, Event};
use crate::argocd::Relation;
use crate::config::Service;
use crate::git::Source;
use crate::image::{Digest, ImageName, ImageReference, Manifest, PinnedImage, SourceFacts, Tag};
use crate::registry::{Registry, RegistryError};
use crate::tags::{Course, Mark, MovingTag, Place, Standing, Stay};

/// What became of a moving tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedTag {
    /// The tag; where the build has none to fill in, as the configuration writes it.
    pub tag: String,
    /// What became of it.
    pub outcome: MoveOutcome,
}

/// What became of a moving tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It points at the image now.
    Moved,
    /// It pointed at the image before.
    Unchanged,
    /// It does not follow builds like this one.
    NotFollowed(String),
    /// It stays at what is ahead, or points there again.
    Overtaken(String),
}

/// An image that tags may move to.
pub struct Arrival<'a> {
    /// Where it is.
    pub registry: &'a dyn Registry,
    /// The image, which is there.
    pub image: &'a PinnedImage,
    /// Its manifest, if it is at hand.
    pub manifest: Option<&'a Manifest>,
    /// What it is built from.
    pub source: &'a SourceFacts,
    /// What stands before a version in its service's git tags.
    pub version_prefix: &'a str,
}

/// How often a tag is put right that others put wrong at the same time.
const TRIES: usize = 32;

/// Moves the service's moving tags to its image, as far as they go there, and warns of builds that were
/// overtaken.
pub(super) async fn follow(
    service: &Service,
    image: &PinnedImage,
    manifest: Option<&Manifest>,
    source: &SourceFacts,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Vec<MovedTag>, BuildError> {
    if service.moving_tags.is_empty() {
        return Ok(Vec::new());
    }
    let (registry, version_prefix) = (options.registry, service.tag.version_prefix());
    let arrival = Arrival { registry, image, manifest, source, version_prefix };
    let failed = |source| BuildError::Registry { what: "tag", image: image.to_string(), source };
    let moved = arrival.move_tags(&service.moving_tags).await.map_err(failed)?;
    for MovedTag { tag, outcome } in &moved {
        if let MoveOutcome::Overtaken(reason) = outcome {
            let name = &service.name;
            emit(Event::Warning(format!("the tag `{tag}` of {name} stays where it is: {reason}")));
        }
    }
    Ok(moved)
}

impl Arrival<'_> {
    /// Moves those of `moving` to the image that it is ahead of, and returns what became of each.
    ///
    /// # Errors
    ///
    /// Fails if the registry does; then some of the tags may have moved.
    pub async fn move_tags(&self, moving: &[MovingTag]) -> Result<Vec<MovedTag>, RegistryError> {
        let place = match Place::of(self.source, self.version_prefix) {
            Ok(place) => place,
            Err(reason) => {
                let reason = format!("the image is not that of its source's commit: {reason}");
                let outcome = MoveOutcome::NotFollowed(reason);
                let stays = |tag: &MovingTag| (tag.to_string(), outcome.clone());
                return Ok(moving.iter().map(stays).map(MovedTag::from).collect());
            }
        };
        let mut tags = self.tags().await?;
        let mut courses = Vec::new();
        for tag in moving {
            let course = tag.course(&place, &tags);
            courses.push((tag, self.unless_overtaken(course, &place, &tags).await));
        }
        let on_course = courses.iter().filter_map(|(_, course)| course.as_ref().ok());
        let mut marks: Vec<Tag> = on_course.map(|course| course.mark(&place).tag).collect();
        marks.retain(|mark| !tags.contains(mark));
        marks.sort();
        marks.dedup();
        if !marks.is_empty() {
            self.put(&self.image.digest, &marks).await?;
            tags = self.tags().await?;
        }
        let mut moved = Vec::new();
        for (tag, course) in courses {
            let course = self.unless_overtaken(course, &place, &tags).await;
            moved.push(MovedTag::from(match course {
                Ok(course) => (course.tag.to_string(), self.advance(&course, &place).await?),
                Err(stay) => (tag.to_string(), stay.into()),
            }));
        }
        Ok(moved)
    }

    /// Puts the tag, and puts it right until nothing is ahead of where it points.
    async fn advance(&self, course: &Course, place: &Place) -> Result<MoveOutcome, RegistryError> {
        let name = &self.image.name;
        let before = self.registry.resolve(&tagged(name, &course.tag)).await?;
        let mut outcome = MoveOutcome::Unchanged;
        if before.as_ref() != Some(&self.image.digest) {
            self.put(&self.image.digest, std::slice::from_ref(&course.tag)).await?;
            outcome = MoveOutcome::Moved;
        }
        let (own, mut last) = (course.mark(place), None);
        for _ in 0..TRIES {
            let tags = self.tags().await?;
            let Some((ahead, standing)) = self.ahead(course, &own, &tags).await else {
                return Ok(outcome);
            };
            if standing == Standing::Beside {
                return Ok(outcome);
            }
            if last.as_ref() == Some(&ahead) {
                return Ok(outcome);
            }
            let Some(digest) = self.registry.resolve(&tagged(name, &ahead.tag)).await? else {
                return Ok(outcome);
            };
            self.put(&digest, std::slice::from_ref(&course.tag)).await?;
            last = Some(ahead.clone());
            outcome = Stay::Overtaken { by: ahead, standing }.into();
        }
        Ok(outcome)
    }

    async fn unless_overtaken(
        &self,
        course: Result<Course, Stay>,
        place: &Place,
        tags: &[Tag],
    ) -> Result<Course, Stay> {
        let course = course?;
        match self.ahead(&course, &course.mark(place), tags).await {
            None => Ok(course),
            Some((by, standing)) => Err(Stay::Overtaken { by, standing }),
        }
    }

    /// Returns the mark that is furthest ahead of the image's `own`, or else one that may be ahead, or
    /// else one whose history parted from its own.
    async fn ahead(&self, course: &Course, own: &Mark, tags: &[Tag]) -> Option<(Mark, Standing)> {
        let (mut furthest, mut unclear, mut beside): (Option<Mark>, _, _) = (None, None, None);
        for rival in course.rivals(own, tags) {
            let relation = self.relation(own, &rival).await;
            match (rival.standing(own, relation, self.source.is_shallow), &furthest) {
                (Standing::Behind, _) => {}
                (Standing::Beside, _) => beside = beside.or(Some((rival, Standing::Beside))),
                (Standing::Unclear, _) => unclear = unclear.or(Some((rival, Standing::Unclear))),
                (Standing::Ahead, None) => furthest = Some(rival),
                (Standing::Ahead, Some(other)) => {
                    if rival.is_further_than(other, self.relation(other, &rival).await) {
                        furthest = Some(rival);
                    }
                }
            }
        }
        furthest.map(|mark| (mark, Standing::Ahead)).or(unclear).or(beside)
    }

    /// Returns how the commit of `other` stands to that of `mark`.
    async fn relation(&self, mark: &Mark, other: &Mark) -> Relation {
        let root: Option<&Utf8PathBuf> = self.source.root.as_ref();
        match (root, mark.commit(), other.commit()) {
            (Some(root), Some(mark), Some(other)) => Source::relation(root, mark, other).await,
            _ => Relation::Unknown,
        }
    }

    async fn tags(&self) -> Result<Vec<Tag>, RegistryError> {
        self.registry.tags(&self.image.name).await
    }

    /// Points `tags` at the manifest `digest`.
    async fn put(&self, digest: &Digest, tags: &[Tag]) -> Result<(), RegistryError> {
        let name = &self.image.name;
        if let Some(manifest) = self.manifest.filter(|_| *digest == self.image.digest) {
            return self.registry.push_manifest(name, manifest, tags).await;
        }
        let reference =
            ImageReference { name: name.clone(), tag: None, digest: Some(digest.clone()) };
        let manifest = self.registry.manifest(&reference).await?;
        let gone = || RegistryError::NotFound(reference.to_string());
        self.registry.push_manifest(name, &manifest.ok_or_else(gone)?, tags).await
    }
}

impl From<(String, MoveOutcome)> for MovedTag {
    fn from((tag, outcome): (String, MoveOutcome)) -> Self {
        Self { tag, outcome }
    }
}

impl From<Stay> for MoveOutcome {
    fn from(stay: Stay) -> Self {
        match stay {
            Stay::Other(reason) => Self::NotFollowed(reason),
            stay @ Stay::Overtaken { .. } => Self::Overtaken(stay.to_string()),
        }
    }
}

fn tagged(name: &ImageName, tag: &Tag) -> ImageReference {
    ImageReference { name: name.clone(), tag: Some(tag.clone()), digest: None }
}

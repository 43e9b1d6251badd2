//! The image that a build is compared with when somebody asks what is different: the last one before it.
//!
//! A machine that has built the service before knows it; any other finds one by what names images: the
//! service's moving tags in the registry, or the overlays that are here. Only an image with a record of
//! its inputs will do.

use std::fmt;

use super::documents::Documents;
use super::{BuildOptions, Since, facts, records};
use crate::build::inputs::Record;
use crate::config::Service;
use crate::image::{ImageReference, PinnedImage, Tag, TagPolicy, slug};
use crate::tags;

/// The image that a build is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastImage {
    /// The image.
    pub image: String,
    /// How it was found.
    pub by: FoundBy,
}

/// How the last image was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundBy {
    /// The environment that was named states it.
    Environment(String),
    /// It was the last one to be built on this machine.
    LastBuild,
    /// The tag names it in the registry.
    Tag(Tag),
    /// The environment states it, as far as is known without the network.
    LocalOverlay(String),
}

impl FoundBy {
    /// Returns the word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Environment(_) => "environment",
            Self::LastBuild => "last-build",
            Self::Tag(_) => "tag",
            Self::LocalOverlay(_) => "local-overlay",
        }
    }

    /// Returns the environment or the tag.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Environment(name) | Self::LocalOverlay(name) => Some(name),
            Self::LastBuild => None,
            Self::Tag(tag) => Some(tag.as_str()),
        }
    }
}

impl fmt::Display for LastImage {
    /// Writes the image, and in brackets how it was found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, by } = self;
        match by {
            FoundBy::Environment(name) => write!(f, "{image} (stated by {name})"),
            FoundBy::LastBuild => write!(f, "{image} (the last one built on this machine)"),
            FoundBy::Tag(tag) => write!(f, "{image} (the registry's `{tag}`)"),
            FoundBy::LocalOverlay(name) => write!(f, "{image} (stated by {name}, as known here)"),
        }
    }
}

/// An image that was found, with the record of its inputs; or why none was.
pub(super) type Found = Result<(LastImage, Record), String>;

/// Returns the last image with a record of its inputs. That is the one that the named environment states;
/// where none is named, the last one built here, else the first one that a moving tag of the service
/// names, else the first one that an environment states as far as is known here.
pub(super) async fn find(
    service: &Service,
    documents: &Documents,
    options: &BuildOptions<'_>,
) -> Found {
    if let Some(since) = options.since {
        let by = FoundBy::Environment(since.environment.clone());
        return stated(service, since, by, documents, options).await;
    }
    let mut reasons = Vec::new();
    match built_here(service, documents) {
        Ok(found) => return Ok(found),
        Err(reason) => reasons.push(reason),
    }
    match tagged(service, options).await {
        Ok(found) => return Ok(found),
        Err(reason) => reasons.extend(reason),
    }
    for since in &options.nearby {
        let by = FoundBy::LocalOverlay(since.environment.clone());
        match stated(service, since, by, documents, options).await {
            Ok(found) => return Ok(found),
            Err(reason) => reasons.push(reason),
        }
    }
    reasons.push("an environment can be named with --changed-since-env".to_owned());
    Err(reasons.join("; "))
}

fn built_here(service: &Service, documents: &Documents) -> Found {
    let known = documents.last_record(&service.image);
    let (image, text) = known.ok_or("no image of it was built here before")?;
    let record = Record::parse(&text).ok_or("the record of its last build here is broken")?;
    Ok((LastImage { image, by: FoundBy::LastBuild }, record))
}

/// Returns the image that a moving tag names, or why each of them does not.
async fn tagged(
    service: &Service,
    options: &BuildOptions<'_>,
) -> Result<(LastImage, Record), Vec<String>> {
    let tags = tags_of(service, options).await.map_err(|reason| vec![reason])?;
    let mut reasons = Vec::new();
    for tag in tags {
        let name = service.image.clone();
        let reference = ImageReference { name, tag: Some(tag.clone()), digest: None };
        let digest = match options.registry.resolve(&reference).await {
            Ok(Some(digest)) => digest,
            Ok(None) => {
                reasons.push(format!("the registry has no `{tag}`"));
                continue;
            }
            // Of the next tag it would say the same.
            Err(error) => {
                reasons.push(format!("the registry can't be asked for `{tag}`: {error}"));
                break;
            }
        };
        let image = PinnedImage { name: reference.name, tag: Some(tag.clone()), digest };
        match recorded(&image, FoundBy::Tag(tag), options).await {
            Ok(found) => return Ok(found),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons)
}

/// Returns the tags that move from one image of the service to the next.
async fn tags_of(service: &Service, options: &BuildOptions<'_>) -> Result<Vec<Tag>, String> {
    let is_branch = service.tag == TagPolicy::Branch;
    if service.moving_tags.is_empty() && !is_branch {
        return Ok(Vec::new());
    }
    let source = facts(service, options).await.map_err(|error| error.to_string())?;
    let mut likely = tags::likely(&service.moving_tags, &source, service.tag.version_prefix());
    let branch = source.branch.as_deref().filter(|_| is_branch);
    let branch: Option<Tag> = branch.and_then(|branch| slug(branch).parse().ok());
    if let Some(branch) = branch.filter(|branch| !likely.contains(branch)) {
        likely.insert(0, branch);
    }
    Ok(likely)
}

async fn stated(
    service: &Service,
    since: &Since,
    by: FoundBy,
    documents: &Documents,
    options: &BuildOptions<'_>,
) -> Found {
    let stated = since.image(service);
    let stated = stated.ok_or_else(|| format!("{} states no image of it", since.environment))?;
    let image = stated.pinned().map_err(|error| error.to_string())?;
    match recorded(&image, by.clone(), options).await {
        Ok(found) => Ok(found),
        Err(reason) => {
            let known = documents.last_record(&service.image);
            let known = known.filter(|(known, _)| known.ends_with(image.digest.as_str()));
            let record = known.and_then(|(_, text)| Record::parse(&text));
            let found = |record| (LastImage { image: image.to_string(), by }, record);
            record.map(found).ok_or(reason)
        }
    }
}

/// Returns the image with the record that is kept beside it.
async fn recorded(image: &PinnedImage, by: FoundBy, options: &BuildOptions<'_>) -> Found {
    let record = records::read(options.registry, &image.name, &image.digest).await;
    let record = record.map_err(|error| format!("{image}: {error}"))?;
    let record = record.ok_or_else(|| format!("{image} has no record of its inputs"))?;
    Ok((LastImage { image: image.to_string(), by }, record))
}

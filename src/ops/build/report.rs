//! What came of a build.

use super::{BuildError, Explanation, MovedTag};
use crate::image::{Digest, PinnedImage, Tag};
use crate::ops::Attached;
use crate::registry::RequestCount;

/// What was built, and what was there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// Whether it was about several services, whatever became of them.
    pub several: bool,
    /// The services that have an image now, in order.
    pub images: Vec<Built>,
    /// The services that would be built, in a dry run.
    pub planned: Vec<Planned>,
    /// The services that have none.
    pub failed: Vec<FailedBuild>,
    /// What has changed since an environment was given its images, where that was asked.
    pub since: Option<Affected>,
    /// Which inputs differ from those of the last image, where that was asked; one a service.
    pub explained: Vec<Explanation>,
    /// What registries were asked, tries that failed included.
    pub requests: Vec<RequestCount>,
}

/// The services that have changed, and those that have not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// The environment that they are compared with.
    pub environment: String,
    /// Those that have changed, and why that is so.
    pub changed: Vec<(String, String)>,
    /// Those that have not.
    pub unchanged: Vec<String>,
}

/// A service's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The service.
    pub service: String,
    /// Its image.
    pub image: PinnedImage,
    /// Bytes of the blobs that the build made; none for an image that was there.
    pub size: u64,
    /// Whether it was pushed.
    pub pushed: bool,
    /// The tag that said that the registry has it, if nothing was built.
    pub reused: Option<Tag>,
    /// The digest of what decided it, where that could be told.
    pub inputs: Option<Digest>,
    /// What became of its layers; none where nothing was pushed.
    pub layers: Vec<StoredLayer>,
    /// What was attached to it.
    pub attached: Vec<Attached>,
    /// What became of the service's moving tags; none where nothing was to be pushed.
    pub moved: Vec<MovedTag>,
}

/// A layer of an image that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLayer {
    /// The digest of the compressed layer.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How it came to where it is.
    pub transfer: Transfer,
}

/// How a layer came into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// It was there.
    Present,
    /// From another repository of the registry, by its name.
    Mounted,
    /// From another registry.
    Copied,
    /// From here.
    Pushed,
}

/// A service that would be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The service.
    pub service: String,
    /// The digest of what decides its image, where that can be told.
    pub inputs: Option<Digest>,
}

/// A service that has no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBuild {
    /// The service.
    pub service: String,
    /// Why, in one line.
    pub reason: String,
}

/// Why not all services have an image.
#[derive(Debug)]
pub struct BuildFailed {
    /// What was done all the same.
    pub report: BuildReport,
    /// The first error.
    pub error: BuildError,
}

impl Transfer {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Mounted => "mounted",
            Self::Copied => "copied",
            Self::Pushed => "pushed",
        }
    }
}

impl BuildReport {
    /// Returns what was asked, by kind, whatever repository it was asked of.
    pub fn requests_by_kind(&self) -> Vec<(&'static str, u64)> {
        let mut kinds: Vec<(&'static str, u64)> = Vec::new();
        for RequestCount { kind, count, .. } in &self.requests {
            match kinds.iter_mut().find(|(word, _)| *word == kind.as_str()) {
                Some((_, sum)) => *sum += count,
                None => kinds.push((kind.as_str(), *count)),
            }
        }
        kinds
    }
}

impl FailedBuild {
    pub(super) fn of(service: &str, error: &BuildError) -> Self {
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            reason.push_str(": ");
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        Self { service: service.to_owned(), reason }
    }
}

//! What a target states about a service's image, and why it may state none.

use std::fmt;

use camino::Utf8PathBuf;

use crate::image::{ImageReference, PinnedImage};
use crate::kustomize::{FindError, ImageEntry, KustomizationError, TreeError};
use crate::yaml;

/// The image that a target's file states for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedImage {
    /// The file, from the root of the manifests repository.
    pub file: Utf8PathBuf,
    /// The image's name as the file spells it.
    pub name: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<String>,
}

/// Why a target does not state a service's image.
#[derive(Debug, thiserror::Error)]
pub enum StatedImageError {
    /// There is no kustomization file, or more than one.
    #[error("{0}")]
    Find(#[from] FindError),
    /// The kustomization file is broken.
    #[error("`{file}` can't be read: {source}")]
    Read {
        /// The kustomization file.
        file: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: KustomizationError,
    },
    /// No entry is about the image.
    #[error("`{file}` has no entry for `{image}` in `images:`{}", known(.entries))]
    NoEntry {
        /// The kustomization file.
        file: Utf8PathBuf,
        /// The image that was looked for.
        image: String,
        /// The names that do have entries.
        entries: Vec<String>,
    },
    /// There is no such file.
    #[error("there is no file `{file}`")]
    NoFile {
        /// The file.
        file: Utf8PathBuf,
    },
    /// The file can't be had.
    #[error("{0}")]
    Tree(#[from] TreeError),
    /// The file is broken, or not what such a file is.
    #[error("`{file}` can't be read: {source}")]
    Broken {
        /// The file.
        file: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: yaml::EditError,
    },
    /// None of the paths that the image is at leads anywhere.
    #[error("`{file}` has no value at {paths}")]
    NoValue {
        /// The file.
        file: Utf8PathBuf,
        /// The paths.
        paths: String,
    },
    /// The entry has no digest.
    #[error("`{file}` states `{image}` without a digest")]
    NoDigest {
        /// The kustomization file.
        file: Utf8PathBuf,
        /// What it states.
        image: String,
    },
    /// What the entry says is no image reference.
    #[error("`{file}` states `{image}`, which is no image reference: {reason}")]
    NoReference {
        /// The kustomization file.
        file: Utf8PathBuf,
        /// What it states.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn known(entries: &[String]) -> String {
    match entries {
        [] => "; it has none at all".to_owned(),
        entries => format!("; it has entries for {}", entries.join(", ")),
    }
}

impl StatedImage {
    /// Returns the image that `entry` of `file` states.
    pub(super) fn of(file: Utf8PathBuf, entry: &ImageEntry) -> Self {
        Self {
            file,
            name: entry.effective_name().to_owned(),
            tag: entry.tag().map(str::to_owned),
            digest: entry.digest().map(str::to_owned),
        }
    }

    /// Returns the image pinned by its digest.
    ///
    /// # Errors
    ///
    /// Fails if no digest is stated, or something that is no image reference.
    pub fn pinned(&self) -> Result<PinnedImage, StatedImageError> {
        let (file, image) = (self.file.clone(), self.to_string());
        let no_reference = |reason: String| StatedImageError::NoReference {
            file: file.clone(),
            image: image.clone(),
            reason,
        };
        let reference: ImageReference = image.parse().map_err(|e| no_reference(format!("{e}")))?;
        match reference.digest {
            Some(digest) => Ok(PinnedImage { name: reference.name, tag: reference.tag, digest }),
            None => Err(StatedImageError::NoDigest { file, image }),
        }
    }
}

impl fmt::Display for StatedImage {
    /// Writes what the container's image is rendered to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

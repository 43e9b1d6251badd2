//! Where an environment states a service's image, and how that is read and changed.
//!
//! There are three such places, one file each: the overlay's kustomization, Argo CD's source file
//! beside it, and the values of a Helm chart. `set`, `promote`, `status` and everything else that
//! wants to know an image goes through [`Target`]. Committing the changed file is the caller's
//! business.

mod kustomization;
mod stated;

use camino::{Utf8Path, Utf8PathBuf};

use crate::image::{DigestPolicy, ImageName, PinnedImage};
use crate::kustomize::{EditError, FileTree, FindError, TreeError};

pub use stated::{StatedImage, StatedImageError};

/// A place that states a service's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What the manifests call the image.
    pub name: String,
    /// Where the image lives.
    pub registry: ImageName,
    /// Whether its tag is written too.
    pub digest: DigestPolicy,
    /// Which file states it.
    pub place: Place,
}

/// Which file states an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The kustomization in an overlay's folder.
    Kustomization {
        /// The folder, from the root of the manifests repository.
        overlay: Utf8PathBuf,
    },
}

/// What a target's file becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetEdit {
    /// The file, from the root of the manifests repository.
    pub file: Utf8PathBuf,
    /// Its bytes before; `None` if it is new.
    pub before: Option<Vec<u8>>,
    /// Its bytes afterwards: the same where it states the image already.
    pub after: Vec<u8>,
}

/// Why a target's file is not changed.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is no kustomization file, or more than one.
    #[error("{0}")]
    Find(#[from] FindError),
    /// The file can't be had.
    #[error("{0}")]
    Tree(#[from] TreeError),
    /// The kustomization can't be edited safely.
    #[error("can't edit `{file}`")]
    Kustomization {
        /// The file.
        file: Utf8PathBuf,
        /// The cause.
        #[source]
        source: EditError,
    },
}

impl TargetEdit {
    /// Returns whether the file is another afterwards.
    pub fn is_changed(&self) -> bool {
        self.before.as_deref() != Some(&self.after)
    }
}

impl Target {
    /// Returns what `tree` states.
    ///
    /// # Errors
    ///
    /// Fails if the file is not there, broken, or says nothing about the image.
    pub fn read(&self, tree: &dyn FileTree) -> Result<StatedImage, StatedImageError> {
        match &self.place {
            Place::Kustomization { overlay } => kustomization::read(self, overlay, tree),
        }
    }

    /// Returns the file of `tree` changed so that it states `image`, every other byte as it is. The
    /// tag is written as the target's [`DigestPolicy`] says.
    ///
    /// # Errors
    ///
    /// Fails if the file is not there, or can't be edited with certainty.
    pub fn edit(
        &self,
        tree: &dyn FileTree,
        image: &PinnedImage,
    ) -> Result<TargetEdit, TargetError> {
        let image = self.digest.written(image);
        match &self.place {
            Place::Kustomization { overlay } => kustomization::edit(self, overlay, tree, image),
        }
    }

    /// Returns the file or folder whose commits are the history of what it states.
    pub fn path(&self) -> &Utf8Path {
        match &self.place {
            Place::Kustomization { overlay } => overlay,
        }
    }
}

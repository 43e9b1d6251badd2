//! Where an environment states a service's image, and how that is read and changed.
//!
//! There are three such places, one file each: the overlay's kustomization, Argo CD's source file
//! beside it, and the values of a Helm chart. `set`, `promote`, `status` and everything else that
//! wants to know an image goes through [`Target`]. Committing the changed file is the caller's
//! business.

mod argocd_source;
mod helm_values;
mod kustomization;
mod stated;

#[cfg(test)]
mod tests;

use camino::{Utf8Path, Utf8PathBuf};

use crate::argocd::ApplicationName;
use crate::image::{DigestPolicy, ImageName, PinnedImage};
use crate::kustomize::{EditError, FileTree, FindError, MemoryTree, TreeError};
use crate::yaml;
use argocd_source::Folder;

pub use helm_values::HelmKeys;
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
    /// Argo CD's source file in an overlay's folder, whose images override the kustomization's.
    ArgocdSource {
        /// The folder.
        overlay: Utf8PathBuf,
        /// The Application that the file is for; all that have this folder if `None`.
        application: Option<ApplicationName>,
    },
    /// The values file of a Helm chart.
    HelmValues {
        /// The file.
        file: Utf8PathBuf,
        /// Where in it the image is.
        keys: HelmKeys,
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
    /// The file can't be edited safely.
    #[error("can't edit `{file}`")]
    Yaml {
        /// The file.
        file: Utf8PathBuf,
        /// The cause.
        #[source]
        source: yaml::EditError,
    },
    /// There is no such file.
    #[error("there is no file `{file}`")]
    NoFile {
        /// The file.
        file: Utf8PathBuf,
    },
    /// The configured paths have no place for a part of the image.
    #[error("can't edit `{file}`: `helm` has {reason}")]
    Keys {
        /// The file.
        file: Utf8PathBuf,
        /// What is missing.
        reason: String,
    },
    /// It is not known which file Argo CD reads.
    #[error("Argo CD reads `{own}` if it runs in the Application's namespace, else `{named}`")]
    Unclear {
        /// The file without a namespace in its name.
        own: Utf8PathBuf,
        /// The file with it.
        named: Utf8PathBuf,
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
            Place::ArgocdSource { overlay, application } => {
                Folder { overlay, application: application.as_ref() }.read(self, tree)
            }
            Place::HelmValues { file, keys } => helm_values::read(self, (file, keys), tree),
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
            Place::ArgocdSource { overlay, application } => {
                Folder { overlay, application: application.as_ref() }.edit(self, tree, &image)
            }
            Place::HelmValues { file, keys } => helm_values::edit(self, (file, keys), tree, &image),
        }
    }

    /// Returns the files of `tree` as whoever renders it sees them: for Argo CD's source file the
    /// kustomization with the file's images set. Laid over `tree`, the overlay renders to what runs.
    ///
    /// # Errors
    ///
    /// Fails if a file can't be read, or the images can't be set in the kustomization.
    pub fn effective(&self, tree: &dyn FileTree) -> Result<MemoryTree, TargetError> {
        match &self.place {
            Place::ArgocdSource { overlay, application } => {
                Folder { overlay, application: application.as_ref() }.effective(tree)
            }
            Place::Kustomization { .. } | Place::HelmValues { .. } => Ok(MemoryTree::default()),
        }
    }

    /// Returns the folder that kustomize renders, or `None` where Helm does.
    pub fn overlay(&self) -> Option<&Utf8Path> {
        match &self.place {
            Place::Kustomization { overlay } | Place::ArgocdSource { overlay, .. } => Some(overlay),
            Place::HelmValues { .. } => None,
        }
    }

    /// Returns the file or folder whose commits are the history of what it states.
    pub fn path(&self) -> &Utf8Path {
        match &self.place {
            Place::Kustomization { overlay } | Place::ArgocdSource { overlay, .. } => overlay,
            Place::HelmValues { file, .. } => file,
        }
    }
}

//! `deployctl edit set-image`: a kustomization on the disk, without a configuration.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::diff::between;
use crate::kustomize::{
    EditError, FindError, ImageEntry, Kustomization, Rules, find_kustomization, set_image,
};
use crate::render::DiskTree;
use crate::system;
use crate::yaml::nearest;

/// What an edit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditReport {
    /// The kustomization file.
    pub file: Utf8PathBuf,
    /// Whether it was changed, or with a dry run would be.
    pub changed: bool,
    /// The entries of `images:` afterwards.
    pub images: Vec<ImageEntry>,
    /// Those that were not there before.
    pub added: Vec<AddedEntry>,
    /// What a dry run would change, as a unified diff; `None` if this was none.
    pub dry_run: Option<String>,
}

/// An entry that was not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedEntry {
    /// Its name.
    pub name: String,
    /// The entry that may have been meant.
    pub near: Option<String>,
}

/// Why a kustomization was not edited.
#[derive(Debug, thiserror::Error)]
pub enum EditFileError {
    /// There is no kustomization file, or more than one.
    #[error("{0}")]
    Find(#[from] FindError),
    /// It can't be edited as the arguments say.
    #[error("can't edit `{file}`: {source}")]
    Edit {
        /// The file.
        file: Utf8PathBuf,
        /// The cause.
        #[source]
        source: EditError,
    },
    /// It can't be written.
    #[error("can't write `{file}`")]
    Write {
        /// The file.
        file: Utf8PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Sets the images that `arguments` name in the kustomization of the folder `dir`, and writes the
/// file if that changes it and this is no dry run.
///
/// # Errors
///
/// Fails if the file is not there, can't be edited safely, or can't be written.
pub fn edit_images(
    dir: &Utf8Path,
    arguments: &[String],
    rules: Rules,
    dry_run: bool,
) -> Result<EditReport, EditFileError> {
    let tree = DiskTree::new(dir);
    let found = find_kustomization(&tree, Utf8Path::new(""));
    let (name, bytes) = found.map_err(|error| in_folder(dir, error))?;
    let file = dir.join(name);
    let failed = |source| EditFileError::Edit { file: file.clone(), source };
    let edit = set_image(&bytes, arguments, rules).map_err(failed)?;
    if edit.changed && !dry_run {
        let failed = |source| EditFileError::Write { file: file.clone(), source };
        system::replace_file(&file, &edit.bytes).map_err(failed)?;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let diff = || between(file.as_str(), &text(&bytes), file.as_str(), &text(&edit.bytes));
    let dry_run = dry_run.then(diff);
    let added = added(&bytes, &edit.images);
    Ok(EditReport { file, changed: edit.changed, images: edit.images, added, dry_run })
}

/// Returns which of `entries` the kustomization `before` has not.
fn added(before: &[u8], entries: &[ImageEntry]) -> Vec<AddedEntry> {
    let before = Kustomization::parse(before).ok();
    let before = before.iter().flat_map(Kustomization::images);
    let before: Vec<&str> = before.map(|entry| entry.name.as_str()).collect();
    let is_new = |entry: &&ImageEntry| !before.contains(&entry.name.as_str());
    let added = entries.iter().filter(is_new).map(|entry| AddedEntry {
        name: entry.name.clone(),
        near: nearest(&entry.name, &before).map(str::to_owned),
    });
    added.collect()
}

/// Returns the error with the folder as the user knows it, not as the tree does.
fn in_folder(dir: &Utf8Path, error: FindError) -> FindError {
    let dir = dir.to_owned();
    match error {
        FindError::Missing { .. } => FindError::Missing { dir },
        FindError::Several { first, second, .. } => FindError::Several { dir, first, second },
        error @ FindError::Tree(_) => error,
    }
}

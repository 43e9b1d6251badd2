//! What is at a path of a commit, as far as the cache knows.
//!
//! A path may lead through a folder that the cache was spared. Two commits that come to the same
//! such folder have the same at the path, whatever that is; only where the folders differ are they
//! needed to tell.

use camino::{Utf8Component, Utf8Path};
use git2::{Oid, Repository};

use super::{GitError, partial};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An object, and its mode.
    Object(Oid, i32),
    Nothing,
    /// A folder on the way that the cache does not have.
    Beyond(Gap),
}

/// A folder that the cache does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Gap {
    pub(super) folder: Oid,
    /// How many folders are above it.
    pub(super) depth: usize,
    /// The first of them, or itself.
    pub(super) root: Oid,
}

const FOLDER: i32 = 0o040_000;

impl Place {
    /// Returns what is at `path` in the folder `root`.
    pub(super) fn find(
        repository: &Repository,
        root: Oid,
        path: &Utf8Path,
    ) -> Result<Self, GitError> {
        let (mut id, mut mode) = (root, FOLDER);
        let names = path.components().filter(|step| *step != Utf8Component::CurDir);
        for (depth, name) in names.enumerate() {
            if mode != FOLDER {
                return Ok(Self::Nothing);
            }
            let tree = match repository.find_tree(id) {
                Ok(tree) => tree,
                Err(error) if partial::is_missing(&error) => {
                    return Ok(Self::Beyond(Gap { folder: id, depth, root }));
                }
                Err(error) => return Err(GitError::object(format!("read `{path}`"))(error)),
            };
            match tree.get_name(name.as_str()) {
                Some(entry) => (id, mode) = (entry.id(), entry.filemode()),
                None => return Ok(Self::Nothing),
            }
        }
        Ok(Self::Object(id, mode))
    }

    /// Returns whether the same path leads to the same elsewhere; `None`: that can't be told before
    /// the gaps are filled.
    pub(super) fn is_same(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            // As many steps are left behind both.
            (Self::Beyond(here), Self::Beyond(there)) if here.folder == there.folder => Some(true),
            (Self::Beyond(_), _) | (_, Self::Beyond(_)) => None,
            (here, there) => Some(here == there),
        }
    }

    pub(super) fn gap(&self) -> Option<Gap> {
        match self {
            Self::Beyond(gap) => Some(*gap),
            Self::Object(..) | Self::Nothing => None,
        }
    }
}

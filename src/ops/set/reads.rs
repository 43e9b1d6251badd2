//! What a change was made from: the files that it looked at.
//!
//! Whoever joins the change with others must know that none of them has moved, or the rendering that
//! was checked is not the one that comes about.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::kustomize::{FileTree, TreeError};

/// A tree that remembers what was read of it.
pub(super) struct Reads<T> {
    tree: T,
    paths: Mutex<BTreeSet<Utf8PathBuf>>,
}

impl<T: FileTree> Reads<T> {
    pub(super) fn of(tree: T) -> Self {
        Self { tree, paths: Mutex::default() }
    }

    /// Returns the files that were looked for, and the folders that were listed.
    pub(super) fn paths(self) -> BTreeSet<Utf8PathBuf> {
        self.paths.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, path: &Utf8Path) {
        let path = path.components().filter(|step| *step != Utf8Component::CurDir).collect();
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }
}

impl<T: FileTree> FileTree for Reads<T> {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        self.note(path);
        self.tree.read(path)
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        self.note(dir);
        self.tree.files(dir)
    }
}

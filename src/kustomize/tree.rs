//! Where a kustomization's files are: a folder, a git commit, or memory.

use std::collections::BTreeMap;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

/// Files by path, read-only. Paths are relative to the tree's root, `/`-separated, without `..`.
pub trait FileTree: Send + Sync {
    /// Returns the bytes of the file at `path`, or `None` where there is no file.
    ///
    /// # Errors
    ///
    /// Fails if the file is there and can't be read, or is larger than the tree allows.
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError>;

    /// Returns every file below the folder `dir` in path order, as paths from the tree's root.
    ///
    /// # Errors
    ///
    /// Fails if a folder can't be read, or the tree has more entries than it allows.
    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError>;
}

/// Why a file of a tree could not be had.
#[derive(Debug, thiserror::Error)]
#[error("can't read `{path}`: {reason}")]
pub struct TreeError {
    /// The file or folder, from the tree's root.
    pub path: Utf8PathBuf,
    /// What went wrong.
    pub reason: String,
}

/// A tree in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTree(pub BTreeMap<Utf8PathBuf, Vec<u8>>);

impl FileTree for MemoryTree {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        Ok(self.0.get(path).cloned())
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        Ok(self.0.keys().filter(|path| path.starts_with(dir)).cloned().collect())
    }
}

/// A tree with some files replaced: what a commit would look like.
pub struct ChangedTree<'a> {
    /// The tree before.
    pub base: &'a dyn FileTree,
    /// The files that differ, whole.
    pub changes: &'a MemoryTree,
}

impl FileTree for ChangedTree<'_> {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        match self.changes.read(path)? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.base.read(path),
        }
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        let mut files = self.base.files(dir)?;
        files.extend(self.changes.files(dir)?);
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// Returns whether an entry of a kustomization names what kustomize would fetch from elsewhere.
pub fn is_remote(entry: &str) -> bool {
    entry.contains("://")
        || entry.starts_with("git@")
        || entry.contains("?ref=")
        || entry.starts_with("github.com/")
}

/// Returns `path` without `.` and `..`, or `None` if it is outside of the tree.
pub fn inside(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let mut plain = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::Normal(name) => plain.push(name),
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir if plain.pop() => {}
            _ => return None,
        }
    }
    Some(plain)
}

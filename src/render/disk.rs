//! A folder on a disk as a tree of files.

use std::fs::File;
use std::io::{ErrorKind, Read as _};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::kustomize::{FileTree, TreeError};

/// No file that deployctl reads is larger.
const MAX_BYTES: u64 = 32 << 20;
/// A folder with more files is not a folder of manifests.
const MAX_FILES: usize = 200_000;
const MAX_DEPTH: usize = 128;

/// The files of a folder. Symbolic links are followed, but never out of it; `.git` is left out of
/// listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskTree {
    root: Utf8PathBuf,
}

impl DiskTree {
    /// Returns the tree of the folder `root`.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the folder.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Returns where `path` really is, or `None` if there is nothing.
    fn locate(&self, path: &Utf8Path) -> Result<Option<Utf8PathBuf>, TreeError> {
        let inside =
            |c: Utf8Component<'_>| matches!(c, Utf8Component::Normal(_) | Utf8Component::CurDir);
        if !path.components().all(inside) {
            return Err(error(path, "it is outside of the folder"));
        }
        let full = self.root.join(path);
        match full.canonicalize_utf8() {
            Err(cause) if is_nothing(&cause) => Ok(None),
            Err(cause) => Err(error(path, &cause.to_string())),
            Ok(real) => {
                let root = self.root.canonicalize_utf8();
                let root = root.map_err(|cause| error(path, &cause.to_string()))?;
                match real.starts_with(root) {
                    true => Ok(Some(real)),
                    false => Err(error(path, "a symbolic link leads out of the folder")),
                }
            }
        }
    }

    fn collect(
        &self,
        dir: &Utf8Path,
        depth: usize,
        files: &mut Vec<Utf8PathBuf>,
    ) -> Result<(), TreeError> {
        if depth > MAX_DEPTH {
            return Err(error(dir, "its folders are nested too deeply"));
        }
        let fails = |cause: std::io::Error| error(dir, &cause.to_string());
        let entries = match self.root.join(dir).read_dir_utf8() {
            // Somebody removed it since its parent was read.
            Err(cause) if depth > 0 && is_nothing(&cause) => return Ok(()),
            entries => entries.map_err(fails)?,
        };
        for entry in entries {
            let entry = entry.map_err(fails)?;
            let kind = match entry.file_type() {
                Err(cause) if is_nothing(&cause) => continue,
                kind => kind.map_err(fails)?,
            };
            let path = dir.join(entry.file_name());
            if kind.is_dir() && entry.file_name() != ".git" {
                self.collect(&path, depth + 1, files)?;
            } else if kind.is_file() || (kind.is_symlink() && self.is_linked_file(&path)) {
                files.push(path);
            }
            if files.len() > MAX_FILES {
                return Err(error(dir, &format!("it has more than {MAX_FILES} files")));
            }
        }
        Ok(())
    }

    fn is_linked_file(&self, path: &Utf8Path) -> bool {
        self.locate(path).is_ok_and(|real| real.is_some_and(|real| real.is_file()))
    }
}

impl FileTree for DiskTree {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        let Some(real) = self.locate(path)?.filter(|real| real.is_file()) else {
            return Ok(None);
        };
        let fails = |cause: std::io::Error| error(path, &cause.to_string());
        let mut bytes = Vec::new();
        File::open(real)
            .and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(fails)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(error(path, &format!("it is larger than {MAX_BYTES} bytes")));
        }
        Ok(Some(bytes))
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        let mut files = Vec::new();
        if self.locate(dir)?.is_some_and(|real| real.is_dir()) {
            self.collect(dir, 0, &mut files)?;
        }
        files.sort();
        Ok(files)
    }
}

fn error(path: &Utf8Path, reason: &str) -> TreeError {
    TreeError { path: path.to_owned(), reason: reason.to_owned() }
}

/// Whether there is no such path, as opposed to one that can't be looked at.
fn is_nothing(cause: &std::io::Error) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_vanishes_meanwhile_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let tree = DiskTree::new(Utf8Path::from_path(folder.path()).unwrap());
        let mut files = Vec::new();
        tree.collect("gone".into(), 1, &mut files).unwrap();
        assert!(files.is_empty());
    }

    #[test]
    fn reads_and_lists_what_is_inside() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for dir in ["a/b", ".git"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        for file in ["a/b/x", "a.yaml", ".git/config"] {
            std::fs::write(root.join(file), file).unwrap();
        }
        symlink("a/b/x", root.join("inside")).unwrap();
        symlink(outside.path().join("secret"), root.join("outside")).unwrap();
        symlink(outside.path(), root.join("folder")).unwrap();

        let tree = DiskTree::new(root);
        assert_eq!(tree.files(Utf8Path::new("")).unwrap(), ["a/b/x", "a.yaml", "inside"]);
        assert_eq!(tree.files(Utf8Path::new("a")).unwrap(), ["a/b/x"]);
        assert!(tree.files(Utf8Path::new("none")).unwrap().is_empty());
        let read = |path: &str| tree.read(Utf8Path::new(path)).map_err(|error| error.reason);
        assert_eq!(read("inside").unwrap().unwrap(), b"a/b/x");
        assert_eq!(read("a").unwrap(), None);
        assert_eq!(read("a.yaml/x").unwrap(), None);
        for path in ["outside", "folder/secret"] {
            assert_eq!(read(path).unwrap_err(), "a symbolic link leads out of the folder");
        }
        assert_eq!(read("a/../../x").unwrap_err(), "it is outside of the folder");
        assert!(read(outside.path().join("secret").to_str().unwrap()).is_err());
    }
}

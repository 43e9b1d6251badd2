//! The files of a commit, read without a checkout.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::GitError;
use crate::kustomize::{FileTree, TreeError};

/// The files of a commit.
///
/// Symbolic links are followed as a disk would, but never out of the tree. Submodules are empty
/// folders, as they are on a disk before they are initialised.
#[derive(Clone)]
pub struct CommitTree {
    repository: Arc<Mutex<git2::Repository>>,
    root: git2::Oid,
}

/// No file that deployctl reads is larger.
const MAX_BYTES: usize = 32 << 20;
/// A folder with more files is not a folder of manifests.
const MAX_FILES: usize = 200_000;
/// As Linux: more links in one path are a loop.
const MAX_LINKS: usize = 40;
const MAX_DEPTH: usize = 128;

const LINK: i32 = 0o120_000;

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
enum Found {
    File(git2::Oid),
    Folder(git2::Oid),
    Nothing,
}

impl CommitTree {
    pub(super) fn new(repository: git2::Repository, root: git2::Oid) -> Result<Self, GitError> {
        repository.find_tree(root).map_err(GitError::object("read the commit's files"))?;
        Ok(Self { repository: Arc::new(Mutex::new(repository)), root })
    }
}

impl FileTree for CommitTree {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        let repository = self.repository.lock().unwrap_or_else(PoisonError::into_inner);
        let walk = Walk { repository: &repository, root: self.root, path };
        match walk.find(path)? {
            Found::File(blob) => walk.bytes(blob).map(Some),
            Found::Folder(_) | Found::Nothing => Ok(None),
        }
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        let repository = self.repository.lock().unwrap_or_else(PoisonError::into_inner);
        let walk = Walk { repository: &repository, root: self.root, path: dir };
        let mut files = Vec::new();
        if let Found::Folder(tree) = walk.find(dir)? {
            walk.collect(tree, &plain(dir), 0, &mut files)?;
        }
        files.sort();
        Ok(files)
    }
}

impl fmt::Debug for CommitTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommitTree").field(&self.root).finish()
    }
}

/// One look into the tree on behalf of `path`, which errors name.
struct Walk<'a> {
    repository: &'a git2::Repository,
    root: git2::Oid,
    path: &'a Utf8Path,
}

impl Walk<'_> {
    /// Returns what `path` leads to, links followed.
    fn find(&self, path: &Utf8Path) -> Result<Found, TreeError> {
        let mut left = self.steps(path)?;
        // The folders from the root to where the walk is, for `..` in a link.
        let mut folders = vec![self.root];
        let mut links = 0;
        while let Some(step) = left.pop() {
            let here = *folders.last().expect("the root is never left");
            if step == ".." {
                folders.pop();
                if folders.is_empty() {
                    return Err(self.error("a symbolic link leads out of the repository"));
                }
                continue;
            }
            let tree = self.repository.find_tree(here).map_err(|error| self.broken(&error))?;
            let Some(entry) = tree.get_name(&step) else {
                return Ok(Found::Nothing);
            };
            match entry.kind() {
                Some(git2::ObjectType::Tree) => folders.push(entry.id()),
                Some(git2::ObjectType::Blob) if entry.filemode() == LINK => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(self.error("its symbolic links form a loop"));
                    }
                    left.extend(self.link(entry.id())?);
                }
                Some(git2::ObjectType::Blob) if left.is_empty() => {
                    return Ok(Found::File(entry.id()));
                }
                _ => return Ok(Found::Nothing),
            }
        }
        Ok(Found::Folder(*folders.last().expect("the root is never left")))
    }

    /// Returns the steps of a caller's path, last first.
    fn steps(&self, path: &Utf8Path) -> Result<Vec<String>, TreeError> {
        let mut steps = Vec::new();
        for component in path.components() {
            match component {
                Utf8Component::Normal(name) => steps.push(name.to_owned()),
                Utf8Component::CurDir => {}
                _ => return Err(self.error("it is not a path inside the repository")),
            }
        }
        steps.reverse();
        Ok(steps)
    }

    /// Returns the steps of a link's target, last first.
    fn link(&self, blob: git2::Oid) -> Result<Vec<String>, TreeError> {
        let bytes = self.bytes(blob)?;
        let target = String::from_utf8(bytes)
            .map_err(|_| self.error("a symbolic link's target is not UTF-8"))?;
        if target.starts_with('/') {
            return Err(self.error("a symbolic link leads out of the repository"));
        }
        let steps = target.split('/').filter(|step| !step.is_empty() && *step != ".");
        Ok(steps.rev().map(ToOwned::to_owned).collect())
    }

    fn bytes(&self, blob: git2::Oid) -> Result<Vec<u8>, TreeError> {
        let odb = self.repository.odb().map_err(|error| self.broken(&error))?;
        let (size, _) = odb.read_header(blob).map_err(|error| self.broken(&error))?;
        if size > MAX_BYTES {
            let reason = format!("it has {size} bytes; more than {MAX_BYTES} are not read");
            return Err(self.error(&reason));
        }
        let blob = self.repository.find_blob(blob).map_err(|error| self.broken(&error))?;
        Ok(blob.content().to_vec())
    }

    /// Adds the files of `tree`, which is at `at`, and below. A link to a file is a file; a link to
    /// a folder is not entered, or a link upwards would never end. Names that are not UTF-8 are
    /// left out: no kustomization can name them.
    fn collect(
        &self,
        tree: git2::Oid,
        at: &Utf8Path,
        depth: usize,
        files: &mut Vec<Utf8PathBuf>,
    ) -> Result<(), TreeError> {
        if depth > MAX_DEPTH {
            return Err(self.error("its folders are nested too deeply"));
        }
        let tree = self.repository.find_tree(tree).map_err(|error| self.broken(&error))?;
        for entry in &tree {
            let Ok(name) = entry.name() else { continue };
            let path = at.join(name);
            match entry.kind() {
                Some(git2::ObjectType::Tree) => {
                    self.collect(entry.id(), &path, depth + 1, files)?;
                }
                Some(git2::ObjectType::Blob) if entry.filemode() == LINK => {
                    if matches!(self.find(&path), Ok(Found::File(_))) {
                        files.push(path);
                    }
                }
                Some(git2::ObjectType::Blob) => files.push(path),
                _ => {}
            }
            if files.len() > MAX_FILES {
                return Err(self.error(&format!("it has more than {MAX_FILES} files")));
            }
        }
        Ok(())
    }

    fn error(&self, reason: &str) -> TreeError {
        TreeError { path: self.path.to_owned(), reason: reason.to_owned() }
    }

    fn broken(&self, error: &git2::Error) -> TreeError {
        self.error(error.message())
    }
}

/// Returns `path` without `.` steps.
fn plain(path: &Utf8Path) -> Utf8PathBuf {
    path.components().filter(|step| *step != Utf8Component::CurDir).collect()
}

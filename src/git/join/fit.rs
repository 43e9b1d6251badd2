//! Which changes can go onto a tip together: plain functions over trees.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::staged::{MAX_FILES, Staged};
use crate::git::{CommitId, GitError};
use crate::kustomize::MemoryTree;

/// Returns for each of `changes` whether it goes onto `tip` beside those before it: its files are
/// there what they are at its base, and none of them is replaced by another one with other bytes.
pub(super) fn fitting(
    repository: &git2::Repository,
    tip: &CommitId,
    changes: &[&Staged],
) -> Result<Vec<bool>, GitError> {
    let missing = || GitError::object(format!("read commit `{tip}`"))(missing());
    let at_tip = root(repository, tip).ok_or_else(missing)?;
    let mut replaced: BTreeMap<&Utf8Path, git2::Oid> = BTreeMap::new();
    let mut fitting = Vec::with_capacity(changes.len());
    for change in changes {
        let unmoved = || match root(repository, &change.base) {
            _ if change.base == *tip => true,
            Some(at_base) => {
                change.files.keys().all(|path| entry(&at_base, path) == entry(&at_tip, path))
            }
            // Another process has thrown the cache away meanwhile.
            None => false,
        };
        let agrees = |(path, blob): (&Utf8PathBuf, &git2::Oid)| {
            replaced.get(path.as_path()).is_none_or(|other| other == blob)
        };
        let fits = change.files.iter().all(agrees)
            && change.files.len() + replaced.len() <= MAX_FILES
            && has_blobs(repository, change)
            && unmoved();
        if fits {
            replaced.extend(change.files.iter().map(|(path, blob)| (path.as_path(), *blob)));
        }
        fitting.push(fits);
    }
    Ok(fitting)
}

/// Returns the files of all of `changes`.
pub(super) fn files(
    repository: &git2::Repository,
    changes: &[&Staged],
) -> Result<MemoryTree, GitError> {
    let mut files = MemoryTree::default();
    for (path, blob) in changes.iter().flat_map(|change| &change.files) {
        let read = GitError::object(format!("read the new `{path}`"));
        let blob = repository.find_blob(*blob).map_err(read)?;
        files.0.insert(path.clone(), blob.content().to_vec());
    }
    Ok(files)
}

/// So far back a commit is looked for in what the cache has.
const NEAR: usize = 64;

/// Returns whether the cache shows within a few commits that `ancestor` is in the history of
/// `commit`.
pub(super) fn is_near_ancestor(
    repository: &git2::Repository,
    ancestor: &CommitId,
    commit: &CommitId,
) -> bool {
    let mut next = std::collections::VecDeque::from([commit.oid()]);
    let mut seen = std::collections::HashSet::new();
    while let Some(id) = next.pop_front() {
        if id == ancestor.oid() {
            return true;
        }
        if seen.len() >= NEAR || !seen.insert(id) {
            continue;
        }
        if let Ok(commit) = repository.find_commit(id) {
            next.extend(crate::git::history::parents(&commit));
        }
    }
    false
}

fn has_blobs(repository: &git2::Repository, change: &Staged) -> bool {
    let odb = repository.odb();
    odb.is_ok_and(|odb| change.files.values().all(|blob| odb.exists(*blob)))
}

fn root<'a>(repository: &'a git2::Repository, commit: &CommitId) -> Option<git2::Tree<'a>> {
    repository.find_commit(commit.oid()).and_then(|commit| commit.tree()).ok()
}

/// Returns what is at `path`: the object and its mode.
fn entry(tree: &git2::Tree<'_>, path: &Utf8Path) -> Option<(git2::Oid, i32)> {
    let entry = tree.get_path(path.as_std_path()).ok()?;
    Some((entry.id(), entry.filemode()))
}

fn missing() -> git2::Error {
    git2::Error::from_str("it is not in the cache")
}

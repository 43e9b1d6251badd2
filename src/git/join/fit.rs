//! Which changes can go onto a tip together: plain functions over trees.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use camino::{Utf8Path, Utf8PathBuf};

use super::staged::{MAX_FILES, Staged};
use crate::git::place::Place;
use crate::git::{CommitId, GitError};
use crate::kustomize::MemoryTree;

/// Returns for each of `changes` whether it goes onto `tip` beside those before it: its files, and
/// those that it was made from, are there what they are at its base, and none of the others replaces
/// one of them by other bytes, or is made from what it replaces.
pub(super) fn fitting(
    repository: &git2::Repository,
    tip: &CommitId,
    changes: &[&Staged],
) -> Result<Vec<bool>, GitError> {
    let missing = || GitError::object(format!("read commit `{tip}`"))(missing());
    let at_tip = root(repository, tip).ok_or_else(missing)?;
    let mut joined = Joined::default();
    let mut fitting = Vec::with_capacity(changes.len());
    for change in changes {
        let fits = joined.agrees(change)
            && has_blobs(repository, change)
            && is_unmoved(repository, change, tip, at_tip);
        if fits {
            joined.add(change);
        }
        fitting.push(fits);
    }
    Ok(fitting)
}

/// What the changes so far replace, and what they are made from.
#[derive(Default)]
struct Joined<'a> {
    files: BTreeMap<&'a Utf8Path, git2::Oid>,
    reads: BTreeSet<&'a Utf8Path>,
}

impl<'a> Joined<'a> {
    fn agrees(&self, change: &Staged) -> bool {
        let is_same = |path: &Utf8Path, blob: &git2::Oid| self.files.get(path) == Some(blob);
        // What one reads may be the folder that another one's file is in.
        let is_read = |path: &Utf8Path| path.ancestors().any(|path| self.reads.contains(path));
        let replaces = |(path, blob): (&Utf8PathBuf, &git2::Oid)| {
            is_same(path, blob) || !(self.files.contains_key(path.as_path()) || is_read(path))
        };
        let reads = |(path, blob): (&&Utf8Path, &git2::Oid)| {
            let own = change.files.get(*path) == Some(blob);
            own || !path.ancestors().any(|path| change.reads.contains(path))
        };
        self.files.len() + change.files.len() <= MAX_FILES
            && change.files.iter().all(replaces)
            && self.files.iter().all(reads)
    }

    fn add(&mut self, change: &'a Staged) {
        self.files.extend(change.files.iter().map(|(path, blob)| (path.as_path(), *blob)));
        self.reads.extend(change.reads.iter().map(Utf8PathBuf::as_path));
    }
}

fn is_unmoved(
    repository: &git2::Repository,
    change: &Staged,
    tip: &CommitId,
    at_tip: git2::Oid,
) -> bool {
    if change.base == *tip {
        return true;
    }
    // Another process may have thrown the cache away meanwhile.
    let Some(at_base) = root(repository, &change.base) else { return false };
    // What can't be told counts as moved: whoever makes the change anew reads it.
    let is_same = |path: &Utf8PathBuf| {
        let places = [at_base, at_tip].map(|root| Place::find(repository, root, path));
        matches!(&places, [Ok(base), Ok(tip)] if base.is_same(tip) == Some(true))
    };
    let mut paths = change.files.keys().chain(&change.reads);
    at_base == at_tip || paths.all(is_same)
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
    let mut next = VecDeque::from([commit.oid()]);
    let mut seen = HashSet::new();
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

fn root(repository: &git2::Repository, commit: &CommitId) -> Option<git2::Oid> {
    repository.find_commit(commit.oid()).ok().map(|commit| commit.tree_id())
}

fn missing() -> git2::Error {
    git2::Error::from_str("it is not in the cache")
}

#[cfg(test)]
mod tests {
    use super::super::staged::tests::staged;
    use super::*;

    /// Returns whether a change of `path` that is made from `reads` goes beside one of `web/dev`
    /// that is made from `web/base`.
    fn agrees(path: &str, reads: &[&str], bytes: char) -> bool {
        let mut first = staged("1", "web/dev");
        first.reads = ["web/dev".into(), "web/base".into()].into();
        let mut second = staged("2", path);
        second.reads = reads.iter().map(|path| Utf8PathBuf::from(*path)).collect();
        let blob = git2::Oid::from_str(&bytes.to_string().repeat(40)).unwrap();
        second.files.values_mut().for_each(|other| *other = blob);
        let mut joined = Joined::default();
        joined.add(&first);
        joined.agrees(&second)
    }

    #[test]
    fn those_go_together_that_do_not_meet() {
        assert!(agrees("web/prod", &["web/prod", "web/base"], 'c'));
        assert!(!agrees("web/dev", &["web/dev"], 'c'), "other bytes of the same file");
        assert!(agrees("web/dev", &["web/dev"], 'b'), "the same bytes");
        assert!(!agrees("web/base", &["web/base"], 'c'), "what the first is made from");
        assert!(!agrees("web/base/x", &[], 'c'), "a file of a folder that the first has read");
        assert!(!agrees("web/prod", &["web/dev"], 'c'), "made from what the first replaces");
        assert!(!agrees("web/prod", &["web"], 'c'), "made from a folder that it is in");
    }
}

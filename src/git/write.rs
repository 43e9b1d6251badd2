//! Writes a commit without a checkout: blobs, the few trees above them, the commit.

use camino::{Utf8Component, Utf8Path};
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType};
use jiff::Timestamp;

use super::{Authorship, CommitId, GitError, Identity};
use crate::kustomize::MemoryTree;

/// Returns the text of a commit on `parent` with `changes`, or `None` if its files would be the
/// same. The files are written, the commit is not.
pub(super) fn prepare(
    repository: &git2::Repository,
    parent: &CommitId,
    changes: &MemoryTree,
    message: &str,
    authorship: &Authorship,
    time: Timestamp,
) -> Result<Option<String>, GitError> {
    let read = || GitError::object(format!("read commit `{parent}`"));
    let parent = repository.find_commit(parent.oid()).map_err(read())?;
    let before = parent.tree().map_err(read())?;
    let after = changed_tree(repository, &before, changes)?;
    if after == before.id() {
        return Ok(None);
    }
    let write = || GitError::object("write the commit");
    let after = repository.find_tree(after).map_err(write())?;
    let author = signature(&authorship.author, time)?;
    let committer = signature(&authorship.committer, time)?;
    let text = repository
        .commit_create_buffer(&author, &committer, message, &after, &[&parent])
        .map_err(write())?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Writes the commit with this text and this signature, and returns it.
pub(super) fn store(
    repository: &git2::Repository,
    text: &str,
    signature: Option<&str>,
) -> Result<CommitId, GitError> {
    let id = match signature {
        Some(signature) => repository.commit_signed(text, signature, None),
        None => repository.odb().and_then(|odb| odb.write(ObjectType::Commit, text.as_bytes())),
    };
    Ok(id.map_err(GitError::object("write the commit"))?.into())
}

/// Returns the text of a commit on `parent` that has a message, but no files.
pub(super) fn prepare_without_files(
    repository: &git2::Repository,
    parent: Option<&CommitId>,
    message: &str,
    authorship: &Authorship,
    time: Timestamp,
) -> Result<String, GitError> {
    let write = || GitError::object("write the commit");
    let tree = repository.treebuilder(None).and_then(|tree| tree.write()).map_err(write())?;
    let tree = repository.find_tree(tree).map_err(write())?;
    let parent = parent.map(|id| repository.find_commit(id.oid())).transpose().map_err(write())?;
    let parents: Vec<_> = parent.iter().collect();
    let author = signature(&authorship.author, time)?;
    let committer = signature(&authorship.committer, time)?;
    let text = repository.commit_create_buffer(&author, &committer, message, &tree, &parents);
    Ok(String::from_utf8_lossy(&text.map_err(write())?).into_owned())
}

/// Returns the tree `before` with `changes`.
pub(super) fn changed_tree(
    repository: &git2::Repository,
    before: &git2::Tree<'_>,
    changes: &MemoryTree,
) -> Result<git2::Oid, GitError> {
    let mut updates = TreeUpdateBuilder::new();
    for (path, bytes) in &changes.0 {
        let refuse = || GitError::Path { path: path.clone(), reason: OUTSIDE.to_owned() };
        let names = names(path).ok_or_else(refuse)?;
        let mode = mode_at(repository, before, path, &names)?;
        let blob = repository.blob(bytes).map_err(GitError::object(format!("write `{path}`")))?;
        updates.upsert(names.join("/"), blob, mode);
    }
    updates.create_updated(repository, before).map_err(GitError::object("write the files"))
}

/// Returns who commits, when.
pub(super) fn signature(
    author: &Identity,
    time: Timestamp,
) -> Result<git2::Signature<'static>, GitError> {
    let when = git2::Time::new(time.as_second(), 0);
    let signature = git2::Signature::new(&author.name, &author.email, &when);
    signature.map_err(GitError::object("write the author"))
}

/// Returns the mode that the file at `path` has, or that of a plain file if it is new.
fn mode_at(
    repository: &git2::Repository,
    tree: &git2::Tree<'_>,
    path: &Utf8Path,
    names: &[&str],
) -> Result<FileMode, GitError> {
    let refuse = |reason: &str| GitError::Path { path: path.into(), reason: reason.to_owned() };
    let (last, folders) = names.split_last().ok_or_else(|| refuse("it names no file"))?;
    let mut tree = tree.clone();
    for folder in folders {
        let next = match tree.get_name(folder) {
            None => return Ok(FileMode::Blob),
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => entry.id(),
            Some(_) => return Err(refuse(&format!("`{folder}` on the way is not a folder"))),
        };
        tree = repository.find_tree(next).map_err(GitError::object(format!("read `{folder}`")))?;
    }
    match tree.get_name(last).map(|entry| entry.filemode()) {
        None => Ok(FileMode::Blob),
        Some(mode) if mode == i32::from(FileMode::BlobExecutable) => Ok(FileMode::BlobExecutable),
        Some(mode) if mode == i32::from(FileMode::Link) => Err(refuse("it is a symbolic link")),
        Some(mode) if mode == i32::from(FileMode::Tree) => Err(refuse("it is a folder")),
        Some(mode) if mode == i32::from(FileMode::Commit) => Err(refuse("it is a submodule")),
        Some(_) => Ok(FileMode::Blob),
    }
}

const OUTSIDE: &str = "it is not a path inside the repository";

/// Returns the names that `path` consists of, or `None` if it is no path that git would store.
fn names(path: &Utf8Path) -> Option<Vec<&str>> {
    if path.as_str().contains('\0') {
        return None;
    }
    let name = |component| match component {
        Utf8Component::Normal(name) if !name.eq_ignore_ascii_case(".git") => Some(name),
        _ => None,
    };
    path.components().map(name).collect()
}

//! A new bare repository with a first commit: what the demo's manifests repository begins as.

use camino::Utf8Path;
use jiff::Timestamp;

use super::write;
use super::{CommitId, GitError, Identity};
use crate::kustomize::MemoryTree;

/// Makes a bare repository in the folder `dir`, which must not be one yet, whose branch `branch`
/// has one commit with `files`, and returns that commit.
///
/// # Errors
///
/// Fails if there is a repository already, or the folder can't be written.
pub fn init_bare(
    dir: &Utf8Path,
    branch: &str,
    files: &MemoryTree,
    message: &str,
    author: &Identity,
    time: Timestamp,
) -> Result<CommitId, GitError> {
    let failed = || GitError::object(format!("make a repository in `{dir}`"));
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).no_reinit(true).external_template(false).initial_head(branch);
    let repository = git2::Repository::init_opts(dir, &options).map_err(failed())?;
    let empty = repository.treebuilder(None).and_then(|tree| tree.write()).map_err(failed())?;
    let empty = repository.find_tree(empty).map_err(failed())?;
    let tree = write::changed_tree(&repository, &empty, files)?;
    let tree = repository.find_tree(tree).map_err(failed())?;
    let signature = write::signature(author, time)?;
    let branch = format!("refs/heads/{branch}");
    let commit = repository
        .commit(Some(&branch), &signature, &signature, message, &tree, &[])
        .map_err(failed())?;
    Ok(commit.into())
}

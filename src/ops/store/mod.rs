//! Where the manifests repository is read and written: by git, or through GitHub's API.
//!
//! Beside its branches it has ledgers (see [`crate::git::Ledgers`]), which are read and written by the
//! same way.

mod api;
mod git;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use crate::argocd::Relation;
use crate::git::{Authorship, Commit, CommitId, CommitTree, GitError, NextEntry, Push};
use crate::github::{ApiTree, GithubError};
use crate::kustomize::{FileTree, MemoryTree};

pub(super) use api::{ApiStore, relation};
pub(super) use git::GitStore;

/// Branches, commits and their files, and ledgers.
#[async_trait]
pub trait Store: Send + Sync {
    /// Returns the name of the branch that Argo CD watches.
    async fn base(&self) -> Result<String, StoreError>;

    /// Returns where `branch` is, or `None` if there is no such branch.
    async fn tip(&self, branch: &str) -> Result<Option<CommitId>, StoreError>;

    /// Returns the files of a commit that was read.
    fn tree(&self, commit: &CommitId) -> Result<Box<dyn Files>, StoreError>;

    /// Returns the commit that `revision` (id, abbreviated id, or name of a branch or tag) stands for.
    async fn resolve(&self, revision: &str) -> Result<CommitId, StoreError>;

    /// Returns how the commit was made, or `None` where that is not known. One that changes nothing
    /// may be passed over for the one before it.
    async fn made(&self, commit: &CommitId) -> Result<Option<Made>, StoreError>;

    /// Returns up to `limit` commits from `tip` backwards that changed something at or below `path`,
    /// newest first.
    async fn log(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError>;

    /// Returns what [`Store::log`] does, but along the branch itself: what a merge brought is told as the
    /// merge, with its time.
    async fn landings(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError>;

    /// Returns up to `limit` commits in the history of `tip` that were made at `time` or later, newest
    /// first.
    async fn since(
        &self,
        tip: &CommitId,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError>;

    /// Returns how `observed` stands to `expected`.
    async fn relation(&self, expected: &CommitId, observed: &str) -> Result<Relation, StoreError>;

    /// Commits and moves the branch, and returns the commit; `None` if the branch was not where it was
    /// expected.
    async fn put(&self, put: &Put<'_>) -> Result<Option<CommitId>, StoreError>;

    /// Returns the newest entry of each of the `ledgers` that is there.
    async fn newest(&self, ledgers: &[String]) -> Result<BTreeMap<String, Commit>, StoreError>;

    /// Calls `visit` with each entry of a ledger from `newest` backwards, until it breaks.
    async fn walk(&self, newest: &CommitId, visit: Visit<'_>) -> Result<(), StoreError>;

    /// Appends to each of the `ledgers` what `entry` says comes after its newest entry, and returns
    /// those that were appended to. Where another process was faster, `entry` is asked again. Who
    /// writes is `authorship`, unless the store knows that by itself.
    async fn append(
        &self,
        ledgers: &[String],
        authorship: &Authorship,
        time: Timestamp,
        entry: NextEntry<'_>,
    ) -> Result<Vec<String>, StoreError>;
}

/// Looks at an entry of a ledger.
pub type Visit<'a> = &'a mut (dyn FnMut(&Commit) -> ControlFlow<()> + Send);

/// The files of a commit, and what can't be done with them where they come from.
#[async_trait]
pub trait Files: FileTree {
    /// Brings the files at and around `paths` (files or folders) with few round trips.
    async fn prefetch(&self, paths: &[Utf8PathBuf]) -> Result<(), StoreError>;

    /// Returns why `files` can't be written on top of them, or they can't be read, if so.
    fn refuses(&self, files: &MemoryTree) -> Option<String>;
}

/// How a commit was made.
pub struct Made {
    /// The commit itself.
    pub commit: Commit,
    /// The commit that it was made on; of a merge, the branch before it.
    pub parent: Option<CommitId>,
}

/// A commit to make.
pub struct Put<'a> {
    /// The commit that it is made on.
    pub base: &'a CommitId,
    /// The files that differ, whole.
    pub files: &'a MemoryTree,
    /// The message.
    pub message: &'a str,
    /// Who writes it, unless the store knows that by itself.
    pub authorship: &'a Authorship,
    /// When.
    pub time: Timestamp,
    /// The branch that is moved to it.
    pub branch: &'a str,
    /// Where the branch is; `None`: there is none yet.
    pub expected: Option<&'a CommitId>,
}

/// Why the manifests repository can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Git can't, or the remote refuses.
    #[error("{0}")]
    Git(#[from] GitError),
    /// GitHub can't be asked, or refuses.
    #[error("{0}")]
    Github(#[from] GithubError),
    /// GitHub names a commit by what is no id.
    #[error("GitHub's answer is not understood: {reason}")]
    Commit {
        /// What is wrong with it.
        reason: String,
    },
}

#[async_trait]
impl Files for CommitTree {
    async fn prefetch(&self, paths: &[Utf8PathBuf]) -> Result<(), StoreError> {
        Ok(CommitTree::prefetch(self, paths).await?)
    }

    fn refuses(&self, _: &MemoryTree) -> Option<String> {
        None
    }
}

#[async_trait]
impl Files for ApiTree {
    async fn prefetch(&self, paths: &[Utf8PathBuf]) -> Result<(), StoreError> {
        Ok(ApiTree::prefetch(self, paths).await?)
    }

    fn refuses(&self, files: &MemoryTree) -> Option<String> {
        ApiTree::refuses(self, files)
    }
}

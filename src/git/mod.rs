//! The manifests repository: read and edit trees without a checkout, commit, push.
//!
//! Objects are handled by libgit2 in a bare repository; the transport is the `git` program, so that
//! people's SSH configuration and credential helpers work. What to change is decided by the caller.

use std::fmt;
use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use crate::kustomize::MemoryTree;
use crate::system::Environment;

/// A commit's full object id, 40 hexadecimal characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// Returns the 40 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first 12 characters, for people and tags.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for CommitId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a commit id; expected 40 hexadecimal characters"))
        }
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The manifests repository: a remote, and a bare cache of it on this machine.
#[derive(Debug, Clone)]
pub struct Repository {
    remote: String,
    cache: Utf8PathBuf,
    environment: Environment,
}

/// What a push came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// The branch is at the commit now.
    Pushed,
    /// The branch is not where it was expected: fetch, and apply the change to the new tip.
    Raced,
}

/// Who writes a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

/// A commit, as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Who wrote it.
    pub author: Identity,
    /// When it was committed.
    pub time: Timestamp,
    /// The whole message.
    pub message: String,
}

/// How an observed commit stands to an expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same.
    Same,
    /// The observed one is a descendant: it has the expected one in its history.
    Newer,
    /// The observed one is an ancestor.
    Older,
    /// They have diverged.
    Diverged,
    /// The repository does not know one of them.
    Unknown,
}

impl Repository {
    /// Returns the repository at `remote` (URL, `user@host:path`, or path) with its bare cache in
    /// the folder `cache`, made where it is not there or damaged. Reaches no network.
    ///
    /// # Errors
    ///
    /// Fails if `git` is not installed, the remote is malformed, or the folder can't be written.
    pub async fn open(
        remote: &str,
        cache: &Utf8Path,
        environment: &Environment,
    ) -> Result<Self, GitError> {
        unimplemented!("{remote}{cache}{environment:?}")
    }

    /// Fetches `branch` (the remote's default branch if `None`) and returns its tip.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach, refuses the credentials, or has no such branch.
    pub async fn fetch(&self, branch: Option<&str>) -> Result<CommitId, GitError> {
        unimplemented!("{branch:?}{:?}", self)
    }

    /// Returns the files of a fetched commit.
    ///
    /// # Errors
    ///
    /// Fails if the cache does not have the commit.
    pub fn tree(&self, commit: &CommitId) -> Result<CommitTree, GitError> {
        unimplemented!("{commit}")
    }

    /// Returns the commit that `revision` (id, abbreviated id, or name of a branch) stands for.
    ///
    /// # Errors
    ///
    /// Fails if there is no such commit.
    pub async fn resolve(&self, revision: &str) -> Result<CommitId, GitError> {
        unimplemented!("{revision}")
    }

    /// Writes a commit on `parent` with `changes` (whole files by path) and returns it, or `None`
    /// if it would change nothing. File modes are kept.
    ///
    /// # Errors
    ///
    /// Fails if the cache can't be written.
    pub fn commit(
        &self,
        parent: &CommitId,
        changes: &MemoryTree,
        message: &str,
        author: &Identity,
        time: Timestamp,
    ) -> Result<Option<CommitId>, GitError> {
        unimplemented!("{parent}{changes:?}{message}{author:?}{time}")
    }

    /// Moves `branch` of the remote from `expected` to `commit`; `None`: the branch must be new.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach or refuses: no permission, protected branch, hook.
    pub async fn push(
        &self,
        commit: &CommitId,
        branch: &str,
        expected: Option<&CommitId>,
    ) -> Result<Push, GitError> {
        unimplemented!("{commit}{branch}{expected:?}")
    }

    /// Returns up to `limit` commits from `tip` backwards that changed something below `path`,
    /// newest first; the cache is deepened as needed.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn log(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, GitError> {
        unimplemented!("{tip}{path}{limit}")
    }

    /// Returns how `observed` stands to `expected`; the cache is deepened as needed.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn relation(
        &self,
        expected: &CommitId,
        observed: &str,
    ) -> Result<Relation, GitError> {
        unimplemented!("{expected}{observed}")
    }
}

/// The files of a commit.
#[derive(Debug, Clone)]
pub struct CommitTree {}

/// Why git did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GitError {}

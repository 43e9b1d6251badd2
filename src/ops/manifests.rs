//! The manifests repository as ops use it: a branch of a remote, and its tip.

use async_trait::async_trait;

use super::store::{ApiStore, GitStore};
use super::{Ancestry, Emit, Event, Files, Store, StoreError};
use crate::argocd;
use crate::git::{self, CommitId, GitError, Repository};
use crate::github::Branches;

/// The manifests repository and the branch that Argo CD watches.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// The repository.
    pub repository: Repository,
    /// The remote, without credentials, for people.
    pub remote: String,
    /// The branch; the remote's default branch if `None`.
    pub branch: Option<String>,
    /// The repository through GitHub's API, where it is to be read and written by that.
    pub api: Option<Branches>,
}

impl Manifests {
    /// Returns the way to the repository.
    pub fn store(&self) -> Box<dyn Store + '_> {
        let Self { remote, branch, .. } = self;
        match &self.api {
            Some(branches) => Box::new(ApiStore { branches, branch: branch.as_deref(), remote }),
            None => Box::new(GitStore(self)),
        }
    }

    /// Returns the same repository, read and written by git.
    #[must_use]
    pub fn by_git(&self) -> Self {
        Self { api: None, ..self.clone() }
    }

    /// Returns the branch's tip, fetched where git is the way.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach, refuses the credentials, or has no such branch.
    pub async fn fetch(&self, emit: Emit<'_>) -> Result<CommitId, StoreError> {
        if self.api.is_some() {
            let (store, remote) = (self.store(), self.remote.clone());
            let branch = store.base().await?;
            let none = |branch| GitError::NoBranch { remote, branch, known: Vec::new() };
            return Ok(store.tip(&branch).await?.ok_or_else(|| none(branch))?);
        }
        emit(Event::Fetching { remote: self.remote.clone() });
        Ok(self.repository.fetch_together(self.branch.as_deref()).await?.tip)
    }

    /// Returns the branch's tip and its files.
    ///
    /// # Errors
    ///
    /// As [`Manifests::fetch`].
    pub async fn tree(&self, emit: Emit<'_>) -> Result<(CommitId, Box<dyn Files>), StoreError> {
        let tip = self.fetch(emit).await?;
        let tree = self.store().tree(&tip)?;
        Ok((tip, tree))
    }
}

/// How commits of the manifests repository stand to the one that is expected to be live.
pub struct CommitAncestry<'a> {
    manifests: &'a Manifests,
    expected: &'a CommitId,
}

impl<'a> CommitAncestry<'a> {
    /// Returns how commits stand to `expected`.
    pub fn new(manifests: &'a Manifests, expected: &'a CommitId) -> Self {
        Self { manifests, expected }
    }
}

#[async_trait]
impl Ancestry for CommitAncestry<'_> {
    async fn relation(&self, observed: &str) -> argocd::Relation {
        // A repository that does not answer now is asked again at the next look.
        let relation = self.manifests.store().relation(self.expected, observed).await;
        relation.map_or(argocd::Relation::Unknown, told)
    }
}

/// Returns what git found out, as those who decide are told.
pub(super) fn told(relation: git::Relation) -> argocd::Relation {
    match relation {
        git::Relation::Same => argocd::Relation::Same,
        git::Relation::Newer => argocd::Relation::Newer,
        git::Relation::Older => argocd::Relation::Older,
        git::Relation::Diverged => argocd::Relation::Diverged,
        git::Relation::Unknown => argocd::Relation::Unknown,
    }
}

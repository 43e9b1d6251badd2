//! The manifests repository as ops use it: a branch of a remote, and its tip.

use async_trait::async_trait;

use super::{Ancestry, Emit, Event};
use crate::argocd;
use crate::git::{self, CommitId, CommitTree, GitError, Repository};

/// The manifests repository and the branch that Argo CD watches.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// The repository.
    pub repository: Repository,
    /// The remote, without credentials, for people.
    pub remote: String,
    /// The branch; the remote's default branch if `None`.
    pub branch: Option<String>,
}

impl Manifests {
    /// Fetches the branch and returns its tip.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach, refuses the credentials, or has no such branch.
    pub async fn fetch(&self, emit: Emit<'_>) -> Result<CommitId, GitError> {
        emit(Event::Fetching { remote: self.remote.clone() });
        Ok(self.repository.fetch_together(self.branch.as_deref()).await?.tip)
    }

    /// Returns the name of the branch; reaches no network where it is configured, or has been
    /// fetched.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach, refuses the credentials, or is empty.
    pub async fn branch(&self) -> Result<String, GitError> {
        match &self.branch {
            Some(branch) => Ok(branch.clone()),
            None => self.repository.default_branch().await,
        }
    }

    /// Fetches the branch and returns its files.
    ///
    /// # Errors
    ///
    /// As [`Manifests::fetch`].
    pub async fn tree(&self, emit: Emit<'_>) -> Result<(CommitId, CommitTree), GitError> {
        let tip = self.fetch(emit).await?;
        let tree = self.repository.tree(&tip)?;
        Ok((tip, tree))
    }
}

/// How commits of the manifests repository stand to the one that is expected to be live.
pub struct CommitAncestry<'a> {
    repository: &'a Repository,
    expected: &'a CommitId,
}

impl<'a> CommitAncestry<'a> {
    /// Returns how commits stand to `expected`.
    pub fn new(manifests: &'a Manifests, expected: &'a CommitId) -> Self {
        Self { repository: &manifests.repository, expected }
    }
}

#[async_trait]
impl Ancestry for CommitAncestry<'_> {
    async fn relation(&self, observed: &str) -> argocd::Relation {
        // A repository that does not answer now is asked again at the next look.
        let relation = self.repository.relation(self.expected, observed).await;
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
